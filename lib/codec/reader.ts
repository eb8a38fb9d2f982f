/** Reads .bince files: rows at random, batches in order, checks of every block. */
import { type FileHandle, open } from 'node:fs/promises';
import { kMaxBlockValues } from '../decoder/block.js';
import { DamagedFileError } from '../decoder/damage.js';
import { defaultForm, emptyRows, type RowForm } from '../decoder/file.js';
import type { BinceHeader } from '../decoder/header.js';
import { findBlock, type Layout, readLayout } from '../decoder/layout.js';
import { checkBlockPlace, parseBlockHead } from '../decoder/sections.js';
import { type ByteSource, bytesSource, run } from '../decoder/source.js';
import { type DeviceChoice, namedDevice } from '../device/choice.js';
import { BinceError } from '../errors.js';
import { type BlockCoder, crc32c, preferLargePages } from '../kernels/coding.js';
import { describe } from '../kernels/description.js';
import { native } from '../native.js';
import { emptyTensor, type Tensor } from '../tensor/tensor.js';
import { makeBlockCoder } from './block_format.js';
import { fileError } from './file_errors.js';
import { type BinceInfo, describeFile } from './file_info.js';
import { type FileSource, fileSource } from './file_source.js';
import type { Rows } from './row_check.js';
import { leaveMemory, takeMemory } from './spare_memory.js';
import { StageClock } from './stage_clock.js';

export interface ReaderOptions {
  /** Scan a file whose index cannot be used (cut off, damaged) for its whole blocks. Default false. */
  readonly recover?: boolean;
  readonly signal?: AbortSignal;
}

export interface RowOptions {
  /** 'symbols' for files of int32 rows, otherwise 'float32'. */
  readonly as?: RowForm;
  readonly signal?: AbortSignal;
}

export interface BatchOptions extends RowOptions {
  /** Rows [begin, end) of the file; by default all. */
  readonly begin?: number;
  readonly end?: number;
  /** Most rows of a batch; by default whole blocks, at most 64 MiB unless one is larger. */
  readonly batchRows?: number;
  /** Leave out the rows of damaged blocks instead of failing at them; `firstRow` tells. Default false. */
  readonly skipDamaged?: boolean;
  /**
   * Use the same two arrays for all batches: a batch's `data` is then valid only until the next batch is asked for.
   * New memory for every batch costs more than decoding into it. Default false.
   */
  readonly reuse?: boolean;
}

/** Rows that follow each other. */
export interface Batch {
  readonly firstRow: number;
  readonly rows: number;
  /** [rows * channels], row-major. */
  readonly data: Rows;
}

/** A block that does not decode. */
export interface BadBlock {
  readonly block: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly offset: number;
  readonly bytes: number;
  readonly error: BinceError;
}

export interface Verification {
  readonly ok: boolean;
  readonly blocks: number;
  readonly rows: number;
  readonly bad: readonly BadBlock[];
}

/** Coded bytes that one native call takes, unless a single block is larger. */
const kChunkBytes = 2 ** 23;
/** Decoded values of one native call for each thread, so that it decodes a few blocks side by side, and at most. */
const kThreadValues = 2 ** 22;
const kMaxChunkValues = 2 ** 24;
/** So few values are decoded sooner than another thread takes up the work. */
const kSyncValues = 2 ** 15;
/** Chunks that are read and decoded while the caller has one, where their rows are new arrays. */
const kChunksAhead = 2;
/** Sets of memory where rows go to the same arrays again: one in the caller's hands, one being decoded into. */
const kReusedChunks = 2;

/** Blocks [first, end) that one native call decodes. */
interface Chunk {
  readonly first: number;
  readonly end: number;
}

/** What one chunk after the other is read and decoded into. */
interface ChunkMemory {
  coded?: Uint8Array;
  rows?: Rows;
}

/** A decoded block of which only some rows were wanted. */
interface KeptBlock {
  readonly form: RowForm;
  readonly block: Batch;
  readonly memory: ChunkMemory;
}
/** Larger blocks than this, in values, are not kept. */
const kMaxKeptValues = 2 ** 24;

/**
 * An open file. Only the blocks that hold the wanted rows are read and decoded; memory is bounded by a few blocks.
 *
 *     await using reader = await BinceReader.open('out.bince');
 *     const some = await reader.rows(1000, 1010);
 *     for await (const { firstRow, rows, data } of reader) ...
 */
