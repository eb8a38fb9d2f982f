/** SVG written as text: elements with escaped attributes and short numbers. */

/** A picture without its document: content placed with (0, 0) at its upper left corner. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  /** SVG elements. */
  readonly content: string;
  /** Read aloud by screen readers. */
  readonly title: string;
}

export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Text for an element or an attribute. What XML 1.0 cannot hold (control characters, half surrogates) is replaced. */
export function escapeXml(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/gu, '\ufffd')
      .replace(/[&<>"']/g, (character) => entities[character]!)
  );
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A coordinate with at most two decimals, or as many as are asked for. */
export function short(value: number, decimals = 2): string {
  const scale = 10 ** decimals;
  return String(Math.round(value * scale) / scale || 0);
}

/** `<name a="b">children</name>`; attributes that are undefined are left out, numbers are shortened. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? short(value) : escapeXml(value!)}"`)
    .join('');
  return children.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${children.join('')}</${name}>`;
}

/** A line of text. */
export function textElement(text: string, attributes: Attributes): string {
  return element('text', attributes, escapeXml(text));
}

/** A path through points. */
export function polyline(points: readonly (readonly [number, number])[], decimals = 2): string {
  return `M${points.map(([x, y]) => `${short(x, decimals)} ${short(y, decimals)}`).join('L')}`;
}

/** Text over lines: a rim of the background keeps it readable. */
export const haloStyle = {
  ...{ 'paint-order': 'stroke', stroke: '#ffffff', 'stroke-width': 3.5, 'stroke-linejoin': 'round' },
} as const;

/** Puts content at (x, y). */
export function moved(x: number, y: number, content: string): string {
  return element('g', { transform: `translate(${short(x)} ${short(y)})` }, content);
}

/** Content that is cut off at a rectangle, in the coordinates outside it. */
export function clipped(box: Box, content: string): string {
  const { left, top, width, height } = box;
  // A nested viewport clips without an id, which several charts in one document would share.
  const viewBox = [left, top, width, height].map(short).join(' ');
  return element('svg', { x: left, y: top, width, height, viewBox, overflow: 'hidden' }, content);
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}
