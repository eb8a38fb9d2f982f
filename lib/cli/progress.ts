/**
 * Progress on stderr: a bar that is redrawn on a terminal; a plain line every few seconds where stderr is a file, a
 * pipe or a CI log; nothing when quiet.
 */
import { count, duration, paint } from './terminal.js';

const kRedrawMs = 100;
const kLineMs = 5000;
const kBarCells = 24;

export class Progress {
  readonly #label: string;
  readonly #unit: string;
  readonly #total: number;
  readonly #mode: 'bar' | 'lines' | 'none';
  readonly #started = performance.now();
  #shown: number;
  #drawn = false;
  #done = 0;
  #note = '';

  constructor(label: string, total: number, unit: string, quiet: boolean) {
    this.#label = label;
    this.#total = total;
    this.#unit = unit;
    const bar = process.stderr.isTTY && !process.env['CI'] && process.env['TERM'] !== 'dumb';
    this.#mode = quiet ? 'none' : bar ? 'bar' : 'lines';
    // A terminal sees the bar at once; a log gets no line from work that ends within seconds.
    this.#shown = bar ? Number.NEGATIVE_INFINITY : this.#started;
  }

  /** Tells how far the work is; `note` stands after the numbers (a loss, a rate). */
  update(done: number, note = ''): void {
    this.#done = done;
    this.#note = note;
    const now = performance.now();
    if (this.#mode === 'none' || now - this.#shown < (this.#mode === 'bar' ? kRedrawMs : kLineMs)) return;
    this.#shown = now;
    if (this.#mode === 'bar') this.#drawBar();
    else process.stderr.write(`${this.#text()}\n`);
  }

  /** Removes the bar, so that results and errors begin on a clean line. */
  end(): void {
    if (this.#drawn) process.stderr.write('\r\u001b[K');
    this.#drawn = false;
  }

  #text(): string {
    const seconds = (performance.now() - this.#started) / 1000;
    const share = this.#total > 0 ? Math.min(1, this.#done / this.#total) : 0;
    const left =
      share > 0.02 && share < 1 ? `, ${duration(Math.round((seconds / share) * (1 - share)))} left` : '';
    const note = this.#note ? `, ${this.#note}` : '';
    return `${this.#label}: ${count(this.#done)} of ${count(this.#total)} ${this.#unit} (${Math.floor(100 * share)}%)${note}${left}`;
  }

  #drawBar(): void {
    const share = this.#total > 0 ? Math.min(1, this.#done / this.#total) : 0;
    const cells = Math.round(share * kBarCells);
    const bar =
      paint(process.stderr, 'cyan', '━'.repeat(cells)) +
      paint(process.stderr, 'dim', '─'.repeat(kBarCells - cells));
    const width = Math.max(20, (process.stderr.columns || 80) - kBarCells - 2);
    process.stderr.write(`\r\u001b[K${bar} ${this.#text().slice(0, width)}`);
    this.#drawn = true;
  }
}