export class BinceReader implements AsyncDisposable {
  readonly info: BinceInfo;
  readonly header: BinceHeader;
  /** Rows in the file; with recovery, rows of damaged blocks count too. */
  readonly length: number;
  private readonly layout: Layout;
  private readonly source: ByteSource | FileSource;
  private readonly coder: BlockCoder;
  private readonly readingClock = new StageClock();
  private readonly codingClock = new StageClock();
  private kept: KeptBlock | undefined;
  private file: FileHandle | undefined;

  private constructor(
    layout: Layout,
    source: ByteSource | FileSource,
    path: string | undefined,
    file: FileHandle | undefined,
  ) {
    this.layout = layout;
    this.source = source;
    this.file = file;
    this.header = layout.header;
    this.length = layout.rows;
    this.info = describeFile(layout, source.size, path);
    this.coder = makeBlockCoder(layout.header);
  }

  /**
   * Opens a path, bytes in memory, or an open file (which stays the caller's to close). Throws a DamagedFileError
   * that names header, index or trailer; blocks are checked when they are read.
   */
  static async open(
    from: string | Uint8Array | FileHandle,
    options: ReaderOptions = {},
  ): Promise<BinceReader> {
    options.signal?.throwIfAborted();
    const settings = { recover: options.recover ?? false, checksum: crc32c };
    const openWith = async (source: ByteSource, path?: string, file?: FileHandle) => {
      const layout = await run(readLayout(source.size, settings), source, options.signal);
      return new BinceReader(layout, source, path, file);
    };
    if (from instanceof Uint8Array) return openWith(bytesSource(from));
    if (typeof from !== 'string') return openWith(await fileSource(from, 'the open file'));
    let file: FileHandle;
    try {
      file = await open(from, 'r');
    } catch (cause) {
      throw fileError('read', from, cause);
    }
    try {
      return await openWith(await fileSource(file, from), from, file);
    } catch (error) {
      await file.close();
      if (error instanceof DamagedFileError) error.message = `${from}: ${error.message}`;
      throw error;
    }
  }

  /** Seconds at work so far: reading coded bytes, and checking and decoding them. The two overlap. */
  get seconds(): { readonly reading: number; readonly coding: number } {
    return { reading: this.readingClock.seconds, coding: this.codingClock.seconds };
  }

  /**
   * Rows [begin, end) as [(end - begin) * channels] values. The block that rows were last cut from stays decoded, so
   * that rows near each other are read one by one at the cost of a copy.
   */
  async rows(begin: number, end: number, options: RowOptions = {}): Promise<Rows> {
    this.checkRange(begin, end);
    const { channels } = this.header;
    if ((end - begin) * channels > kMaxBlockValues) {
      throw new BinceError('BINCE_INVALID_ARGUMENT', `rows: ${end - begin} rows do not fit one array`, {
        hint: 'read them in batches: reader.batches({ begin, end })',
      });
    }
    const form = options.as ?? defaultForm(this.header);
    options.signal?.throwIfAborted();
    const near = this.keptRows(begin, end, form);
    if (near) return near;
    const { blocks } = this.layout;
    const { signal } = options;
    let out: Rows | undefined;
    // Made only when the first blocks have proved to be what the index says.
    const place = () => {
      out ??= preferLargePages(emptyRows(form, (end - begin) * channels));
      return out;
    };
    const decode = async (chunk: Chunk, memory: ChunkMemory) => {
      const first = blocks[chunk.first]!.firstRow;
      const last = blocks[chunk.end - 1]!;
      const stop = last.firstRow + last.rows;
      const whole = () => place().subarray((first - begin) * channels, (stop - begin) * channels);
      if (first >= begin && stop <= end) {
        await this.decodeChunk(chunk, form, false, signal, memory, whole);
      } else {
        await this.withBlock(chunk, form, signal, (block) => {
          const [wanted] = this.cut(block, begin, end, undefined);
          if (wanted) place().set(wanted.data, (wanted.firstRow - begin) * channels);
        });
      }
    };
    for await (const { release } of this.ahead(this.chunks(begin, end, true), decode)) release();
    return out ?? emptyRows(form, 0);
  }

