/** How fast a file was written or read, and what the time went into. */
import { bytes, count, duration, significant } from './terminal.js';

/** Seconds that each stage was at work. They overlap, so they may add up to more than the time that passed. */
export interface StageSeconds {
  readonly reading: number;
  readonly coding: number;
  readonly writing: number;
  /** Waiting for the disk at the end. */
  readonly syncing: number;
}

export interface Work {
  readonly rows: number;
  readonly channels: number;
  /** Of the values as they are outside the .bince file. */
  readonly valueBytes: number;
  /** From the first read to the finished file. */
  readonly seconds: number;
  readonly stages: StageSeconds;
}

const kStages = ['reading', 'coding', 'writing', 'syncing'] as const;

/** For programs: rates, and each stage's seconds and share of the time. */
export function speedSummary({ rows, channels, valueBytes, seconds, stages }: Work): object {
  return {
    seconds,
    rowsPerSecond: rows / seconds,
    symbolsPerSecond: (rows * channels) / seconds,
    bytesPerSecond: valueBytes / seconds,
    stages: Object.fromEntries(
      kStages.map((name) => [name, { seconds: stages[name], share: stages[name] / seconds }]),
    ),
  };
}

/** For people: the same in two lines. */
export function speedLines({ rows, channels, valueBytes, seconds, stages }: Work): [string, string][] {
  const symbols = significant(Number(((rows * channels) / seconds / 1e6).toPrecision(3)));
  const rate = Number((valueBytes / seconds).toPrecision(3));
  const parts = kStages.map((name) => {
    const share = Math.round((100 * stages[name]) / seconds);
    return `${name} ${stageTime(stages[name])} (${share}%)`;
  });
  return [
    [
      'speed',
      `${count(rows / seconds)} rows/s, ${symbols} Msymbol/s, ${bytes(rate)}/s of values (${duration(seconds)})`,
    ],
    ['at work', `${parts.join(', ')}; stages overlap`],
  ];
}

/** Stages of small files take less than a millisecond. */
function stageTime(seconds: number): string {
  return seconds >= 1 ? duration(seconds) : `${significant(Number((1000 * seconds).toPrecision(2)))} ms`;
}
