/** Reads the SVG of the tests: a strict parser of the XML that charts may hold, and of their paths. */

export interface SvgNode {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: SvgNode[];
  text: string;
}

/** Parses a document; throws on anything that is not well formed. */
export function parseSvg(document: string): SvgNode {
  const source = document.replace(/^<\?xml[^?]*\?>\n/, '');
  const root: SvgNode = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  const token = /<\/([\w-]+)>|<([\w-]+)((?: [\w:-]+="[^"<]*")*)(\/?)>|([^<]+)/gy;
  for (let at = 0; at < source.length; at = token.lastIndex) {
    token.lastIndex = at;
    const match = token.exec(source);
    if (!match) throw new Error(`not well formed at ${source.slice(at, at + 60)}`);
    const [, closed, opened, attributes, empty, text] = match;
    const parent = open.at(-1)!;
    if (text !== undefined) parent.text += unescapeXml(text);
    else if (closed !== undefined) {
      if (open.pop()!.name !== closed) throw new Error(`</${closed}> closes another element`);
    } else {
      const node: SvgNode = {
        name: opened!,
        attributes: readAttributes(attributes!),
        children: [],
        text: '',
      };
      parent.children.push(node);
      if (!empty) open.push(node);
    }
  }
  if (open.length !== 1 || root.children.length !== 1) throw new Error('not one root that is closed');
  return root.children[0]!;
}

function readAttributes(text: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/ ([\w:-]+)="([^"]*)"/g)) {
    if (name! in out) throw new Error(`${name} twice`);
    out[name!] = unescapeXml(value!);
  }
  return out;
}

function unescapeXml(text: string): string {
  const rest = text.replace(/&(amp|lt|gt|quot|#39);/g, '');
  if (rest.includes('&')) throw new Error(`a bare & in ${text}`);
  const characters: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => characters[name]!);
}

/** All nodes below and with this one for which the test is true. */
export function find(node: SvgNode, test: (node: SvgNode) => boolean): SvgNode[] {
  return [...(test(node) ? [node] : []), ...node.children.flatMap((child) => find(child, test))];
}

export function withClass(node: SvgNode, name: string): SvgNode[] {
  return find(node, ({ attributes }) => attributes['class'] === name);
}

export function texts(node: SvgNode): string[] {
  return find(node, ({ name }) => name === 'text').map(({ text }) => text);
}

/** The straight segments of a path of M, L, H, V, h, v and Z. */
export function segments(d: string): [x0: number, y0: number, x1: number, y1: number][] {
  const out: [number, number, number, number][] = [];
  let [x, y, startX, startY] = [0, 0, 0, 0];
  const read = /([MLHVhvZ])([^MLHVhvZ]*)/g;
  if (d.replace(read, '') !== '') throw new Error(`unknown path ${d}`);
  for (const [, command, given] of d.matchAll(read)) {
    const numbers = given!.split(/[ ,]+/).filter(Boolean).map(Number);
    if (numbers.some((value) => !Number.isFinite(value)))
      throw new Error(`not a number in ${command}${given}`);
    const [a = 0, b = 0] = numbers;
    const next: Record<string, [number, number]> = {
      ...{ M: [a, b], L: [a, b], H: [a, y], V: [x, a], h: [x + a, y], v: [x, y + a], Z: [startX, startY] },
    };
    const [nextX, nextY] = next[command!]!;
    if (command === 'M') [startX, startY] = [a, b];
    else out.push([x, y, nextX, nextY]);
    [x, y] = [nextX, nextY];
  }
  return out;
}