  /**
   * Rows [begin, end) as a float32 tensor [end - begin, channels] on a device. On a CUDA device blocks that lie in the
   * range as a whole are decoded there, while the bytes of the next ones are read; parts of blocks are decoded here.
   */
  async tensor(
    begin: number,
    end: number,
    options: { readonly device?: DeviceChoice; readonly signal?: AbortSignal } = {},
  ): Promise<Tensor> {
    this.checkRange(begin, end);
    const { channels } = this.header;
    const { blocks } = this.layout;
    const { signal } = options;
    const device = namedDevice(options.device ?? 'cpu');
    const tensor = emptyTensor([end - begin, channels], 'bince rows', 'float32', device);
    const onHost = async (chunk: Chunk, memory: ChunkMemory) => {
      for (const part of await this.decodeChunk(chunk, 'float32', false, signal, memory))
        for (const { firstRow, data } of this.cut(part, begin, end, undefined))
          native().storageWrite(tensor.handle, (firstRow - begin) * channels, data);
    };
    const decode = async (chunk: Chunk, memory: ChunkMemory) => {
      const first = blocks[chunk.first]!.firstRow;
      const last = blocks[chunk.end - 1]!;
      const stop = last.firstRow + last.rows;
      if (device === 'cpu' || first < begin || stop > end) return onHost(chunk, memory);
      const { bytes } = await this.readBlocks(chunk, signal, memory);
      const sizes = Float64Array.from(blocks.slice(chunk.first, chunk.end), (block) => block.bytes);
      try {
        const rows = { tensor, firstRow: first - begin, rows: stop - first };
        const options = { firstBlock: chunk.first, ...(signal ? { signal } : {}) };
        await this.codingClock.time(() => this.coder.decodeOnDevice(bytes, sizes, rows, options));
      } catch (error) {
        if (!isDamage(error)) throw error;
        await onHost(chunk, memory); // tells which block, and what is wrong with it
        throw error;
      }
    };
    try {
      for await (const { release } of this.ahead(this.chunks(begin, end, true), decode)) release();
    } catch (error) {
      tensor.dispose();
      throw error;
    }
    return tensor;
  }

  /** The rows in order, in batches; the next blocks are decoded while a batch is in use. */
  async *batches(options: BatchOptions = {}): AsyncGenerator<Batch, void, undefined> {
    const { begin = 0, end = this.length, batchRows, skipDamaged = false, reuse = false } = options;
    this.checkRange(begin, end);
    if (batchRows !== undefined && (!Number.isInteger(batchRows) || batchRows < 1)) {
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `batchRows: expected a positive integer, received ${batchRows}`,
      );
    }
    const form = options.as ?? defaultForm(this.header);
    const decode = (chunk: Chunk, memory: ChunkMemory) => {
      const place = reuse ? (values: number) => roomFor(memory, form, values) : undefined;
      return this.decodeChunk(chunk, form, skipDamaged, options.signal, memory, place);
    };
    const most = reuse ? kReusedChunks : undefined;
    for await (const { result, release } of this.ahead(this.chunks(begin, end, false), decode, most)) {
      for (const part of result) yield* this.cut(part, begin, end, batchRows);
      release();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    return this.batches();
  }

  /** Decodes every block and lists those that fail. */
  async verify(options: { readonly signal?: AbortSignal } = {}): Promise<Verification> {
    const bad: BadBlock[] = [];
    const form = defaultForm(this.header);
    const note = (block: number, error: BinceError) => {
      bad.push({ block, ...this.layout.blocks[block]!, error });
    };
    const decode = (chunk: Chunk, memory: ChunkMemory) =>
      this.decodeChunk(chunk, form, note, options.signal, memory, (n) => roomFor(memory, form, n));
    const chunks = this.chunks(0, this.length, false);
    for await (const { release } of this.ahead(chunks, decode, kReusedChunks)) release();
    bad.sort((a, b) => a.block - b.block);
    const { blocks, rows } = this.layout;
    return { ok: bad.length === 0 && !this.layout.recovery, blocks: blocks.length, rows, bad };
  }

  /** Closes the file, unless it was the caller's. */
  async close(): Promise<void> {
    const { file } = this;
    this.file = undefined;
    if (this.kept) leaveChunk(this.kept.memory);
    this.kept = undefined;
    await file?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private checkRange(begin: number, end: number): void {
    if (Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && end >= begin && end <= this.length)
      return;
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `rows: expected 0 <= begin <= end <= ${this.length}, received ${begin} and ${end}`,
    );
  }

