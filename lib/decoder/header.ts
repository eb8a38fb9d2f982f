/** The header of a .bince file: what every block needs to be decoded (docs/FORMAT.md, "Header"). */
import type { CdfTables } from '../kernels/tables.js';
import { crc32c } from './crc32c.js';
import { Cursor } from './cursor.js';
import { DamagedFileError } from './damage.js';
import type { Request } from './source.js';

export const kMagic: Uint8Array = Uint8Array.of(0x89, 0x42, 0x4e, 0x43, 0x45, 0x0d, 0x0a, 0x1a);
export const kFormatVersion = 1;
export const kMaxChannels = 2 ** 20;
export const kMaxBlockRows = 2 ** 20;
export const kMaxEntries = 2 ** 16;
/** The frequencies of a table sum to this. */
export const kTotal = 2 ** 16;
/** Symbols are smaller than this in magnitude. */
export const kSymbolLimit = 2 ** 30;
/** Magic, length and CRC stand before the payload. */
export const kPreludeBytes = 16;
export const kFixedPayloadBytes = 32;

export const kFlagMedian = 1;
export const kFlagStep = 2;
export const kFlagShift = 4;
export const kFlagTableIndex = 8;

/** What the rows were when they were given to the encoder; int32 rows are symbols. */
export type RowDtype = 'int32' | 'float32' | 'float16' | 'bfloat16';
export const kDtypes: readonly RowDtype[] = ['int32', 'float32', 'float16', 'bfloat16'];

export type Coder = 'rans' | 'range';
export const kCoders: readonly Coder[] = ['rans', 'range'];

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export interface BinceHeader {
  readonly version: number;
  readonly coder: Coder;
  /** Interleaved rANS states: 1, 2, 4, 8, 16 or 32. */
  readonly lanes: number;
  readonly channels: number;
  /** Rows of a full block. */
  readonly blockRows: number;
  readonly dtype: RowDtype;
  readonly tables: CdfTables;
  /** [channels] the table of each channel; absent: channel c uses table c. */
  readonly tableIndex: Int32Array | undefined;
  /** [channels] each, or absent: 0, 1, 0. A value is ((symbol + median) * step) + shift. */
  readonly median: Float32Array | undefined;
  readonly step: Float32Array | undefined;
  readonly shift: Float32Array | undefined;
  /** Name, method, shape, model hash and free metadata. */
  readonly json: { readonly [key: string]: JsonValue };
  /** CRC-32C of the payload; it takes part in the CRC of every section. */
  readonly crc: number;
  /** The file offset where the sections begin. */
  readonly bytes: number;
  /** A row costs no less than this: the sum over channels of log2(65536 / largest frequency). */
  readonly minBitsPerRow: number;
}

/** Reads and checks magic and header. */
export function* readHeader(size: number): Generator<Request, BinceHeader, Uint8Array> {
  if (size < kPreludeBytes) {
    throw new DamagedFileError(
      'header',
      `a .bince file has at least ${kPreludeBytes} bytes, this has ${size}`,
    );
  }
  const prelude = new Cursor(yield { offset: 0, length: kPreludeBytes }, 'header');
  checkMagic(prelude.take(kMagic.length));
  const length = prelude.u32();
  const crc = prelude.u32();
  if (length < kFixedPayloadBytes || length > size - kPreludeBytes) {
    throw new DamagedFileError('header', `a length of ${length} bytes in a file of ${size}`);
  }
  const payload = yield { offset: kPreludeBytes, length };
  if (crc32c(payload) !== crc) throw new DamagedFileError('header', 'the checksum differs');
  return parseHeaderPayload(payload, crc);
}

function checkMagic(magic: Uint8Array): void {
  if (magic.every((byte, i) => byte === kMagic[i])) return;
  const name = magic.subarray(1, 4);
  const textMode = name[0] === 0x42 && name[1] === 0x4e && name[2] === 0x43;
  throw new DamagedFileError(
    'header',
    textMode
      ? 'the magic number is damaged as by a transfer that changes line ends or the eighth bit'
      : 'not a .bince file (the magic number differs)',
    textMode ? { hint: 'copy the file again in binary mode' } : {},
  );
}

