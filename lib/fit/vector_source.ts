/** What a model is fitted to: rows that can be read in batches, from a file or from memory. */
import { BinceError, invalidArgument } from '../errors.js';

/** The part of a file of vectors that fitting needs; lib/data's VectorFile is one. */
export interface VectorSource {
  readonly rows: number;
  readonly channels: number;
  readonly dtype?: string;
  batches(options?: {
    rows?: number;
    from?: number;
    to?: number;
    signal?: AbortSignal | undefined;
  }): AsyncIterable<Float32Array>;
}

/** Rows in memory, row-major [rows][channels]. */
export function vectorsInMemory(values: Float32Array, channels: number): VectorSource {
  if (!(values instanceof Float32Array)) invalidArgument('values', 'a Float32Array', values);
  if (!Number.isInteger(channels) || channels < 1)
    invalidArgument('channels', 'a positive integer', channels);
  if (values.length === 0 || values.length % channels !== 0)
    invalidArgument('values', `at least one whole row of ${channels} channels`, values);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    const row = Math.floor(bad / channels);
    throw new BinceError('BINCE_INVALID_VALUE', `row ${row}, channel ${bad % channels} is ${values[bad]}`, {
      hint: 'only finite numbers can be compressed',
    });
  }
  const rows = values.length / channels;
  return {
    rows,
    channels,
    dtype: 'float32',
    async *batches({ rows: size = rows, from = 0, to = rows, signal } = {}) {
      for (let row = from; row < to; row += size) {
        signal?.throwIfAborted();
        yield values.subarray(row * channels, Math.min(to, row + size) * channels);
      }
    },
  };
}

/** Rows that stand for all: row-major [rows][channels]. */
export interface Sample {
  readonly values: Float32Array;
  readonly rows: number;
  readonly channels: number;
}

/** Runs of rows that a sample of a large file is made of. */
const kRuns = 256;

/**
 * All rows where they fit into `maxBytes`, else evenly spaced runs of consecutive rows: a file that was sorted or
 * written in parts is still covered from end to end, and only the sample is read.
 */
export async function sampleRows(
  source: VectorSource,
  options: { maxBytes?: number; signal?: AbortSignal | undefined } = {},
): Promise<Sample> {
  const { rows, channels } = source;
  const { maxBytes = 256 << 20, signal } = options;
  const wanted = Math.min(rows, Math.max(1, Math.floor(maxBytes / (4 * channels))));
  const runs = wanted === rows ? 1 : Math.min(kRuns, wanted);
  const values = new Float32Array(wanted * channels);
  let at = 0;
  for (let run = 0; run < runs; run++) {
    const length = Math.floor(((run + 1) * wanted) / runs) - Math.floor((run * wanted) / runs);
    const from = Math.floor((run * rows) / runs);
    for await (const batch of source.batches({ from, to: from + length, signal })) {
      values.set(batch, at);
      at += batch.length;
    }
  }
  return { values, rows: wanted, channels };
}

/** At most `rows` evenly spaced rows of a sample; the sample itself where it is small enough. */
export function thinSample(sample: Sample, rows: number): Sample {
  if (rows >= sample.rows) return sample;
  const { channels } = sample;
  const values = new Float32Array(rows * channels);
  for (let i = 0; i < rows; i++) {
    const row = Math.floor((i * sample.rows) / rows);
    values.set(sample.values.subarray(row * channels, (row + 1) * channels), i * channels);
  }
  return { values, rows, channels };
}

/** Copies channel `channel` of a sample into `out` [rows]. */
export function readColumn(sample: Sample, channel: number, out: Float32Array): void {
  const { values, rows, channels } = sample;
  for (let i = 0, at = channel; i < rows; i++, at += channels) out[i] = values[at]!;
}
