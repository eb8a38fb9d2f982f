/** Writes .bince files from streams of rows. */
import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { BinceError, describe, invalidArgument } from '../errors.js';
import type { DeviceRows, EncodedBlocks } from '../kernels/coding.js';
import { describe as describeKernels } from '../kernels/description.js';
import { Tensor } from '../tensor/tensor.js';
import type { ByteSink } from './byte_sink.js';
import { fileError } from './file_errors.js';
import { type CodecModel, idealBits } from './model.js';
import { type Rows, rowError } from './row_check.js';
import { indexAndTrailer } from './section_bytes.js';
import { leaveMemory, takeMemory } from './spare_memory.js';
import { StageClock } from './stage_clock.js';
import { checkTensor, readRows } from './tensor_rows.js';
import { appendSession, newSession, type WriterOptions, type WriteSession } from './write_session.js';

/** A batch that says how many channels it has, so that a model that does not fit is noticed. */
export interface RowBatch {
  readonly data: Rows;
  readonly channels: number;
}

export interface WriterStatistics {
  /** Rows and blocks of this writer; an append counts its own. */
  readonly rows: number;
  readonly blocks: number;
  /** Bytes of the whole file so far; what rows wait for their block is not in it. */
  readonly bytes: number;
  /** Cross-entropy of the coded rows under the model's tables, in bits. */
  readonly idealBits: number;
  /** 8 times the bytes that this writer wrote, a row. */
  readonly bitsPerRow: number;
  /**
   * Seconds at work: quantising and coding rows, handing bytes to the file, and, when it is closed, waiting for the
   * disk. Coding and writing overlap.
   */
  readonly seconds: { readonly coding: number; readonly writing: number; readonly syncing: number };
}

/** Values that are encoded at once: two blocks for every thread, bounded in memory. */
const kThreadValues = 2 ** 22;
const kMaxChunkValues = 2 ** 24;
const kMaxChunkBlocks = 1024;
/** Fewer values than this are gathered before they are encoded. */
const kLeastValues = 2 ** 20;
const kYieldValues = 2 ** 20;
/** Chunks of one batch that are encoded or wait for their turn. */
const kEncodesAhead = 2;

/** Sections, in memory that serves again once they are stored, if it is given. */
interface CodedChunk {
  readonly blocks: EncodedBlocks;
  readonly memory: Uint8Array | undefined;
}

/** Why there is none: some value cannot be coded, or anything else. */
interface FailedChunk {
  readonly error: unknown;
  readonly isInvalidValue: boolean;
}

/**
 * A file in the making. Rows go in by `write`, in any batches; `close` puts the finished file in place, `abort` (or
 * any failure) leaves nothing: a new file is written under a temporary name and renamed, an append is cut back.
 *
 *     await using writer = await BinceWriter.create('out.bince', model);
 *     for await (const batch of batches) await writer.write(batch);
 *     const { bitsPerRow } = await writer.close();
 *
 * A row that cannot be coded (NaN, infinite, too far out) is an error that names the row of the file. The rows before
 * it are kept, it and the rest of its batch are not: the writer can go on, be closed, or be aborted.
 */
export class BinceWriter implements AsyncDisposable {
  private readonly session: WriteSession;
  private readonly runs: WriteSession['runs'];
  private readonly chunkRows: number;
  private readonly clocks = {
    coding: new StageClock(),
    writing: new StageClock(),
    syncing: new StageClock(),
  };
  /** Rows from which on whole blocks are encoded where the caller has them. */
  private readonly directRows: number;
  /** Memory for coded bytes that no chunk uses now, and how much of it a row may need. */
  private readonly spareCoded: Uint8Array[] = [];
  private codedRowBytes: number;
  /** Rows that wait for a chunk to be full, and the memory of the chunk that is being encoded. */
  private pending: Rows | undefined;
  private spare: Rows | undefined;
  private pendingRows = 0;
  private rowsTaken = 0;
  private valuesSinceYield = 0;
  private blocksSubmitted = 0;
  private blocksStored = 0;
  private rowsStored = 0;
  private offset: number;
  private bits = 0;
  /** The last chunk's encoding and storing; chunks are stored in order. */
  private tail: Promise<void> = Promise.resolve();
  /** Calls of `write` and `close` in order. */
  private calls: Promise<void> = Promise.resolve();
  private state: 'open' | 'closed' | 'aborted' | 'failed' = 'open';
  private failure: unknown;

