/**
 * Progress on stderr: a bar that is redrawn on a terminal; a plain line every few seconds where stderr is a file, a
 * pipe or a CI log; nothing when quiet.
 */
import { count, duration, significant } from './number_text.js';
import { paint, type TextStream } from './terminal_style.js';

const kRedrawMs = 100;
const kLineMs = 5000;
const kBarCells = 24;
const kLeastBarCells = 8;
/** The rate is that of about the last ten seconds, so that a pause for evaluation is soon forgotten. */
const kRateSeconds = 10;
const kClearLine = '\r\u001b[K';

/** Where progress goes: process.stderr, or anything that writes. */
export interface ProgressStream extends TextStream {
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** What is done: `training`. */
  readonly label: string;
  readonly total: number;
  /** What is counted: `steps`. */
  readonly unit: string;
  readonly quiet?: boolean | undefined;
  /** How much of the total was done before: a resumed run. Default 0. */
  readonly done?: number;
  readonly stream?: ProgressStream;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds of a clock that does not go back. */
  readonly clock?: () => number;
}

/** Numbers shown behind the count: `{ loss: 2.31 }` as `loss 2.31`; or a text as it is. */
export type ProgressNumbers = string | Readonly<Record<string, number | string>>;

export class ProgressBar {
  readonly #options: ProgressOptions;
  readonly #stream: ProgressStream;
  readonly #env: NodeJS.ProcessEnv;
  readonly #clock: () => number;
  readonly #mode: 'bar' | 'lines' | 'none';
  #shown: number;
  #drawn = false;
  #done: number;
  #note = '';
  #rate = 0;
  #rateTime: number;
  #rateDone: number;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#stream = options.stream ?? process.stderr;
    this.#env = options.env ?? process.env;
    this.#clock = options.clock ?? (() => performance.now());
    const bar = this.#stream.isTTY === true && !this.#env['CI'] && this.#env['TERM'] !== 'dumb';
    this.#mode = options.quiet ? 'none' : bar ? 'bar' : 'lines';
    // A terminal sees the bar at once; a log gets no line from work that ends within seconds.
    this.#rateTime = this.#clock();
    this.#shown = bar ? Number.NEGATIVE_INFINITY : this.#rateTime;
    this.#done = options.done ?? 0;
    this.#rateDone = this.#done;
  }

  /** Tells how far the work is, with the numbers of now: a loss, a rate. */
  update(done: number, numbers: ProgressNumbers = ''): void {
    this.#done = done;
    if (this.#mode === 'none') return;
    const now = this.#clock();
    if (now - this.#shown < (this.#mode === 'bar' ? kRedrawMs : kLineMs)) return;
    this.#shown = now;
    this.#note = typeof numbers === 'string' ? numbers : namedNumbers(numbers);
    this.#measureRate(now);
    if (this.#mode === 'bar') this.#draw();
    else this.#stream.write(`${this.#line()}\n`);
  }

  /** Writes a line of its own, above the bar. */
  print(text: string): void {
    this.#stream.write(`${this.#drawn ? kClearLine : ''}${text}\n`);
    if (this.#drawn) this.#draw();
  }

  /** Removes the bar, so that results and errors begin on a clean line. */
  end(): void {
    if (this.#drawn) this.#stream.write(kClearLine);
    this.#drawn = false;
  }

  #measureRate(now: number): void {
    const seconds = (now - this.#rateTime) / 1000;
    if (seconds <= 0 || this.#done <= this.#rateDone) return;
    const recent = (this.#done - this.#rateDone) / seconds;
    const weight = this.#rate > 0 ? 1 - Math.exp(-seconds / kRateSeconds) : 1;
    this.#rate += weight * (recent - this.#rate);
    this.#rateTime = now;
    this.#rateDone = this.#done;
  }

  #share(): number {
    const { total } = this.#options;
    return total > 0 ? Math.min(1, Math.max(0, this.#done / total)) : 0;
  }

  /** The speed and the time left, once they are known. */
  #pace(): string[] {
    if (this.#rate <= 0) return [];
    const left = Math.max(0, this.#options.total - this.#done) / this.#rate;
    const speed = `${significant(Number(this.#rate.toPrecision(3)))} ${this.#options.unit}/s`;
    return left > 0 ? [speed, `${duration(left < 10 ? Math.ceil(left) : Math.round(left))} left`] : [speed];
  }

  #line(): string {
    const { label, total, unit } = this.#options;
    const counted = `${count(this.#done)} of ${count(total)} ${unit} (${Math.floor(100 * this.#share())}%)`;
    return `${label}: ${[counted, ...(this.#note ? [this.#note] : []), ...this.#pace()].join(', ')}`;
  }

  /** One terminal line: what does not fit is left out from the end, but the bar narrows first. */
  #draw(): void {
    const { label, total, unit } = this.#options;
    const columns = Math.max(1, (this.#stream.columns || 80) - 1);
    const percent = `${Math.floor(100 * this.#share())}%`.padStart(4);
    const parts = [`${count(this.#done)}/${count(total)} ${unit}`, this.#note, ...this.#pace()];
    const tail = parts.filter(Boolean).join('  ');
    const fixed = label.length + 1 + percent.length + 2;
    const cells = Math.max(kLeastBarCells, Math.min(kBarCells, columns - fixed - 1 - tail.length));
    const full = Math.round(this.#share() * cells);
    const shade = (style: 'cyan' | 'dim', text: string) => paint(this.#stream, style, text, this.#env);
    const room = columns - fixed - 1 - cells;
    const head = `${label} ${shade('cyan', '━'.repeat(full))}${shade('dim', '─'.repeat(cells - full))}${percent}`;
    const text = room >= 0 ? `${head}  ${clip(tail, room)}` : clip(`${label}${percent} ${parts[0]}`, columns);
    this.#stream.write(`\r${text.trimEnd()}\u001b[K`);
    this.#drawn = true;
  }
}

function clip(text: string, room: number): string {
  return text.length <= room ? text : room < 2 ? '' : `${text.slice(0, room - 1)}…`;
}

function namedNumbers(numbers: Readonly<Record<string, number | string>>): string {
  return Object.entries(numbers)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? significant(value) : value}`)
    .join(', ');
}