/** Parses a header payload whose CRC is right; everything in it is checked all the same. */
export function parseHeaderPayload(payload: Uint8Array, crc: number): BinceHeader {
  const cursor = new Cursor(payload, 'header');
  const version = cursor.u16();
  if (version !== kFormatVersion)
    cursor.fail(`format version ${version}, this decoder reads ${kFormatVersion}`);
  const coder = kCoders[cursor.u8()] ?? cursor.fail('an unknown coder');
  const lanesLog2 = cursor.u8();
  if (lanesLog2 > 5 || (coder === 'range' && lanesLog2 > 0)) cursor.fail(`2^${lanesLog2} lanes`);
  const channels = cursor.u32();
  if (channels < 1 || channels > kMaxChannels) cursor.fail(`${channels} channels`);
  const blockRows = cursor.u32();
  if (blockRows < 1 || blockRows > kMaxBlockRows) cursor.fail(`${blockRows} rows a block`);
  const dtype = kDtypes[cursor.u8()] ?? cursor.fail('an unknown dtype');
  const flags = cursor.u8();
  if (flags > 15) cursor.fail(`unknown flags ${flags}`);
  if (cursor.u16() !== 0) cursor.fail('a reserved field is not zero');
  const tableCount = cursor.u32();
  const jsonBytes = cursor.u32();
  const tableBytes = cursor.u32();
  if (cursor.u32() !== 0) cursor.fail('a reserved field is not zero');
  const json = parseJson(cursor, cursor.take(jsonBytes));
  const tables = parseTables(new Cursor(cursor.take(tableBytes), 'header'), tableCount);
  const tableIndex = flags & kFlagTableIndex ? parseTableIndex(cursor, channels, tableCount) : undefined;
  if (!tableIndex && tableCount !== channels) cursor.fail(`${tableCount} tables for ${channels} channels`);
  const median = flags & kFlagMedian ? parseFloats(cursor, channels, 'median') : undefined;
  const step = flags & kFlagStep ? parseFloats(cursor, channels, 'step') : undefined;
  const shift = flags & kFlagShift ? parseFloats(cursor, channels, 'shift') : undefined;
  if (cursor.left !== 0) cursor.fail(`${cursor.left} bytes too many`);
  return {
    version,
    coder,
    lanes: 2 ** lanesLog2,
    channels,
    blockRows,
    dtype,
    tables,
    tableIndex,
    median,
    step,
    shift,
    json,
    crc,
    bytes: kPreludeBytes + payload.length,
    minBitsPerRow: minBitsPerRow(tables, tableIndex, channels),
  };
}

function parseJson(cursor: Cursor, bytes: Uint8Array): { readonly [key: string]: JsonValue } {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    cursor.fail('its JSON cannot be read');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    cursor.fail('its JSON is no object');
  return value as { readonly [key: string]: JsonValue };
}

function parseTables(cursor: Cursor, count: number): CdfTables {
  // Every table takes at least four bytes and every entry one, so the file's size bounds what is allocated.
  if (count < 1 || count > cursor.left / 4) cursor.fail(`${count} tables in ${cursor.left} bytes`);
  const start = new Int32Array(count + 1);
  const offset = new Int32Array(count);
  const cdf = new Int32Array(cursor.left + count);
  let at = 0;
  for (let t = 0; t < count; t++) {
    start[t] = at;
    const entries = cursor.varint();
    if (entries < 2 || entries > kMaxEntries) cursor.fail(`table ${t} has ${entries} entries`);
    const first = cursor.zigzag();
    if (Math.abs(first) >= kSymbolLimit) cursor.fail(`table ${t} has the offset ${first}`);
    offset[t] = first;
    if (entries > cursor.left) cursor.fail(`table ${t} has ${entries} entries in ${cursor.left} bytes`);
    let sum = 0;
    cdf[at++] = 0;
    for (let e = 0; e < entries; e++) {
      const frequency = cursor.varint();
      sum += frequency;
      if (frequency < 1 || sum > kTotal) cursor.fail(`table ${t} has the frequency ${frequency}`);
      cdf[at++] = sum;
    }
    if (sum !== kTotal) cursor.fail(`the frequencies of table ${t} sum to ${sum}`);
  }
  start[count] = at;
  if (cursor.left !== 0) cursor.fail(`${cursor.left} bytes too many in its tables`);
  return { cdf: cdf.slice(0, at), start, offset };
}

function parseTableIndex(cursor: Cursor, channels: number, tableCount: number): Int32Array {
  if (channels > cursor.left) cursor.fail(`${channels} channels in ${cursor.left} bytes`);
  const index = new Int32Array(channels);
  for (let c = 0; c < channels; c++) {
    const table = cursor.varint();
    if (table >= tableCount) cursor.fail(`channel ${c} uses table ${table} of ${tableCount}`);
    index[c] = table;
  }
  return index;
}

function parseFloats(cursor: Cursor, channels: number, name: 'median' | 'step' | 'shift'): Float32Array {
  const values = cursor.floats(channels);
  const bad = values.findIndex((value) => !isValidScalar(name, value));
  if (bad >= 0) cursor.fail(`the ${name} of channel ${bad} is ${values[bad]}`);
  return values;
}

/** Medians and shifts are finite; a step is positive and both it and 1/step are finite in float32. */
export function isValidScalar(name: 'median' | 'step' | 'shift', value: number): boolean {
  if (!Number.isFinite(value)) return false;
  return name !== 'step' || (value > 0 && Number.isFinite(Math.fround(1 / value)));
}

function minBitsPerRow(tables: CdfTables, tableIndex: Int32Array | undefined, channels: number): number {
  const { cdf, start } = tables;
  const minBits = new Float64Array(start.length - 1);
  for (let t = 0; t < minBits.length; t++) {
    let largest = 0;
    for (let i = start[t]! + 1; i < start[t + 1]!; i++) largest = Math.max(largest, cdf[i]! - cdf[i - 1]!);
    minBits[t] = 16 - Math.log2(largest);
  }
  let bits = 0;
  for (let c = 0; c < channels; c++) bits += minBits[tableIndex ? tableIndex[c]! : c]!;
  return bits;
}
