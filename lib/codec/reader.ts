/** Reads .bince files: rows at random, batches in order, checks of every block. */
import { type FileHandle, open } from 'node:fs/promises';
import { kMaxBlockValues } from '../decoder/block.js';
import { DamagedFileError } from '../decoder/damage.js';
import { defaultForm, emptyRows, type RowForm } from '../decoder/file.js';
import type { BinceHeader, Coder, JsonValue, RowDtype } from '../decoder/header.js';
import { findBlock, type Layout, readLayout } from '../decoder/layout.js';
import type { Recovery } from '../decoder/recovery.js';
import { checkBlockPlace, parseBlockHead } from '../decoder/sections.js';
import { type ByteSource, bytesSource, run } from '../decoder/source.js';
import { BinceError } from '../errors.js';
import { type BlockCoder, crc32c } from '../kernels/coding.js';
import { describe } from '../kernels/description.js';
import { makeBlockCoder } from './block_format.js';
import { fileError } from './file_errors.js';
import { fileSource } from './file_source.js';
import { idealBits, modelHash } from './model.js';
import type { Rows } from './row_check.js';

export interface ReaderOptions {
  /** Scan a file whose index cannot be used (cut off, damaged) for its whole blocks. Default false. */
  readonly recover?: boolean;
  readonly signal?: AbortSignal;
}

/** What a file says of itself. */
export interface BinceInfo {
  readonly path: string | undefined;
  readonly bytes: number;
  readonly rows: number;
  readonly channels: number;
  readonly blocks: number;
  readonly blockRows: number;
  readonly coder: Coder;
  readonly lanes: number;
  readonly dtype: RowDtype;
  readonly shape?: readonly number[];
  readonly name: string;
  readonly method: string;
  /** Computed from the tables and scalars in the file. */
  readonly modelHash: string;
  readonly headerBytes: number;
  /** 8 * bytes / rows, of the whole file. */
  readonly bitsPerRow: number;
  /** The entropy of a row under the tables. */
  readonly idealBitsPerRow: number;
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** Set when the index could not be used. */
  readonly recovery: Recovery | undefined;
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
/**
 * Decoded values of one native call, for each two threads. Fresh memory of more than about 8 MiB costs more than
 * decoding into it (every page is new, and soon garbage), so a call takes no more blocks than keep the threads busy.
 */
const kChunkValues = 2 ** 21;
const kMaxChunkValues = 2 ** 24;

/** Blocks [first, end) that one native call decodes. */
interface Chunk {
  readonly first: number;
  readonly end: number;
}

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
  private readonly source: ByteSource;
  private readonly coder: BlockCoder;
  private file: FileHandle | undefined;

