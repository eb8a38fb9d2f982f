/** Colours on a terminal, where it can and may show them. */

/** Terminal styles by their SGR numbers. */
const styles = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;
export type Style = keyof typeof styles;

/** What colouring asks of a stream; every writable stream has enough of it. */
export interface TextStream {
  readonly isTTY?: boolean | undefined;
}

/** Whether to colour a stream: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal that can. */
export function usesColor(stream: TextStream, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env['NO_COLOR']) return false;
  if (env['FORCE_COLOR'] && env['FORCE_COLOR'] !== '0') return true;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

export function paint(
  stream: TextStream,
  style: Style,
  text: string,
  env: NodeJS.ProcessEnv = process.env,
): string {
  if (!usesColor(stream, env)) return text;
  const [on, off] = styles[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}
