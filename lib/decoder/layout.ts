/** Finds the blocks of a .bince file: by its index, or, for a damaged or cut-off file, section by section. */
import { BinceError } from '../errors.js';
import { DamagedFileError } from './damage.js';
import { type BinceHeader, readHeader } from './header.js';
import { type Recovery, scanSections } from './recovery.js';
import {
  type BlockPlace,
  type Checksum,
  checkSectionCrc,
  kMaxBlockHeadBytes,
  kTrailerBytes,
  parseIndexHead,
  parseIndexPayload,
  parseTrailer,
} from './sections.js';
import type { Request } from './source.js';

export interface Layout {
  readonly header: BinceHeader;
  readonly blocks: readonly BlockPlace[];
  readonly rows: number;
  /** File offset after the last whole section: where an append goes on. */
  readonly end: number;
  /** Set when the index could not be used. */
  readonly recovery: Recovery | undefined;
}

/**
 * Reads header, trailer and index. With `recover`, a file whose trailer or index cannot be used is scanned from
 * the front instead; the header has to be whole.
 */
export function* readLayout(
  size: number,
  options: { readonly recover?: boolean; readonly checksum?: Checksum } = {},
): Generator<Request, Layout, Uint8Array> {
  const header = yield* readHeader(size);
  try {
    return yield* readIndexed(size, header, options.checksum);
  } catch (error) {
    if (!(error instanceof BinceError) || error.code !== 'BINCE_CORRUPT_DATA') throw error;
    if (options.recover) return yield* scanSections(size, header, error.message, options.checksum);
    throw new DamagedFileError(
      error instanceof DamagedFileError ? error.part : 'index',
      `${error.message.replace(/^\w+: /, '')}; the file was cut off or its end is damaged`,
      { hint: 'open it with recovery (`recover: true`, --recover) to read its whole blocks', cause: error },
    );
  }
}

function* readIndexed(
  size: number,
  header: BinceHeader,
  checksum: Checksum | undefined,
): Generator<Request, Layout, Uint8Array> {
  const trailerOffset = size - kTrailerBytes;
  if (trailerOffset < header.bytes) throw new DamagedFileError('trailer', 'the file ends before it');
  const trailer = parseTrailer(yield { offset: trailerOffset, length: kTrailerBytes }, header);
  const indexBytes = trailerOffset - trailer.indexOffset;
  if (trailer.indexOffset < header.bytes || indexBytes < 1) {
    throw new DamagedFileError('trailer', `an index at byte ${trailer.indexOffset} of ${size}`);
  }
  const start = yield { offset: trailer.indexOffset, length: Math.min(kMaxBlockHeadBytes, indexBytes) };
  const head = parseIndexHead(start);
  if (head.headBytes + head.payloadBytes !== indexBytes) {
    throw new DamagedFileError(
      'index',
      `${head.payloadBytes} bytes where there are ${indexBytes - head.headBytes}`,
    );
  }
  const payload = yield { offset: trailer.indexOffset + head.headBytes, length: head.payloadBytes };
  checkSectionCrc('index', payload, head.crc, header, checksum);
  const blocks = parseIndexPayload(payload, header, trailer.indexOffset);
  const rows = rowsOf(blocks);
  if (rows !== trailer.rows) {
    throw new DamagedFileError('trailer', `${trailer.rows} rows where the index has ${rows}`);
  }
  return { header, blocks, rows, end: size, recovery: undefined };
}

export function rowsOf(blocks: readonly BlockPlace[]): number {
  const last = blocks.at(-1);
  return last ? last.firstRow + last.rows : 0;
}

/** The number of the block that holds `row`, by bisection; `row` has to be in the file. */
export function findBlock(blocks: readonly BlockPlace[], row: number): number {
  let low = 0;
  let high = blocks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (blocks[middle]!.firstRow <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