  /**
   * Cuts the blocks that hold rows [begin, end) into chunks that touch and are not too large; with `apart`, a block of
   * which only a part is wanted is a chunk of its own.
   */
  private *chunks(begin: number, end: number, apart: boolean): Generator<Chunk, undefined, undefined> {
    const { blocks } = this.layout;
    const most = Math.min(kMaxChunkValues, kThreadValues * describe().threads);
    if (begin === end) return undefined;
    const isPart = ({ firstRow, rows }: { firstRow: number; rows: number }) =>
      apart && (firstRow < begin || firstRow + rows > end);
    const last = findBlock(blocks, end - 1);
    for (let first = findBlock(blocks, begin); first <= last; ) {
      let bytes = blocks[first]!.bytes;
      let values = blocks[first]!.rows * this.header.channels;
      let stop = first + 1;
      for (; stop <= last && !isPart(blocks[first]!) && !isPart(blocks[stop]!); stop++) {
        const { offset, bytes: more, rows } = blocks[stop]!;
        bytes += more;
        values += rows * this.header.channels;
        const before = blocks[stop - 1]!;
        if (offset !== before.offset + before.bytes || bytes > kChunkBytes || values > most) break;
      }
      yield { first, end: stop };
      first = stop;
    }
    return undefined;
  }

  /**
   * Results of `decode` for one chunk after the other, with the next chunks on their way meanwhile, in at most `most`
   * sets of memory. A chunk's memory serves another one after `release`.
   */
  private async *ahead<T>(
    chunks: Generator<Chunk, undefined, undefined>,
    decode: (chunk: Chunk, memory: ChunkMemory) => Promise<T>,
    most = kChunksAhead + 1,
  ): AsyncGenerator<{ readonly result: T; release(): void }, void, undefined> {
    const free: ChunkMemory[] = Array.from({ length: most }, () => ({}));
    const started: { promise: Promise<T>; memory: ChunkMemory }[] = [];
    const start = () => {
      while (started.length < kChunksAhead && free.length > 0) {
        const chunk = chunks.next().value;
        if (!chunk) return;
        const memory = free.pop()!;
        const promise = decode(chunk, memory);
        promise.catch(() => {});
        started.push({ promise, memory });
      }
    };
    try {
      for (;;) {
        start();
        const next = started.shift();
        if (!next) return;
        const result = await next.promise;
        start();
        yield { result, release: () => free.push(next.memory) };
      }
    } finally {
      // What was begun ends before the caller may close the file.
      await Promise.allSettled(started.map(({ promise }) => promise));
      for (const memory of [...free, ...started.map((chunk) => chunk.memory)]) leaveChunk(memory);
    }
  }

  /** Rows of the block that was kept, if they all are in it. */
  private keptRows(begin: number, end: number, form: RowForm): Rows | undefined {
    if (this.kept?.form !== form) return undefined;
    const { firstRow, rows, data } = this.kept.block;
    if (begin < firstRow || end > firstRow + rows) return undefined;
    const { channels } = this.header;
    return data.slice((begin - firstRow) * channels, (end - firstRow) * channels);
  }

  /** Calls `use` at once with a decoded block: the one that was kept, or one that is kept from now on. */
  private async withBlock(
    chunk: Chunk,
    form: RowForm,
    signal: AbortSignal | undefined,
    use: (block: Batch) => void,
  ): Promise<void> {
    const { kept } = this;
    const { firstRow } = this.layout.blocks[chunk.first]!;
    if (kept?.form === form && kept.block.firstRow === firstRow) return use(kept.block);
    this.kept = undefined; // calls meanwhile get memory of their own
    const memory = kept?.memory ?? {};
    const place = (values: number) => roomFor(memory, form, values);
    const [block] = await this.decodeChunk(chunk, form, false, signal, memory, place);
    use(block!);
    if (block!.data.length <= kMaxKeptValues) this.kept = { form, block: block!, memory };
  }

