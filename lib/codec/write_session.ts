/** How a file is begun, and how one is taken up again. */
import type { FileHandle } from 'node:fs/promises';
import { kMaxBlockValues } from '../decoder/block.js';
import { DamagedFileError } from '../decoder/damage.js';
import { type JsonValue, kCoders, kMaxBlockRows } from '../decoder/header.js';
import { readLayout } from '../decoder/layout.js';
import type { BlockPlace } from '../decoder/sections.js';
import { run } from '../decoder/source.js';
import { invalidArgument } from '../errors.js';
import { type BlockCoder, chooseLanes, crc32c } from '../kernels/coding.js';
import { type Lanes, makeBlockCoder } from './block_format.js';
import { AppendSink, type ByteSink, NewFileSink, StreamSink } from './byte_sink.js';
import { fileSource } from './file_source.js';
import { type CodecModel, checkMetadata, createModel, idealBits, modelHash } from './model.js';
import { type BlockRun, type Coding, headerBytes } from './section_bytes.js';

export interface WriterOptions {
  /**
   * Rows a block, 1 to 2^20: the unit of random access, of damage and of threads. Default 4096. A GPU codes a block
   * by one warp: files for it want 64 to 256, where a block costs about 100 bytes.
   */
  readonly blockRows?: number;
  /** rANS states a block; chosen by the model's bits a row unless given. The range coder has one. */
  readonly lanes?: Lanes;
  /** `rans` (default) or `range`. */
  readonly coder?: 'rans' | 'range';
  /** Goes into the file beside the model's own metadata. */
  readonly metadata?: Readonly<Record<string, JsonValue>>;
  /** Whether a file that is there already may be replaced. Default true. */
  readonly overwrite?: boolean;
  /** Aborts the writer: nothing stays. */
  readonly signal?: AbortSignal;
}

/** What a writer begins with. */
export interface WriteSession {
  readonly sink: ByteSink;
  readonly coding: Coding;
  readonly blockRows: number;
  readonly coder: BlockCoder;
  readonly headerCrc: number;
  /** Runs that are in the file already. */
  readonly runs: BlockRun[];
  readonly blocks: number;
  /** File offset of the next byte. */
  readonly offset: number;
  /** The number of the first row to be written. */
  readonly firstRow: number;
  /** Whether the file ends with an index and a trailer for what is in it. */
  readonly finished: boolean;
  readonly signal: AbortSignal | undefined;
}

/** A new file at a path, on a Node stream or in a sink, and the bytes that it begins with. */
export async function newSession(
  target: string | NodeJS.WritableStream | ByteSink,
  model: CodecModel,
  options: WriterOptions,
): Promise<{ session: WriteSession; header: Uint8Array }> {
  const coding = createModel(model);
  const { blockRows, coder, lanes } = checkOptions(coding, options);
  options.signal?.throwIfAborted();
  const json = {
    name: coding.name,
    method: coding.method,
    model: modelHash(coding),
    ...(coding.shape ? { shape: coding.shape } : {}),
    metadata: { ...coding.metadata, ...checkMetadata(options.metadata ?? {}) },
  };
  const header = headerBytes(coding, { coder, lanes, blockRows, dtype: coding.dtype, json });
  const blocks = makeBlockCoder({ ...coding, coder, lanes, blockRows, crc: header.crc });
  const session = {
    sink: await openSink(target, options.overwrite ?? true),
    coding,
    blockRows,
    coder: blocks,
    headerCrc: header.crc,
    runs: [],
    blocks: 0,
    offset: 0,
    firstRow: 0,
    finished: false,
    signal: options.signal,
  };
  return { session, header: header.bytes };
}

function checkOptions(
  model: CodecModel,
  options: WriterOptions,
): { blockRows: number; coder: 'rans' | 'range'; lanes: Lanes } {
  const { blockRows = 4096, coder = 'rans' } = options;
  if (!Number.isInteger(blockRows) || blockRows < 1 || blockRows > kMaxBlockRows) {
    invalidArgument('blockRows', `an integer from 1 to ${kMaxBlockRows}`, blockRows);
  }
  if (!kCoders.includes(coder)) invalidArgument('coder', kCoders.join(' or '), coder);
  if (blockRows * model.channels > kMaxBlockValues) {
    invalidArgument('blockRows', `at most ${kMaxBlockValues} values a block`, blockRows * model.channels);
  }
  const lanes = options.lanes ?? (coder === 'rans' ? chooseLanes(idealBits(model), blockRows) : 1);
  if (![1, 2, 4, 8, 16, 32].includes(lanes)) invalidArgument('lanes', '1, 2, 4, 8, 16 or 32', lanes);
  if (coder === 'range' && lanes !== 1) invalidArgument('lanes', '1 for the range coder', lanes);
  return { blockRows, coder, lanes: lanes as Lanes };
}

async function openSink(
  target: string | NodeJS.WritableStream | ByteSink,
  overwrite: boolean,
): Promise<ByteSink> {
  if (typeof target === 'string') return NewFileSink.create(target, overwrite);
  if (typeof target !== 'object' || target === null || !('write' in target)) {
    invalidArgument('target', 'a path, a writable stream or a sink', target);
  }
  return 'abort' in target && 'close' in target
    ? (target as ByteSink)
    : new StreamSink(target as NodeJS.WritableStream);
}

/** A finished file, open for reading and writing; with `recover`, what a death left of one. */
export async function appendSession(
  path: string,
  file: FileHandle,
  options: { readonly signal?: AbortSignal; readonly recover?: boolean },
): Promise<WriteSession> {
  const source = await fileSource(file, path);
  const layout = await run(
    readLayout(source.size, { recover: options.recover ?? false, checksum: crc32c }),
    source,
  );
  const { header, blocks, end, recovery } = layout;
  if (recovery && recovery.damagedBlocks.length > 0) {
    throw new DamagedFileError('block', 'it is damaged, and rows after it would keep uncertain numbers', {
      block: recovery.damagedBlocks[0]!,
      hint: 'write the rows that can be read to a new file',
    });
  }
  if (recovery) await file.truncate(end);
  return {
    sink: new AppendSink(path, file, end),
    coding: header,
    blockRows: header.blockRows,
    coder: makeBlockCoder(header),
    headerCrc: header.crc,
    runs: runsOf(blocks),
    blocks: blocks.length,
    offset: end,
    firstRow: layout.rows,
    finished: recovery === undefined,
    signal: options.signal,
  };
}

/** Blocks of the index, joined where they touch. */
function runsOf(blocks: readonly BlockPlace[]): BlockRun[] {
  const runs: BlockRun[] = [];
  let end = -1;
  for (const { offset, rows, bytes } of blocks) {
    if (offset !== end) runs.push({ offset, rows: [], bytes: [] });
    runs.at(-1)!.rows.push(rows);
    runs.at(-1)!.bytes.push(bytes);
    end = offset + bytes;
  }
  return runs;
}
