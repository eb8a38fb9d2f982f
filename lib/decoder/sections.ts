/** Blocks, index and trailer as they stand in a file (docs/FORMAT.md, "Blocks", "Index and trailer"). */
import { crc32c } from './crc32c.js';
import { Cursor } from './cursor.js';
import { DamagedFileError, type FilePart } from './damage.js';
import type { BinceHeader } from './header.js';

export const kTagBlock = 0x40;
export const kTagBlockRows = 1;
export const kTagBlockEscapes = 2;
export const kTagIndex = 0x49;
export const kTrailerBytes = 28;
export const kTrailerMagic: Uint8Array = Uint8Array.of(0x42, 0x4e, 0x43, 0x45, 0x4e, 0x44, 0x0d, 0x0a);
/** A tag, three varints and a CRC take at most this. */
export const kMaxBlockHeadBytes = 29;

/** Computes a CRC-32C; the native one is put here where there is one. */
export type Checksum = (bytes: Uint8Array, seed?: number) => number;

/** What stands before a block's payload. */
export interface BlockHead {
  readonly rows: number;
  readonly payloadBytes: number;
  /** The last bytes of the payload. */
  readonly escapeBytes: number;
  readonly crc: number;
  readonly headBytes: number;
}

/** Parses the head of block `number`, which begins at `bytes[at]`; the payload need not be there yet. */
export function parseBlockHead(
  bytes: Uint8Array,
  at: number,
  header: BinceHeader,
  number: number,
): BlockHead {
  const cursor = new Cursor(bytes, 'block', number, at);
  const tag = cursor.u8();
  if ((tag & ~3) !== kTagBlock) cursor.fail(`the tag ${tag} is not that of a block`);
  const rows = tag & kTagBlockRows ? cursor.varint() : header.blockRows;
  if (rows < 1 || rows > header.blockRows) cursor.fail(`${rows} rows in blocks of ${header.blockRows}`);
  const escapeBytes = tag & kTagBlockEscapes ? cursor.varint() : 0;
  const payloadBytes = cursor.varint();
  const wordBytes = payloadBytes - escapeBytes;
  const firstBytes = header.coder === 'rans' ? 4 * Math.min(header.lanes, rows) : 2;
  // A symbol takes at most one word and one escape of at most 8 bytes.
  const values = rows * header.channels;
  const tooMany = wordBytes > firstBytes + 2 * values || escapeBytes > 8 * values || payloadBytes >= 2 ** 32;
  if (wordBytes < firstBytes || wordBytes % 2 !== 0 || tooMany) {
    cursor.fail(`${payloadBytes} bytes of payload with ${escapeBytes} of escapes`);
  }
  if (!canHold(payloadBytes, rows, header)) {
    cursor.fail(`${payloadBytes} bytes of payload cannot hold ${rows} rows`);
  }
  const crc = cursor.u32();
  return { rows, payloadBytes, escapeBytes, crc, headBytes: cursor.at - at };
}

/**
 * Whether so many bytes can hold so many rows. No coder makes fewer bits than a third of the tables' least, so a
 * length that lies is found before anything is allocated for it.
 */
function canHold(bytes: number, rows: number, header: BinceHeader): boolean {
  return rows * header.minBitsPerRow <= 24 * bytes + 64;
}

/** The CRC-32C that block `number` has to carry. */
export function blockCrc(
  head: { readonly rows: number; readonly payloadBytes: number; readonly escapeBytes: number },
  payload: Uint8Array,
  header: { readonly crc: number },
  number: number,
  checksum: Checksum = crc32c,
): number {
  const prefix = new DataView(new ArrayBuffer(24));
  prefix.setUint32(0, header.crc, true);
  prefix.setUint32(4, number % 2 ** 32, true);
  prefix.setUint32(8, Math.floor(number / 2 ** 32), true);
  prefix.setUint32(12, head.rows, true);
  prefix.setUint32(16, head.payloadBytes, true);
  prefix.setUint32(20, head.escapeBytes, true);
  return checksum(payload, checksum(new Uint8Array(prefix.buffer)));
}