  private constructor(session: WriteSession, threads: number) {
    this.session = session;
    this.runs = session.runs;
    this.offset = session.offset;
    const { blockRows, coding } = session;
    const blockValues = blockRows * coding.channels;
    const most = Math.min(kMaxChunkValues, kThreadValues * threads);
    const blocks = Math.min(kMaxChunkBlocks, Math.max(1, Math.floor(most / blockValues)));
    this.chunkRows = blocks * blockRows;
    const least = Math.max(threads, Math.ceil(kLeastValues / blockValues));
    this.directRows = Math.min(blocks, least) * blockRows;
    this.codedRowBytes = (1.1 * idealBits(coding)) / 8;
  }

  /**
   * Rows of a chunk that is encoded at once. Batches of so many rows, or of a multiple, are fastest: they are coded
   * where they are, on all threads. Batches smaller than a block for every thread are copied first.
   */
  get batchRows(): number {
    return this.chunkRows;
  }

  /** Begins a new file at a path, on a Node stream (which `close` ends, unless it is stdout) or in a sink. */
  static async create(
    target: string | NodeJS.WritableStream | ByteSink,
    model: CodecModel,
    options: WriterOptions = {},
  ): Promise<BinceWriter> {
    const { threads } = describeKernels(); // before there is a file that an error would leave
    const { session, header } = await newSession(target, model, options);
    const writer = new BinceWriter(session, threads);
    await writer.guard(() => writer.put(header));
    return writer;
  }

  /**
   * Goes on with a finished file: new blocks, a new index and a new trailer after the old ones. Should the process
   * die on the way, the old rows can be recovered. `recover` first cuts off what such a death left behind.
   */
  static async append(
    path: string,
    options: { readonly signal?: AbortSignal; readonly recover?: boolean } = {},
  ): Promise<BinceWriter> {
    options.signal?.throwIfAborted();
    const { threads } = describeKernels();
    let file: FileHandle;
    try {
      file = await open(path, 'r+');
    } catch (cause) {
      throw fileError('append to', path, cause);
    }
    try {
      return new BinceWriter(await appendSession(path, file, options), threads);
    } catch (error) {
      await file.close();
      throw fileError('append to', path, error);
    }
  }

  /**
   * Takes rows: n * channels values. The batch's memory may be used again once the promise is settled. Of a float32
   * tensor on a CUDA device whole blocks are coded there, while the blocks before them are being stored; what is left
   * of it, and other tensors, go through the host. The bytes are the same.
   */
  write(batch: Rows | RowBatch | Tensor): Promise<void> {
    return this.inOrder(() => (batch instanceof Tensor ? this.takeTensor(batch) : this.take(batch)));
  }

  /** Writes every batch of an iterable. After an error the writer is as after `write`. */
  async writeAll(
    batches: AsyncIterable<Rows | RowBatch | Tensor> | Iterable<Rows | RowBatch | Tensor>,
  ): Promise<void> {
    for await (const batch of batches) await this.write(batch);
  }

  /** Writes what is left, the index and the trailer, and puts the file in place. */
  close(): Promise<WriterStatistics> {
    return this.inOrder(async () => {
      this.assertOpen();
      await this.guard(async () => {
        await this.submitPending();
        await this.tail;
        const { headerCrc: crc, blockRows, finished } = this.session;
        const nothingNew = finished && this.blocksStored === 0;
        if (!nothingNew) await this.put(indexAndTrailer(this.runs, { crc, blockRows }, this.offset));
        await this.clocks.syncing.time(() => this.session.sink.close());
      });
      this.state = 'closed';
      for (const memory of [this.pending, this.spare, ...this.spareCoded]) leaveMemory(memory?.buffer);
      return this.statistics;
    });
  }

  /** Gives up: a new file never appears, an appended one is cut back to what it was. */
  async abort(): Promise<void> {
    if (this.state !== 'open') return;
    this.state = 'aborted';
    await this.calls;
    await this.tail.catch(() => {});
    // A close that was already on its way may have come to its end.
    if (this.state === 'aborted') await this.session.sink.abort();
  }

