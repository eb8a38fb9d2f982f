/** Where a command's words go: results to stdout, progress and errors to stderr. */
import { once } from 'node:events';
import { paint } from '../report/terminal_style.js';

export { bytes, count, duration, plural, significant } from '../report/number_text.js';
export { paint, type Style, usesColor } from '../report/terminal_style.js';

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