/** Where a block stands and which rows it holds. */
export interface BlockPlace {
  readonly offset: number;
  readonly bytes: number;
  readonly firstRow: number;
  readonly rows: number;
}

/** CRC-32C of the header's CRC and `bytes`, as index and trailer carry it. */
export function sectionCrc(
  bytes: Uint8Array,
  header: { readonly crc: number },
  checksum: Checksum = crc32c,
): number {
  const prefix = new DataView(new ArrayBuffer(4));
  prefix.setUint32(0, header.crc, true);
  return checksum(bytes, checksum(new Uint8Array(prefix.buffer)));
}

/** The lengths of an index section, whose payload may not be there yet. */
export function parseIndexHead(
  bytes: Uint8Array,
  at = 0,
): { payloadBytes: number; headBytes: number; crc: number } {
  const cursor = new Cursor(bytes, 'index', undefined, at);
  const tag = cursor.u8();
  if (tag !== kTagIndex) cursor.fail(`the tag ${tag} is not that of an index`);
  const payloadBytes = cursor.varint();
  const crc = cursor.u32();
  return { payloadBytes, crc, headBytes: cursor.at - at };
}

/** Parses an index payload whose CRC is right; `end` is the file offset where the index begins. */
export function parseIndexPayload(payload: Uint8Array, header: BinceHeader, end: number): BlockPlace[] {
  const cursor = new Cursor(payload, 'index');
  const places: BlockPlace[] = [];
  const runs = cursor.varint();
  let floor = header.bytes;
  let firstRow = 0;
  for (let run = 0; run < runs; run++) {
    let offset = cursor.varint();
    const count = cursor.varint();
    if (offset < floor || count < 1) cursor.fail(`run ${run} has ${count} blocks from byte ${offset} on`);
    for (let i = 0; i < count; i++) {
      const given = cursor.varint();
      const rows = given === 0 ? header.blockRows : given;
      const bytes = cursor.varint();
      if (rows > header.blockRows || bytes > end - offset || !canHold(bytes, rows, header)) {
        cursor.fail(`block ${places.length} has ${rows} rows in ${bytes} bytes from byte ${offset} on`);
      }
      places.push({ offset, bytes, firstRow, rows });
      offset += bytes;
      firstRow += rows;
    }
    floor = offset;
  }
  if (cursor.left !== 0) cursor.fail(`${cursor.left} bytes too many`);
  return places;
}

export interface Trailer {
  readonly indexOffset: number;
  readonly rows: number;
}

/** Parses the 28 bytes of a trailer. */
export function parseTrailer(bytes: Uint8Array, header: { readonly crc: number }): Trailer {
  const cursor = new Cursor(bytes, 'trailer');
  const body = bytes.subarray(0, 16);
  const indexOffset = cursor.u64();
  const rows = cursor.u64();
  const crc = cursor.u32();
  const magic = cursor.take(kTrailerMagic.length);
  if (!magic.every((byte, i) => byte === kTrailerMagic[i]))
    cursor.fail('the file does not end with a trailer');
  if (crc !== sectionCrc(body, header)) cursor.fail('the checksum differs');
  return { indexOffset, rows };
}

/** Compares what the index says of a block with what the block says. */
export function checkBlockPlace(place: BlockPlace, head: BlockHead, number: number): void {
  if (place.rows === head.rows && place.bytes === head.headBytes + head.payloadBytes) return;
  throw new DamagedFileError(
    'block',
    `it says ${head.rows} rows in ${head.headBytes + head.payloadBytes} bytes, the index ${place.rows} in ${place.bytes}`,
    { block: number },
  );
}

/** Checks the CRC of an index. */
export function checkSectionCrc(
  part: FilePart,
  bytes: Uint8Array,
  crc: number,
  header: { readonly crc: number },
  checksum: Checksum = crc32c,
): void {
  if (sectionCrc(bytes, header, checksum) !== crc) throw new DamagedFileError(part, 'the checksum differs');
}