  private constructor(
    layout: Layout,
    source: ByteSource,
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
      throw error;
    }
  }

  /** Rows [begin, end) as [(end - begin) * channels] values. */
  async rows(begin: number, end: number, options: RowOptions = {}): Promise<Rows> {
    this.checkRange(begin, end);
    const { channels } = this.header;
    if ((end - begin) * channels > kMaxBlockValues) {
      throw new BinceError('BINCE_INVALID_ARGUMENT', `rows: ${end - begin} rows do not fit one array`, {
        hint: 'read them in batches: reader.batches({ begin, end })',
      });
    }
    const form = options.as ?? defaultForm(this.header);
    let out: Rows | undefined;
    for await (const batch of this.batches({ ...options, as: form, begin, end })) {
      if (batch.rows === end - begin) return batch.data;
      // Made only now that the first blocks have proved to be what the index says.
      out ??= emptyRows(form, (end - begin) * channels);
      out.set(batch.data, (batch.firstRow - begin) * channels);
    }
    return out ?? emptyRows(form, 0);
  }

  /** The rows in order, in batches; the next blocks are decoded while a batch is in use. */
  async *batches(options: BatchOptions = {}): AsyncGenerator<Batch, void, undefined> {
    const { begin = 0, end = this.length, batchRows, skipDamaged = false } = options;
    this.checkRange(begin, end);
    if (batchRows !== undefined && (!Number.isInteger(batchRows) || batchRows < 1)) {
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `batchRows: expected a positive integer, received ${batchRows}`,
      );
    }
    const form = options.as ?? defaultForm(this.header);
    const chunks = this.chunks(begin, end);
    const start = (chunk: Chunk | undefined) => {
      const promise = chunk ? this.decodeChunk(chunk, form, skipDamaged, options.signal) : undefined;
      promise?.catch(() => {});
      return promise;
    };
    let next = start(chunks.next().value ?? undefined);
    while (next) {
      const parts = await next;
      next = start(chunks.next().value ?? undefined);
      for (const part of parts) yield* this.cut(part, begin, end, batchRows);
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    return this.batches();
  }

  /** Decodes every block and lists those that fail. */
  async verify(options: { readonly signal?: AbortSignal } = {}): Promise<Verification> {
    const bad: BadBlock[] = [];
    const form = defaultForm(this.header);
    for (const chunk of this.chunks(0, this.length)) {
      await this.decodeChunk(
        chunk,
        form,
        (block, error) => bad.push({ block, ...this.layout.blocks[block]!, error }),
        options.signal,
      );
    }
    const { blocks, rows } = this.layout;
    return { ok: bad.length === 0 && !this.layout.recovery, blocks: blocks.length, rows, bad };
  }

  /** Closes the file, unless it was the caller's. */
  async close(): Promise<void> {
    const { file } = this;
    this.file = undefined;
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

  /** Cuts the blocks that hold rows [begin, end) into chunks that touch and are not too large. */
  private *chunks(begin: number, end: number): Generator<Chunk, undefined, undefined> {
    const { blocks } = this.layout;
    const { threads } = describe();
    const most = Math.min(kMaxChunkValues, kChunkValues * Math.max(1, threads >> 1));
    if (begin === end) return undefined;
    const last = findBlock(blocks, end - 1);
    for (let first = findBlock(blocks, begin); first <= last; ) {
      let bytes = blocks[first]!.bytes;
      let values = blocks[first]!.rows * this.header.channels;
      let stop = first + 1;
      for (; stop <= last; stop++) {
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

  /** Decodes a chunk; with `onBad`, block by block if need be, leaving out what is damaged. */
  private async decodeChunk(
    chunk: Chunk,
    form: RowForm,
    onBad: boolean | ((block: number, error: BinceError) => void),
    signal: AbortSignal | undefined,
  ): Promise<Batch[]> {
    try {
      return [await this.decodeBlocks(chunk, form, signal)];
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    // Some block of the chunk is damaged: which one is known after decoding them one by one.
    const parts: Batch[] = [];
    for (let block = chunk.first; block < chunk.end; block++) {
      try {
        parts.push(await this.decodeBlocks({ first: block, end: block + 1 }, form, signal));
      } catch (cause) {
        if (!isDamage(cause)) throw cause;
        const error = blockError(cause, block);
        if (onBad === false) throw error;
        if (typeof onBad === 'function') onBad(block, error);
      }
    }
    return parts;
  }

  private async decodeBlocks(chunk: Chunk, form: RowForm, signal: AbortSignal | undefined): Promise<Batch> {
    signal?.throwIfAborted();
    const { blocks } = this.layout;
    const first = blocks[chunk.first]!;
    const last = blocks[chunk.end - 1]!;
    const bytes = await this.source.read(first.offset, last.offset + last.bytes - first.offset);
    const rows = last.firstRow + last.rows - first.firstRow;
    for (let block = chunk.first; block < chunk.end; block++) {
      const place = blocks[block]!;
      const at = place.offset - first.offset;
      const section = bytes.subarray(at, at + place.bytes);
      checkBlockPlace(place, parseBlockHead(section, 0, this.header, block), block);
    }
    if (rows * this.header.channels > kMaxBlockValues) {
      throw new BinceError('BINCE_UNSUPPORTED', `block ${chunk.first}: its values do not fit one array`);
    }
    const data = await this.coder.decode(bytes, {
      firstBlock: chunk.first,
      as: form,
      ...(signal ? { signal } : {}),
    });
    return { firstRow: first.firstRow, rows, data };
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

function isDamage(error: unknown): error is BinceError {
  return error instanceof BinceError && error.code === 'BINCE_CORRUPT_DATA';
}

function blockError(error: BinceError, block: number): BinceError {
  if (error instanceof DamagedFileError && error.block === block) return error;
  return new DamagedFileError('block', error.message.replace(/^block \d+: /, ''), { block, cause: error });
}

function describeFile(layout: Layout, bytes: number, path: string | undefined): BinceInfo {
  const { header, blocks, rows, recovery } = layout;
  const { json } = header;
  const text = (value: JsonValue | undefined) => (typeof value === 'string' ? value : '');
  const shape = json['shape'];
  const metadata = json['metadata'];
  const isShape = Array.isArray(shape) && shape.every(Number.isSafeInteger);
  const isMetadata = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
  return {
    path,
    bytes,
    rows,
    channels: header.channels,
    blocks: blocks.length,
    blockRows: header.blockRows,
    coder: header.coder,
    lanes: header.lanes,
    dtype: header.dtype,
    ...(isShape ? { shape: shape as number[] } : {}),
    name: text(json['name']),
    method: text(json['method']),
    modelHash: modelHash(header),
    headerBytes: header.bytes,
    bitsPerRow: rows > 0 ? (8 * bytes) / rows : 0,
    idealBitsPerRow: idealBits(header),
    metadata: isMetadata ? (metadata as Record<string, JsonValue>) : {},
    recovery,
  };
}
