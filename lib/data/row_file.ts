/**
 * Rows at fixed places of a file, read in batches: what .npy, .safetensors and .fvecs have in common once their
 * headers are read. Memory is bounded by a batch, whatever the file's size.
 */
import type { FileHandle } from 'node:fs/promises';
import { leaveMemory, takeMemory } from '../codec/spare_memory.js';
import { StageClock } from '../codec/stage_clock.js';
import { BinceError, invalidArgument } from '../errors.js';
import { readBytes } from '../file_bytes.js';
import { bfloat16ToFloat32, float16ToFloat32 } from './half_floats.js';

export type VectorDtype = 'float32' | 'float16' | 'bfloat16' | 'float64';
export type VectorFormat = 'npy' | 'safetensors' | 'fvecs';

export const dtypeBytes: Readonly<Record<VectorDtype, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float64: 8,
};

/** Where the rows of a file are. */
export interface RowLayout {
  readonly format: VectorFormat;
  readonly rows: number;
  readonly channels: number;
  readonly dtype: VectorDtype;
  /** Byte offset of the first row. */
  readonly offset: number;
  /** Bytes before the values of each row (.fvecs repeats the number of channels there). */
  readonly prefixBytes: number;
}

export interface BatchOptions {
  /** Rows of a batch; by default as many as make about 4 MiB of float32. */
  readonly rows?: number | undefined;
  /** First row, by default 0. */
  readonly from?: number | undefined;
  /** End row, exclusive; by default the number of rows. */
  readonly to?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Use the same two arrays for all batches: each is then valid only until the next is asked for. Default false. */
  readonly reuse?: boolean | undefined;
  /** Let NaN and infinity through: the caller looks for them. Default false. */
  readonly unchecked?: boolean | undefined;
}

const kBatchBytes = 4 << 20;

/** An open file of vectors. */
export class VectorFile {
  readonly path: string;
  readonly format: VectorFormat;
  readonly rows: number;
  readonly channels: number;
  readonly dtype: VectorDtype;
  readonly #layout: RowLayout;
  readonly #file: FileHandle;
  readonly #clock = new StageClock();

  constructor(path: string, file: FileHandle, layout: RowLayout) {
    this.path = path;
    this.format = layout.format;
    this.rows = layout.rows;
    this.channels = layout.channels;
    this.dtype = layout.dtype;
    this.#layout = layout;
    this.#file = file;
  }

  /** Bytes of the values alone, in the file's own dtype: what a compression ratio compares with. */
  get valueBytes(): number {
    return this.rows * this.channels * dtypeBytes[this.dtype];
  }

  /** Seconds that were spent on reading rows and making float32 of them. */
  get readSeconds(): number {
    return this.#clock.seconds;
  }

  /**
   * Whole rows as float32, in order, each batch an array of its own. The next batch is read while the caller works
   * on this one. Throws BINCE_INVALID_VALUE with the row for NaN and infinity, BINCE_CORRUPT_DATA for a file that
   * is shorter than its header says.
   */
  async *batches(options: BatchOptions = {}): AsyncGenerator<Float32Array, void, undefined> {
    const from = options.from ?? 0;
    const to = options.to ?? this.rows;
    const size = options.rows ?? Math.max(1, Math.floor(kBatchBytes / (4 * this.channels)));
    if (!Number.isInteger(from) || from < 0 || from > this.rows)
      invalidArgument('from', `a row from 0 to ${this.rows}`, from);
    if (!Number.isInteger(to) || to < from || to > this.rows)
      invalidArgument('to', `a row from ${from} to ${this.rows}`, to);
    if (!Number.isInteger(size) || size < 1) invalidArgument('rows', 'a positive integer', size);
    const spare: ArrayBuffer[] = [];
    const begin = (row: number) => {
      const reading = this.#read(row, Math.min(to, row + size), options, spare.pop());
      // The read ahead may fail while the caller is busy: its failure is reported when it is awaited.
      reading.catch(() => undefined);
      return reading;
    };
    let next = from < to ? begin(from) : undefined;
    try {
      for (let row = from; next; row += size) {
        options.signal?.throwIfAborted();
        const batch: Float32Array = await next;
        next = row + size < to ? begin(row + size) : undefined;
        yield batch;
        if (options.reuse) spare.push(batch.buffer as ArrayBuffer);
      }
    } finally {
      await next?.catch(() => undefined);
      for (const memory of spare) leaveMemory(memory);
    }
  }

