import { describe, expect, it } from 'vitest';
import { markdownTable, ProgressBar, type ProgressOptions, textTable } from '../../lib/report/index.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences of a terminal
const kEscapes = /\u001b\[[\d;]*[mK]/g;

/** A progress bar on a stream and a clock of the test's own. */
function bench(options: Partial<ProgressOptions> & { columns?: number; isTTY?: boolean } = {}) {
  const { columns = 100, isTTY = true, ...rest } = options;
  const written: string[] = [];
  const time = { now: 0 };
  const bar = new ProgressBar({
    ...{ label: 'training', total: 1000, unit: 'steps', env: {} },
    ...{ clock: () => time.now, stream: { isTTY, columns, write: (text: string) => written.push(text) } },
    ...rest,
  });
  return { bar, written, time, last: () => (written.at(-1) ?? '').replace(kEscapes, '').replace(/\r/g, '') };
}

describe('ProgressBar on a terminal', () => {
  it('shows the share, the count, the numbers, the speed and the time left', () => {
    const { bar, time, last } = bench();
    bar.update(0);
    for (let step = 100; step <= 500; step += 100) {
      time.now += 1000;
      bar.update(step, { loss: 2.3456789, rate: '2.4 bits' });
    }
    expect(last()).toMatch(
      /^training ━{9,}─{9,} 50% {2}500\/1,000 steps {2}loss 2\.346, rate 2\.4 bits {2}100 steps\/s {2}5 s left$/,
    );
    expect(last().length).toBeLessThan(100);
  });

  it('draws at most ten times a second', () => {
    const { bar, time, written } = bench();
    for (let step = 0; step < 1000; step++) {
      time.now += 1;
      bar.update(step);
    }
    expect(written.length).toBeLessThanOrEqual(11);
  });

  it.each([10, 12, 20, 30, 40, 60, 80, 200])('keeps within %i columns', (columns) => {
    const { bar, time, written } = bench({ columns });
    for (let step = 0; step <= 1000; step += 50) {
      time.now += 500;
      bar.update(step, { loss: 1.234, rate: 5.678, distortion: 0.0123 });
    }
    const widths = written.map((text) => text.replace(kEscapes, '').replace('\r', '').length);
    expect(Math.max(...widths)).toBeLessThan(columns);
    expect(written.at(-1)).toMatch(/^\r[^\r\n]*$/);
  });

  it('a pause is soon forgotten, and a resumed run counts only what it did itself', () => {
    const { bar, time, last } = bench({ total: 100_000, done: 50_000 });
    bar.update(50_000);
    time.now += 60_000; // compiling
    bar.update(50_001);
    for (let step = 50_100; step <= 56_000; step += 100) {
      time.now += 1000;
      bar.update(step);
    }
    expect(last()).toMatch(/ (99(\.\d)?|100) steps\/s/);
  });

  it('print() puts a line above the bar, end() removes it', () => {
    const { bar, written, last } = bench();
    bar.update(10);
    bar.print('checkpoint written');
    expect(written.at(-2)).toBe('\r\u001b[Kcheckpoint written\n');
    expect(last()).toContain('10/1,000 steps');
    bar.end();
    expect(written.at(-1)).toBe('\r\u001b[K');
    const { length } = written;
    bar.end();
    expect(written).toHaveLength(length);
  });

  it('has colours, and none with NO_COLOR', () => {
    const colored = bench();
    colored.bar.update(500);
    expect(colored.written[0]).toContain('\u001b[36m');
    const plain = bench({ env: { NO_COLOR: '1' } });
    plain.bar.update(500);
    expect(plain.written[0]).not.toMatch(/\[\d+m/);
  });
});

describe('ProgressBar elsewhere', () => {
  it.each([
    ['a pipe', { isTTY: false }],
    ['CI', { env: { CI: 'true' } }],
    ['a dumb terminal', { env: { TERM: 'dumb' } }],
  ])('writes a plain line every few seconds: %s', (_, options) => {
    const { bar, time, written } = bench(options);
    for (let step = 0; step <= 200; step++) {
      time.now += 100;
      bar.update(step, { loss: 0.5 });
    }
    bar.end();
    expect(written).toHaveLength(4);
    expect(written[1]).toMatch(
      /^training: 99 of 1,000 steps \(9%\), loss 0\.5, 9\.88 steps\/s, 91 s left\n$/,
    );
  });

  it('writes nothing for work that ends within seconds, or when quiet', () => {
    const short = bench({ isTTY: false });
    short.bar.update(1000);
    short.bar.end();
    expect(short.written).toEqual([]);
    const quiet = bench({ quiet: true });
    quiet.time.now = 60_000;
    quiet.bar.update(500);
    quiet.bar.end();
    expect(quiet.written).toEqual([]);
  });

  it('nothing to do is no division by zero', () => {
    const { bar, last } = bench({ total: 0 });
    bar.update(0);
    expect(last()).toMatch(/0% {2}0\/0 steps/);
  });
});

describe('tables', () => {
  const table = {
    columns: ['', 'bits', { title: 'note', align: 'left' as const }],
    rows: [
      ['raw', '6,272', 'pixels'],
      ['BINCE', '41.7', 'a | b\nc'],
    ],
  };

  it('aligns for a terminal', () => {
    expect(textTable(table, { stream: { isTTY: false } })).toBe(
      [
        '         bits   note',
        '───────────────────────',
        'raw     6,272   pixels',
        'BINCE    41.7   a | b c',
      ].join('\n'),
    );
  });

  it('aligns in Markdown, and escapes what would end a cell', () => {
    expect(markdownTable(table)).toBe(
      [
        '|       |  bits | note     |',
        '| ----- | ----: | -------- |',
        '| raw   | 6,272 | pixels   |',
        '| BINCE |  41.7 | a \\| b c |',
      ].join('\n'),
    );
  });

  it('colours rows on a terminal', () => {
    const text = textTable(table, {
      stream: { isTTY: true },
      style: (row) => (row === 1 ? 'green' : undefined),
    });
    const lines = text.split('\n');
    if (process.env['NO_COLOR']) expect(text).not.toContain('\u001b');
    else
      expect(lines.map((line) => line.split('\u001b[')[1]?.split('m')[0])).toEqual([
        '1',
        undefined,
        undefined,
        '32',
      ]);
  });

  it('refuses rows that do not fit', () => {
    expect(() => textTable({ columns: ['a', 'b'], rows: [['1']] })).toThrow(/rows\[0\]: expected 2 cells/);
    expect(() => markdownTable({ columns: [], rows: [] })).toThrow(/columns: expected at least one/);
  });
});
