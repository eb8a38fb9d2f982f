/** Where a command's words go: results to stdout, progress and errors to stderr. */
import { once } from 'node:events';

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

type Stream = NodeJS.WriteStream;

/** Whether to colour a stream: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal that can. */
export function usesColor(stream: Stream, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env['NO_COLOR']) return false;
  if (env['FORCE_COLOR'] && env['FORCE_COLOR'] !== '0') return true;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

export function paint(stream: Stream, style: Style, text: string): string {
  if (!usesColor(stream)) return text;
  const [on, off] = styles[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** What a command tells: lines for people, or one JSON object a line for programs. */
export class Reporter {
  readonly json: boolean;
  readonly quiet: boolean;

  constructor(options: { json?: boolean | undefined; quiet?: boolean | undefined }) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
  }

  /** Prints one result: as a JSON line, or as the text. */
  async result(value: object, text: () => string): Promise<void> {
    await print(this.json ? JSON.stringify(value) : text());
  }

  /** Prints a line for people only. */
  async line(text: string): Promise<void> {
    if (!this.json) await print(text);
  }

  /** A remark on stderr, for people: what was chosen for them, what may surprise. */
  note(text: string): void {
    if (!this.quiet) process.stderr.write(`${paint(process.stderr, 'dim', text)}\n`);
  }
}

async function print(text: string): Promise<void> {
  if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain');
}

/** Aligned "name  value" lines. */
export function fields(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .map(([name, value]) => `${paint(process.stdout, 'dim', name.padEnd(width))}  ${value}`)
    .join('\n');
}

/** 1234567 as `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `1 row`, `2,000 rows`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** Bytes as `12.3 MB` (powers of 1000). */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let scaled = value;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  return `${unit === 0 ? scaled : significant(scaled)} ${units[unit]}`;
}

/** A number with three or four significant digits, without exponents where people expect none. */
export function significant(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e12) return value.toExponential(2);
  if (size >= 1000) return count(value);
  if (size < 1e-3) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/** Seconds as `0.52 s` or `3 min 20 s`. */
export function duration(seconds: number): string {
  if (seconds < 100) return `${significant(Number(seconds.toPrecision(3)))} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