  get statistics(): WriterStatistics {
    const written = this.offset - this.session.offset;
    return {
      rows: this.rowsStored,
      blocks: this.blocksStored,
      bytes: this.offset,
      idealBits: this.bits,
      bitsPerRow: this.rowsStored > 0 ? (8 * written) / this.rowsStored : 0,
      seconds: {
        coding: this.clocks.coding.seconds,
        writing: this.clocks.writing.seconds,
        syncing: this.clocks.syncing.seconds,
      },
    };
  }

  /** Aborts unless closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  private inOrder<T>(call: () => Promise<T>): Promise<T> {
    const result = this.calls.then(call);
    this.calls = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  private assertOpen(): void {
    if (this.state === 'open') return;
    if (this.state === 'failed') throw this.failure;
    throw new BinceError('BINCE_INVALID_ARGUMENT', `the writer is ${this.state} already`);
  }

  /** Runs a step after whose failure nothing can be saved. */
  private async guard<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if (this.state === 'open') {
        this.state = 'failed';
        this.failure = error;
        await this.tail.catch(() => {});
        await this.session.sink.abort().catch(() => {});
      }
      throw error;
    }
  }

  private async take(batch: Rows | RowBatch): Promise<void> {
    this.assertOpen();
    const rows = this.checkBatch(batch);
    const { channels } = this.session.coding;
    for (let row = 0, end = rows.length / channels; row < end; ) {
      this.assertOpen();
      const { direct, count } = this.next(end - row);
      const piece = rows.subarray(row * channels, (row + count) * channels);
      const { stored, valid } = await this.guard(() =>
        direct ? this.encodeInPlace(piece) : this.keep(piece).then((valid) => ({ stored: valid, valid })),
      );
      const good = Math.floor(valid / channels);
      if (stored < valid) await this.guard(() => this.keep(piece.subarray(stored, good * channels)));
      if (!direct) await this.yieldSometimes(piece.length);
      const firstRow = this.session.firstRow + this.rowsTaken;
      this.rowsTaken += good;
      if (valid < piece.length) throw rowError(piece, valid, channels, firstRow);
      row += count;
    }
  }

  private async takeTensor(tensor: Tensor): Promise<void> {
    this.assertOpen();
    const { channels } = this.session.coding;
    const { blockRows } = this.session;
    checkTensor(tensor, channels);
    const onDevice = tensor.device !== 'cpu' && tensor.dtype === 'float32';
    for (let row = 0, end = tensor.size / channels; row < end; ) {
      const begun = this.pendingRows % blockRows;
      const left = end - row;
      const direct = onDevice && begun === 0 && left >= blockRows;
      const whole = Math.min(this.chunkRows, left - (left % blockRows));
      const count = direct ? whole : Math.min(left, onDevice ? blockRows - begun : this.chunkRows);
      const taken =
        direct && (await this.guard(() => this.submitOnDevice({ tensor, firstRow: row, rows: count })));
      if (taken) this.rowsTaken += count;
      else await this.take(await readRows(tensor, row * channels, count * channels));
      row += count;
    }
  }

  /**
   * Encodes whole blocks on their device. False where a value cannot be coded: nothing of them is taken then, and the
   * way through the host names it.
   */
  private async submitOnDevice(rows: DeviceRows): Promise<boolean> {
    await this.submitPending();
    const encoded = this.attempt(rows, this.blocksSubmitted);
    await this.tail;
    const chunk = await encoded;
    if ('error' in chunk) {
      if (chunk.isInvalidValue) return false;
      throw chunk.error;
    }
    this.submit(chunk);
    return true;
  }

  /** What to do with the next rows of `left`: encode whole blocks where they are, or gather rows. */
  private next(left: number): { direct: boolean; count: number } {
    const { blockRows, coding } = this.session;
    const begun = this.pendingRows % blockRows;
    const toBlock = begun > 0 ? blockRows - begun : 0;
    if (left - toBlock >= this.directRows) {
      // First the block that was begun becomes whole; those before are then encoded on their own.
      if (begun > 0) return { direct: false, count: toBlock };
      return { direct: true, count: left - (left % blockRows) };
    }
    const most = Math.max(1, Math.floor(kYieldValues / coding.channels));
    return { direct: false, count: Math.min(left, most, this.chunkRows - this.pendingRows) };
  }

  /** Lets other work of the process go on after every few megabytes, also where rows come from memory. */
  private async yieldSometimes(values: number): Promise<void> {
    this.valuesSinceYield += values;
    if (this.valuesSinceYield < kYieldValues) return;
    this.valuesSinceYield = 0;
    await setImmediate();
  }

  private checkBatch(batch: Rows | RowBatch): Rows {
    const { channels } = this.session.coding;
    const isRows = batch instanceof Float32Array || batch instanceof Int32Array;
    const rows = isRows ? batch : batch?.data;
    if (!isRows && batch?.channels !== channels) {
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `rows: expected ${channels} channels as the model has, received ${describe(batch?.channels)}`,
        { hint: 'fit a model to these rows' },
      );
    }
    if (!(rows instanceof Float32Array || rows instanceof Int32Array)) {
      invalidArgument('rows', 'a Float32Array or Int32Array', rows);
    }
    if (rows.length % channels !== 0) invalidArgument('rows', `a multiple of ${channels} values`, rows);
    if (this.pendingRows > 0 && this.pending!.constructor !== rows.constructor) {
      invalidArgument('rows', `${this.pending!.constructor.name} as in the batches before`, rows);
    }
    return rows;
  }

  /**
   * Encodes whole blocks from the caller's memory, chunk by chunk, so it waits until all that has been read. Returns
   * how many values come before the first that cannot be coded, and how many of those are in encoded chunks.
   */
  private async encodeInPlace(rows: Rows): Promise<{ stored: number; valid: number }> {
    await this.submitPending();
    const { coder, coding, blockRows } = this.session;
    const size = this.chunkRows * coding.channels;
    const begun: { chunk: Promise<CodedChunk | FailedChunk>; piece: Rows }[] = [];
    let next = 0;
    const begin = () => {
      while (begun.length < kEncodesAhead && next < rows.length) {
        const piece = rows.subarray(next, next + size);
        const ahead = begun.length * (this.chunkRows / blockRows);
        begun.push({ chunk: this.attempt(piece, this.blocksSubmitted + ahead), piece });
        next += piece.length;
      }
    };
    let stored = 0;
    try {
      for (begin(); begun.length > 0; begin()) {
        const { piece } = begun[0]!;
        const chunk = await begun[0]!.chunk;
        await this.tail;
        if ('error' in chunk) {
          const valid = chunk.isInvalidValue ? coder.countValid(piece) : piece.length;
          if (valid < piece.length) return { stored, valid: stored + valid };
          throw chunk.error;
        }
        this.assertOpen();
        begun.shift();
        this.submit(chunk);
        stored += piece.length;
      }
      return { stored, valid: stored };
    } finally {
      // The caller's memory is read until these have ended.
      await Promise.all(begun.map(({ chunk }) => chunk));
    }
  }

  /** An encoding whose failure waits as a value, so that it is not unseen while the chunk before is awaited. */
  private async attempt(rows: Rows | DeviceRows, blocksBefore: number): Promise<CodedChunk | FailedChunk> {
    const { coder } = this.session;
    try {
      const isInvalidValue = rows instanceof Int32Array && coder.countValid(rows) < rows.length;
      return isInvalidValue ? { error: undefined, isInvalidValue } : await this.encode(rows, blocksBefore);
    } catch (error) {
      return {
        error,
        isInvalidValue: error instanceof BinceError && error.code === 'BINCE_INVALID_VALUE',
      };
    }
  }

  /** Stores an encoded chunk, once those before it are stored. */
  private submit(chunk: CodedChunk): void {
    this.blocksSubmitted += chunk.blocks.sectionBytes.length;
    this.tail = this.store(chunk);
    this.tail.catch(() => {});
  }

  /** Encodes the blocks that come after `blocksBefore` of this writer's. */
  private async encode(rows: Rows | DeviceRows, blocksBefore: number): Promise<CodedChunk> {
    const { signal, blocks: before, coder, coding, sink } = this.session;
    const count = 'tensor' in rows ? rows.rows : rows.length / coding.channels;
    const memory = sink.copies ? this.codedMemory(count) : undefined;
    const options = {
      firstBlock: before + blocksBefore,
      ...(memory ? { out: memory } : {}),
      ...(signal ? { signal } : {}),
    };
    const blocks = await this.clocks.coding.time(() =>
      'tensor' in rows ? coder.encodeOnDevice(rows, options) : coder.encode(rows, options),
    );
    if (memory && blocks.bytes.buffer === memory.buffer) return { blocks, memory };
    this.codedRowBytes = Math.max(this.codedRowBytes, (1.1 * blocks.bytes.length) / count);
    return { blocks, memory: undefined };
  }

  /** Memory that the sections of so many rows are likely to fit. */
  private codedMemory(rows: number): Uint8Array {
    const least = Math.ceil(this.codedRowBytes * rows + 256 * Math.ceil(rows / this.session.blockRows));
    const spare = this.spareCoded.pop();
    if (spare && spare.length >= least) return spare;
    leaveMemory(spare?.buffer);
    return new Uint8Array(takeMemory(least));
  }

  /**
   * Copies rows to the pending ones, up to the first value that cannot be coded, and encodes those when they fill a
   * chunk. Returns how many values come before that one.
   */
  private async keep(rows: Rows): Promise<number> {
    if (rows.length === 0) return 0;
    const { coding, coder } = this.session;
    const at = this.pendingRows * coding.channels;
    this.reserve(rows, at + rows.length);
    const valid = coder.countValid(rows, this.pending!.subarray(at, at + rows.length));
    this.pendingRows += Math.floor(valid / coding.channels);
    if (this.pendingRows === this.chunkRows) await this.submitPending();
    return valid;
  }

  /** Makes room for `length` values of the kind of `rows`, growing to at most a chunk. */
  private reserve(rows: Rows, length: number): void {
    const Kind = rows.constructor as Float32ArrayConstructor | Int32ArrayConstructor;
    const current = this.pending?.constructor === Kind ? this.pending : undefined;
    if (current && current.length >= length) return;
    const most = this.chunkRows * this.session.coding.channels;
    // Pages that are not touched cost nothing: beyond small arrays the whole chunk is cheaper than growing again.
    const wanted =
      length >= kLeastValues ? most : Math.min(most, Math.max(4 * (current?.length ?? 0), length));
    const larger = new Kind(takeMemory(4 * wanted));
    if (current && this.pendingRows > 0) larger.set(current);
    this.pending = larger;
  }

  private async submitPending(): Promise<void> {
    if (this.pendingRows === 0) return;
    const { channels } = this.session.coding;
    const rows = this.pending!.subarray(0, this.pendingRows * channels);
    const encoded = this.encode(rows, this.blocksSubmitted);
    this.blocksSubmitted += Math.ceil(this.pendingRows / this.session.blockRows);
    const before = this.tail;
    // Both are awaited together, so that neither rejects unseen.
    this.tail = Promise.all([encoded, before]).then(([chunk]) => this.store(chunk));
    this.tail.catch(() => {});
    await before;
    // The chunk before has been stored, so its memory is free; this chunk's is free after the next.
    [this.pending, this.spare] = [this.spare, this.pending];
    this.pendingRows = 0;
  }

  private async store({ blocks, memory }: CodedChunk): Promise<void> {
    if (this.blocksStored === 0) this.runs.push({ offset: this.offset, rows: [], bytes: [] });
    const run = this.runs.at(-1)!;
    await this.put(blocks.bytes);
    if (memory) this.spareCoded.push(memory);
    for (let i = 0; i < blocks.sectionBytes.length; i++) {
      run.rows.push(blocks.sectionRows[i]!);
      run.bytes.push(blocks.sectionBytes[i]!);
      this.rowsStored += blocks.sectionRows[i]!;
    }
    this.blocksStored += blocks.sectionBytes.length;
    this.bits += blocks.idealBits;
  }

  private async put(bytes: Uint8Array): Promise<void> {
    this.session.signal?.throwIfAborted();
    await this.clocks.writing.time(() => this.session.sink.write(bytes));
    this.offset += bytes.length;
  }
}
