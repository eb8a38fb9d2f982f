/** Writes a .npy file row by row: streamed, and put in place by rename once it is whole. */
import { type ByteSink, NewFileSink, StreamSink } from '../codec/byte_sink.js';
import { StageClock } from '../codec/stage_clock.js';
import { invalidArgument } from '../errors.js';
import { float32ToFloat16 } from './half_floats.js';
import { buildNpyHeader } from './npy_header.js';

export interface NpyShape {
  readonly rows: number;
  readonly channels: number;
  readonly dtype?: 'float32' | 'float16' | 'int32';
}

const descrOf = { float32: '<f4', float16: '<f2', int32: '<i4' } as const;

/** A .npy file being written. `finish` puts it in place, `abort` leaves nothing behind. */
export class NpyWriter {
  readonly #sink: ByteSink;
  readonly #shape: Required<NpyShape>;
  readonly #clocks = { writing: new StageClock(), syncing: new StageClock() };
  #halves: Uint16Array | undefined;
  #rows = 0;

  private constructor(sink: ByteSink, shape: Required<NpyShape>) {
    this.#sink = sink;
    this.#shape = shape;
  }

  /** Starts a file (given as a path) or a stream. The number of rows must be known: it stands in the header. */
  static async create(target: string | NodeJS.WritableStream, shape: NpyShape): Promise<NpyWriter> {
    const { rows, channels, dtype = 'float32' } = shape;
    if (!Number.isSafeInteger(rows) || rows < 0) invalidArgument('rows', 'a number of rows', rows);
    if (!Number.isInteger(channels) || channels < 1)
      invalidArgument('channels', 'a positive integer', channels);
    const sink = typeof target === 'string' ? await NewFileSink.create(target) : new StreamSink(target);
    const writer = new NpyWriter(sink, { rows, channels, dtype });
    await writer.#write(() => buildNpyHeader(descrOf[dtype], [rows, channels]));
    return writer;
  }

  /** Seconds at work so far: rounding rows to the file's type and handing them to it; waiting for the disk at the end. */
  get seconds(): { readonly writing: number; readonly syncing: number } {
    return { writing: this.#clocks.writing.seconds, syncing: this.#clocks.syncing.seconds };
  }

  /** Appends whole rows. */
  async write(values: Float32Array | Int32Array): Promise<void> {
    const { channels, dtype, rows } = this.#shape;
    if (values.length % channels !== 0)
      invalidArgument('values', `whole rows of ${channels} channels`, values);
    if ((dtype === 'int32') !== values instanceof Int32Array)
      invalidArgument('values', dtype === 'int32' ? 'an Int32Array' : 'a Float32Array', values);
    this.#rows += values.length / channels;
    if (this.#rows > rows) invalidArgument('values', `at most ${rows} rows in all`, values);
    await this.#write(() => {
      if (dtype !== 'float16') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      const bits = this.#roomForHalves(values.length);
      float32ToFloat16(values as Float32Array, bits);
      return new Uint8Array(bits.buffer, 0, bits.byteLength);
    });
  }

  /** The same memory again, where the sink has done with it. */
  #roomForHalves(count: number): Uint16Array {
    const isFree = this.#sink.copies && this.#halves && this.#halves.length >= count;
    if (!isFree) this.#halves = new Uint16Array(count);
    return this.#halves!.subarray(0, count);
  }

  async #write(bytesOf: () => Uint8Array): Promise<void> {
    try {
      await this.#clocks.writing.time(() => this.#sink.write(bytesOf()));
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  /** Checks that every row was written, and puts the file in place. */
  async finish(): Promise<void> {
    if (this.#rows !== this.#shape.rows) {
      await this.abort();
      invalidArgument('rows written', String(this.#shape.rows), this.#rows);
    }
    await this.#clocks.syncing.time(() => this.#sink.close());
  }

  async abort(): Promise<void> {
    await this.#sink.abort();
  }
}