  /**
   * Decodes a chunk, into `place` if given; with `onBad`, block by block if need be, leaving out what is damaged.
   */
  private async decodeChunk(
    chunk: Chunk,
    form: RowForm,
    onBad: boolean | ((block: number, error: BinceError) => void),
    signal: AbortSignal | undefined,
    memory: ChunkMemory,
    place?: (values: number) => Rows,
  ): Promise<Batch[]> {
    try {
      return [await this.decodeBlocks(chunk, form, signal, memory, place)];
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    // Some block of the chunk is damaged: which one is known after decoding them one by one.
    const parts: Batch[] = [];
    for (let block = chunk.first; block < chunk.end; block++) {
      try {
        parts.push(await this.decodeBlocks({ first: block, end: block + 1 }, form, signal, memory));
      } catch (cause) {
        if (!isDamage(cause)) throw cause;
        const error = blockError(cause, block);
        if (onBad === false) throw error;
        if (typeof onBad === 'function') onBad(block, error);
      }
    }
    return parts;
  }

  private async decodeBlocks(
    chunk: Chunk,
    form: RowForm,
    signal: AbortSignal | undefined,
    memory: ChunkMemory,
    place?: (values: number) => Rows,
  ): Promise<Batch> {
    const { bytes, firstRow, rows } = await this.readBlocks(chunk, signal, memory);
    const values = rows * this.header.channels;
    if (values > kMaxBlockValues) {
      throw new BinceError('BINCE_UNSUPPORTED', `block ${chunk.first}: its values do not fit one array`);
    }
    const options = {
      firstBlock: chunk.first,
      as: form,
      ...(place ? { out: place(values) } : {}),
      ...(signal ? { signal } : {}),
    };
    const data = await this.codingClock.time(async () =>
      values <= kSyncValues ? this.coder.decodeSync(bytes, options) : this.coder.decode(bytes, options),
    );
    return { firstRow, rows, data };
  }

  /** The coded bytes of a chunk, whose blocks are what the index says. */
  private async readBlocks(
    chunk: Chunk,
    signal: AbortSignal | undefined,
    memory: ChunkMemory,
  ): Promise<{ bytes: Uint8Array; firstRow: number; rows: number }> {
    signal?.throwIfAborted();
    const { blocks } = this.layout;
    const first = blocks[chunk.first]!;
    const last = blocks[chunk.end - 1]!;
    const bytes = await this.readCoded(first.offset, last.offset + last.bytes - first.offset, memory);
    const rows = last.firstRow + last.rows - first.firstRow;
    for (let block = chunk.first; block < chunk.end; block++) {
      const at = blocks[block]!.offset - first.offset;
      const section = bytes.subarray(at, at + blocks[block]!.bytes);
      checkBlockPlace(blocks[block]!, parseBlockHead(section, 0, this.header, block), block);
    }
    return { bytes, firstRow: first.firstRow, rows };
  }

  /** Coded bytes, in the chunk's memory where the source can fill it. */
  private async readCoded(offset: number, length: number, memory: ChunkMemory): Promise<Uint8Array> {
    const { source } = this;
    if (!('readInto' in source)) return this.readingClock.time(() => source.read(offset, length));
    if (!memory.coded || memory.coded.length < length) {
      leaveMemory(memory.coded?.buffer);
      memory.coded = new Uint8Array(takeMemory(Math.ceil(1.25 * length)));
    }
    const bytes = memory.coded.subarray(0, length);
    await this.readingClock.time(() => source.readInto(bytes, offset));
    return bytes;
  }

  /** The rows of a decoded part that are in [begin, end), in pieces of at most `batchRows`. */
  private *cut(part: Batch, begin: number, end: number, batchRows: number | undefined): Generator<Batch> {
    const { channels } = this.header;
    const from = Math.max(begin, part.firstRow);
    const to = Math.min(end, part.firstRow + part.rows);
    const size = batchRows ?? to - from;
    for (let row = from; row < to; row += size) {
      const rows = Math.min(size, to - row);
      const at = (row - part.firstRow) * channels;
      const data = part.data.subarray(at, at + rows * channels);
      yield { firstRow: row, rows, data };
    }
  }
}

/** Room for that many values in the chunk's memory. */
function roomFor(memory: ChunkMemory, form: RowForm, values: number): Rows {
  const Kind = form === 'symbols' ? Int32Array : Float32Array;
  if (!(memory.rows instanceof Kind && memory.rows.length >= values)) {
    leaveMemory(memory.rows?.buffer);
    memory.rows = new Kind(takeMemory(4 * values));
  }
  return memory.rows.subarray(0, values);
}

/** Hands on the memory of a chunk that nobody looks at any more. */
function leaveChunk(memory: ChunkMemory): void {
  leaveMemory(memory.coded?.buffer);
  leaveMemory(memory.rows?.buffer);
}

function isDamage(error: unknown): error is BinceError {
  return error instanceof BinceError && error.code === 'BINCE_CORRUPT_DATA';
}

function blockError(error: BinceError, block: number): BinceError {
  if (error instanceof DamagedFileError && error.block === block) return error;
  return new DamagedFileError('block', error.message.replace(/^block \d+(: | is damaged: )/, ''), {
    block,
    cause: error,
  });
}