  /** Throws BINCE_INVALID_VALUE for the first NaN or infinity in a batch that begins with row `from` of the file. */
  check(batch: Float32Array, from: number): void {
    checkFinite(batch, this.channels, from, this.path);
  }

  async #read(
    from: number,
    to: number,
    options: BatchOptions,
    memory: ArrayBuffer | undefined,
  ): Promise<Float32Array> {
    const { channels, dtype, offset, prefixBytes } = this.#layout;
    const rowBytes = prefixBytes + channels * dtypeBytes[dtype];
    const rows = to - from;
    // Rows become float32 where they were read to; narrower ones are read to the end of the room for that.
    const room = rows * Math.max(rowBytes, 4 * channels);
    const fits = memory && memory.byteLength >= room;
    const buffer = fits ? memory : options.reuse ? takeMemory(room) : new ArrayBuffer(room);
    const bytes = new Uint8Array(buffer, room - rows * rowBytes, rows * rowBytes);
    return await this.#clock.time(async () => {
      await readFully(this.#file, bytes, offset + from * rowBytes, this.path);
      const values = prefixBytes
        ? unprefixed(bytes, channels, from, this.path)
        : toFloat32(bytes, dtype, this.path, from, channels);
      if (!options.unchecked) this.check(values, from);
      return values;
    });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Fills `bytes` from `position` on; BINCE_CORRUPT_DATA when the file ends before that. */
export async function readFully(
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  const done = await readBytes(file, bytes, position);
  if (done < bytes.length)
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: ends at byte ${position + done}, in the middle`, {
      hint: 'the file was cut off; copy or write it again',
    });
}

/** The values that `bytes` hold, as float32 from the beginning of their buffer on. */
function toFloat32(bytes: Uint8Array, dtype: VectorDtype, path: string, from: number, channels: number) {
  const { buffer, byteOffset } = bytes;
  const count = bytes.length / dtypeBytes[dtype];
  const out = new Float32Array(buffer, 0, count);
  if (dtype === 'float32') return out;
  if (dtype === 'float64') {
    const wide = new Float64Array(buffer, byteOffset, count);
    for (let i = 0; i < count; i++) {
      const value = wide[i]!;
      out[i] = value;
      if (Math.abs(out[i]!) === Number.POSITIVE_INFINITY && Number.isFinite(value)) {
        const row = from + Math.floor(i / channels);
        throw new BinceError(
          'BINCE_INVALID_VALUE',
          `${path}: row ${row}, channel ${i % channels}: ${value} is beyond float32`,
          { hint: 'scale the vectors down before compressing them' },
        );
      }
    }
    return out;
  }
  // Value i is written over values that were read before: those end at byte 2 * (count + i + 1) >= 4 * (i + 1).
  const bits = new Uint16Array(buffer, byteOffset, count);
  if (dtype === 'float16') float16ToFloat32(bits, out);
  else bfloat16ToFloat32(bits, out);
  return out;
}

/** Drops the int32 before each float32 row, which must be the number of channels, by moving the rows together. */
function unprefixed(bytes: Uint8Array, channels: number, from: number, path: string): Float32Array {
  const words = new Int32Array(bytes.buffer, 0, bytes.length / 4);
  const rows = words.length / (channels + 1);
  for (let row = 0; row < rows; row++) {
    const start = row * (channels + 1);
    if (words[start] !== channels) {
      throw new BinceError(
        'BINCE_CORRUPT_DATA',
        `${path}: row ${from + row} says it has ${words[start]} channels, the first row has ${channels}`,
        { hint: 'all vectors of an .fvecs file must have the same length' },
      );
    }
    words.copyWithin(row * channels, start + 1, start + 1 + channels);
  }
  return new Float32Array(bytes.buffer, 0, rows * channels);
}

/** Throws BINCE_INVALID_VALUE that names the first row with NaN or infinity. */
function checkFinite(values: Float32Array, channels: number, from: number, path: string): void {
  let probe = 0; // stays 0 while every value is finite
  for (let i = 0; i < values.length; i++) probe += values[i]! * 0;
  if (probe === 0) return;
  const index = values.findIndex((value) => !Number.isFinite(value));
  throw new BinceError(
    'BINCE_INVALID_VALUE',
    `${path}: row ${from + Math.floor(index / channels)}, channel ${index % channels} is ${values[index]}`,
    { hint: 'only finite numbers can be compressed; remove the row or fill in the value' },
  );
}
