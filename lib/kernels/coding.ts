/**
 * Coding of symbols under integer tables: blocks of rows as `.bince` files hold them, and plain arrays. Both coders,
 * rANS and the range coder, are those of docs/FORMAT.md; every backend writes the same bytes.
 */
import { invalidArgument } from '../errors.js';
import { native, withCancel } from '../native.js';
import type { Handle } from '../tensor/storage.js';
import type { Tensor } from '../tensor/tensor.js';
import type { CdfTables } from './tables.js';

/** rANS: last in, first out, fast. Range coder: first in, first out, for decoding symbol by symbol. */
export type Coder = 'rans' | 'range';

declare const preparedTables: unique symbol;
/** Tables as the native side laid them out. */
export interface PreparedTables {
  readonly [preparedTables]: true;
}

/** Coded bytes that stay with the addon until an array of their size is there. */
interface WaitingBytes {
  readonly size: number;
  readonly coded: unknown;
}

/** As the addon gives them; a number of bytes stands for the beginning of the `out` that it was given. */
interface NativeBlocks<Bytes> {
  readonly bytes: Bytes;
  readonly sectionBytes: Float64Array;
  readonly sectionRows: Uint32Array;
  readonly idealBits: number;
}

declare module '../native.js' {
  interface NativeCalls {
    codingTables(cdf: Int32Array, start: Int32Array, offset: Int32Array): PreparedTables;
    codingFormat(
      cdf: Int32Array,
      start: Int32Array,
      offset: Int32Array,
      tableIndex: Int32Array | undefined,
      median: Float32Array | undefined,
      step: Float32Array | undefined,
      shift: Float32Array | undefined,
      channels: number,
      blockRows: number,
      lanes: number,
      coder: number,
      headerCrc: number,
    ): PreparedTables;
    crc32c(bytes: Uint8Array, seed: number): number;
    blocksEncodeSync(
      format: PreparedTables,
      rows: Float32Array | Int32Array,
      first: number,
      out: Uint8Array | undefined,
      idealBits: boolean,
    ): NativeBlocks<Uint8Array | number>;
    blocksEncodeAsync(
      format: PreparedTables,
      rows: Float32Array | Int32Array,
      first: number,
      out: Uint8Array | undefined,
      idealBits: boolean,
      cancel: Int32Array | undefined,
    ): Promise<NativeBlocks<Uint8Array | number | WaitingBytes>>;
    codedCopyAsync(coded: WaitingBytes['coded'], out: Uint8Array, cancel: undefined): Promise<void>;
    rowsTake(
      format: PreparedTables,
      rows: Float32Array | Int32Array,
      copy: Float32Array | Int32Array | undefined,
    ): number;
    largePages(array: Float32Array | Int32Array): void;
    blocksDecodeSync(
      format: PreparedTables,
      bytes: Uint8Array,
      first: number,
      symbols: boolean,
      out: Float32Array | Int32Array | undefined,
    ): Float32Array | Int32Array;
    blocksDecodeAsync(
      format: PreparedTables,
      bytes: Uint8Array,
      first: number,
      symbols: boolean,
      out: Float32Array | Int32Array | undefined,
      cancel: Int32Array | undefined,
    ): Promise<Float32Array | Int32Array>;
    blocksEncodeDevice(
      format: PreparedTables,
      rows: Handle,
      firstRow: number,
      count: number,
      first: number,
      out: Uint8Array | undefined,
      idealBits: boolean,
      cancel: Int32Array | undefined,
    ): Promise<NativeBlocks<Uint8Array | number>>;
    blocksDecodeDevice(
      format: PreparedTables,
      rows: Handle,
      firstRow: number,
      count: number,
      first: number,
      bytes: Uint8Array,
      sectionBytes: Float64Array,
      cancel: Int32Array | undefined,
    ): Promise<void>;
    symbolsEncodeSync(
      tables: PreparedTables,
      symbols: Int32Array,
      indexes: Int32Array | undefined,
      coder: number,
      lanes: number,
    ): Uint8Array;
    symbolsEncodeAsync(
      tables: PreparedTables,
      symbols: Int32Array,
      indexes: Int32Array | undefined,
      coder: number,
      lanes: number,
      cancel: Int32Array | undefined,
    ): Promise<Uint8Array>;
    symbolsDecodeSync(
      tables: PreparedTables,
      bytes: Uint8Array,
      indexes: Int32Array | undefined,
      coder: number,
      lanes: number,
      count: number,
    ): Int32Array;
    symbolsDecodeAsync(
      tables: PreparedTables,
      bytes: Uint8Array,
      indexes: Int32Array | undefined,
      coder: number,
      lanes: number,
      count: number,
      cancel: Int32Array | undefined,
    ): Promise<Int32Array>;
  }
}

const coderNumber: Record<Coder, number> = { rans: 0, range: 1 };
const maxBlock = Number.MAX_SAFE_INTEGER;

function checkInteger(name: string, value: unknown, low: number, high: number): number {
  if (!Number.isInteger(value) || (value as number) < low || (value as number) > high)
    invalidArgument(name, `an integer from ${low} to ${high}`, value);
  return value as number;
}

function checkBytes(name: string, value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) invalidArgument(name, 'a Uint8Array', value);
  return value;
}

function checkInts(name: string, value: unknown): Int32Array {
  if (!(value instanceof Int32Array)) invalidArgument(name, 'an Int32Array', value);
  return value;
}

function checkFloats(name: string, value: unknown): Float32Array | undefined {
  if (value !== undefined && !(value instanceof Float32Array)) invalidArgument(name, 'a Float32Array', value);
  return value;
}

function checkCoder(coder: unknown): number {
  if (coder !== 'rans' && coder !== 'range') invalidArgument('coder', "'rans' or 'range'", coder);
  return coderNumber[coder];
}

function checkTables(tables: CdfTables): CdfTables {
  if (typeof tables !== 'object' || tables === null) invalidArgument('tables', 'CdfTables', tables);
  checkInts('tables.cdf', tables.cdf);
  checkInts('tables.start', tables.start);
  checkInts('tables.offset', tables.offset);
  return tables;
}

const preparedByTables = new WeakMap<CdfTables, PreparedTables>();

/**
 * Lays the tables out for the coders; done once for each tables object, whose arrays must not change afterwards.
 * Throws BINCE_INVALID_ARGUMENT for tables that are not strictly increasing from 0 to 65536.
 */
export function prepareTables(tables: CdfTables): PreparedTables {
  let prepared = preparedByTables.get(checkTables(tables));
  if (!prepared) {
    prepared = native().codingTables(tables.cdf, tables.start, tables.offset);
    preparedByTables.set(tables, prepared);
  }
  return prepared;
}

/** What the blocks of one file share; see docs/FORMAT.md. */
export interface BlockFormat {
  readonly tables: CdfTables;
  /** [C] the table of each channel; without it channel c uses table c. */
  readonly tableIndex?: Int32Array;
  /** C, 1 to 2^20. */
  readonly channels: number;
  /** Rows of a full block, 1 to 2^20. */
  readonly blockRows: number;
  /** Rows coded side by side; 1 for the range coder. {@link chooseLanes} picks for a rate. */
  readonly lanes: 1 | 2 | 4 | 8 | 16 | 32;
  readonly coder: Coder;
  /** CRC-32C of the file's header, which enters every block's checksum. */
  readonly headerCrc: number;
  /** [C] finite; 0 if absent. */
  readonly median?: Float32Array;
  /** [C] above 0; 1 if absent. */
  readonly step?: Float32Array;
  /** [C] finite; 0 if absent. */
  readonly shift?: Float32Array;
}

/** Whole sections, one after the other. */
export interface EncodedBlocks {
  /** Memory of the caller's, of exactly this size unless `out` was given. */
  readonly bytes: Uint8Array;
  /** [blocks] bytes of each section. */
  readonly sectionBytes: Float64Array;
  /** [blocks] rows of each section. */
  readonly sectionRows: Uint32Array;
  /** Cross-entropy of the symbols under the tables, in bits, escapes' bytes included; NaN if it was not asked for. */
  readonly idealBits: number;
}

export interface EncodeBlocksOptions {
  /** The number of the first block, which enters the checksums; 0 if absent. */
  readonly firstBlock?: number;
  /**
   * Memory to encode into, to save the making of new memory: `bytes` is then its beginning. Where it is too small,
   * `bytes` is new memory as without it.
   */
  readonly out?: Uint8Array;
  /** Whether to count `idealBits`, which takes a tenth of the time where vectors do the rest; true if absent. */
  readonly idealBits?: boolean;
  readonly signal?: AbortSignal;
}

export interface DecodeBlocksOptions<As extends 'float32' | 'symbols' = 'float32' | 'symbols'> {
  /** The number of the first block; 0 if absent. */
  readonly firstBlock?: number;
  /** Values (the default), or the int32 symbols. */
  readonly as?: As;
  /**
   * Where the rows go, to save the making of new memory, which costs more than decoding does: exactly as many values
   * as the sections hold; a subarray serves too. After an error its contents are unspecified.
   */
  readonly out?: As extends 'symbols' ? Int32Array : Float32Array;
  readonly signal?: AbortSignal;
}

/** Rows [firstRow, firstRow + rows) of a float32 tensor on a device, whose elements are rows of the coder's channels. */
export interface DeviceRows {
  readonly tensor: Tensor;
  readonly firstRow: number;
  readonly rows: number;
}

/**
 * Codes rows into block sections and back. Rows are float32 values, quantised as docs/FORMAT.md says, or int32
 * symbols. Copies the format: later changes of its arrays have no effect.
 */
export class BlockCoder {
  readonly channels: number;
  readonly blockRows: number;
  readonly #format: PreparedTables;

  /** Throws BINCE_INVALID_ARGUMENT or BINCE_INVALID_VALUE for a format that no file can have. */
  constructor(format: BlockFormat) {
    const tables = checkTables(format.tables);
    this.channels = checkInteger('channels', format.channels, 1, 2 ** 20);
    this.blockRows = checkInteger('blockRows', format.blockRows, 1, 2 ** 20);
    this.#format = native().codingFormat(
      tables.cdf,
      tables.start,
      tables.offset,
      format.tableIndex === undefined ? undefined : checkInts('tableIndex', format.tableIndex),
      checkFloats('median', format.median),
      checkFloats('step', format.step),
      checkFloats('shift', format.shift),
      this.channels,
      this.blockRows,
      checkInteger('lanes', format.lanes, 1, 32),
      checkCoder(format.coder),
      checkInteger('headerCrc', format.headerCrc, 0, 2 ** 32 - 1),
    );
  }

  #checkRows(rows: Float32Array | Int32Array): void {
    if (!(rows instanceof Float32Array) && !(rows instanceof Int32Array))
      invalidArgument('rows', 'a Float32Array or an Int32Array', rows);
    if (rows.length % this.channels !== 0)
      invalidArgument('rows', `a multiple of ${this.channels} values`, rows);
  }

  /**
   * Encodes rows [n, C] into ceil(n / blockRows) sections. A value that is not finite, or whose symbol is not below
   * 2^30, rejects with BINCE_INVALID_VALUE, naming its row and channel.
   */
  async encode(rows: Float32Array | Int32Array, options: EncodeBlocksOptions = {}): Promise<EncodedBlocks> {
    this.#checkRows(rows);
    const [first, out, ideal] = checkEncode(options);
    const made = await withCancel(options.signal, (cancel) =>
      native().blocksEncodeAsync(this.#format, rows, first, out, ideal, cancel),
    );
    if (typeof made.bytes === 'number') return { ...made, bytes: out!.subarray(0, made.bytes) };
    if (made.bytes instanceof Uint8Array) return made as NativeBlocks<Uint8Array>;
    const bytes = new Uint8Array(made.bytes.size);
    await native().codedCopyAsync(made.bytes.coded, bytes, undefined);
    return { ...made, bytes };
  }

  /** As {@link encode}, on this thread's time. */
  encodeSync(
    rows: Float32Array | Int32Array,
    options: Omit<EncodeBlocksOptions, 'signal'> = {},
  ): EncodedBlocks {
    this.#checkRows(rows);
    const [first, out, ideal] = checkEncode(options);
    const made = native().blocksEncodeSync(this.#format, rows, first, out, ideal);
    if (typeof made.bytes === 'number') return { ...made, bytes: out!.subarray(0, made.bytes) };
    return made as NativeBlocks<Uint8Array>;
  }

  /**
   * Encodes rows where they lie: on a CUDA device they are quantised, coded and joined there, and only the sections
   * come to the host. The bytes are those of {@link encode}.
   */
  async encodeOnDevice(given: DeviceRows, options: EncodeBlocksOptions = {}): Promise<EncodedBlocks> {
    const [first, out, ideal] = checkEncode(options);
    const { tensor, firstRow, rows } = given;
    const made = await withCancel(options.signal, (cancel) =>
      native().blocksEncodeDevice(this.#format, tensor.handle, firstRow, rows, first, out, ideal, cancel),
    );
    if (typeof made.bytes === 'number') return { ...made, bytes: out!.subarray(0, made.bytes) };
    return made as NativeBlocks<Uint8Array>;
  }

  /**
   * Decodes whole sections of the sizes given into rows on a device: the coded bytes go there, the values are made
   * there. Bytes that no encoder wrote reject with BINCE_CORRUPT_DATA, naming a bad block.
   */
  async decodeOnDevice(
    bytes: Uint8Array,
    sectionBytes: Float64Array,
    out: DeviceRows,
    options: { readonly firstBlock?: number; readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const [first] = checkDecode(bytes, { firstBlock: options.firstBlock ?? 0 });
    const { tensor, firstRow, rows } = out;
    await withCancel(options.signal, (cancel) =>
      native().blocksDecodeDevice(
        this.#format,
        tensor.handle,
        firstRow,
        rows,
        first,
        checkBytes('bytes', bytes),
        sectionBytes,
        cancel,
      ),
    );
  }

  /**
   * How many values of rows [n, C] come before the first that {@link encode} would refuse: all if it would take all.
   * Symbols of 2^30 and more, which no file can hold, count as refused here. With `copy`, of the same type and length,
   * at least those values are copied there, in the same pass; it is the rows' own memory or none of it.
   */
  countValid<Rows extends Float32Array | Int32Array>(rows: Rows, copy?: Rows): number {
    this.#checkRows(rows);
    if (copy !== undefined && (copy.constructor !== rows.constructor || copy.length !== rows.length))
      invalidArgument('copy', `${rows.length} values of the kind of the rows`, copy);
    return native().rowsTake(this.#format, rows, copy);
  }

  /**
   * Decodes whole sections, one after the other, to rows [n, C]. Bytes that no encoder wrote reject with
   * BINCE_CORRUPT_DATA, naming the first bad block.
   */
  async decode(bytes: Uint8Array, options?: DecodeBlocksOptions<'float32'>): Promise<Float32Array>;
  async decode(bytes: Uint8Array, options: DecodeBlocksOptions<'symbols'>): Promise<Int32Array>;
  async decode(bytes: Uint8Array, options: DecodeBlocksOptions): Promise<Float32Array | Int32Array>;
  async decode(bytes: Uint8Array, options: DecodeBlocksOptions = {}): Promise<Float32Array | Int32Array> {
    const [first, symbols] = checkDecode(bytes, options);
    return withCancel(options.signal, (cancel) =>
      native().blocksDecodeAsync(this.#format, bytes, first, symbols, options.out, cancel),
    );
  }

  /** As {@link decode}, on this thread's time. */
  decodeSync(bytes: Uint8Array, options?: DecodeBlocksOptions<'float32'>): Float32Array;
  decodeSync(bytes: Uint8Array, options: DecodeBlocksOptions<'symbols'>): Int32Array;
  decodeSync(bytes: Uint8Array, options: DecodeBlocksOptions): Float32Array | Int32Array;
  decodeSync(bytes: Uint8Array, options: DecodeBlocksOptions = {}): Float32Array | Int32Array {
    const [first, symbols] = checkDecode(bytes, options);
    return native().blocksDecodeSync(this.#format, bytes, first, symbols, options.out);
  }
}

function checkEncode(options: EncodeBlocksOptions): [number, Uint8Array | undefined, boolean] {
  const { firstBlock = 0, out, idealBits = true } = options;
  if (typeof idealBits !== 'boolean') invalidArgument('idealBits', 'a boolean', idealBits);
  return [
    checkInteger('firstBlock', firstBlock, 0, maxBlock),
    out === undefined ? undefined : checkBytes('out', out),
    idealBits,
  ];
}

/**
 * Asks for large pages under an array that nothing was written to yet: fresh memory of 4 MiB and more then costs a
 * quarter. Only a hint.
 */
export function preferLargePages<Rows extends Float32Array | Int32Array>(array: Rows): Rows {
  native().largePages(array);
  return array;
}

function checkDecode(bytes: Uint8Array, options: DecodeBlocksOptions): [number, boolean] {
  checkBytes('bytes', bytes);
  const as = options.as ?? 'float32';
  if (as !== 'float32' && as !== 'symbols') invalidArgument('as', "'float32' or 'symbols'", as);
  const { out } = options;
  if (out !== undefined && !(out instanceof (as === 'symbols' ? Int32Array : Float32Array)))
    invalidArgument('out', as === 'symbols' ? 'an Int32Array' : 'a Float32Array', out);
  return [checkInteger('firstBlock', options.firstBlock ?? 0, 0, maxBlock), as === 'symbols'];
}

/** CRC-32C (Castagnoli) of the bytes; `seed` is the result for the bytes before them. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  checkBytes('bytes', bytes);
  return native().crc32c(bytes, seed) >>> 0;
}

/**
 * The most lanes, of 1 to 32, whose cost keeps a block within 1% and 0.1 bit a row of its ideal size. A block pays
 * about 24 bits a lane (the state it ends with holds 16 to 32 bits of which half are paid twice) and about 80 bits of
 * section header and index.
 * @param bitsPerRow the ideal bits of a row
 */
export function chooseLanes(bitsPerRow: number, blockRows: number): 1 | 2 | 4 | 8 | 16 | 32 {
  if (!(bitsPerRow >= 0)) invalidArgument('bitsPerRow', 'a number of bits', bitsPerRow);
  checkInteger('blockRows', blockRows, 1, 2 ** 20);
  const allowed = blockRows * (0.01 * bitsPerRow + 0.1) - 80;
  for (const lanes of [32, 16, 8, 4, 2] as const) if (24 * lanes <= allowed) return lanes;
  return 1;
}

/** How a plain array was coded; the decoder needs the same. */
export interface SymbolCoding {
  readonly tables: CdfTables;
  /** [count] the table of each symbol. Without it symbol i uses table i mod T: rows of T symbols. */
  readonly indexes?: Int32Array;
  /** `rans` if absent. */
  readonly coder?: Coder;
  /** Rows (symbols, with indexes) coded side by side; if absent, a power of two that depends on the count alone. */
  readonly lanes?: 1 | 2 | 4 | 8 | 16 | 32;
}

interface CheckedCoding {
  prepared: PreparedTables;
  indexes: Int32Array | undefined;
  coder: number;
  lanes: number;
}

function checkCoding(count: number, coding: SymbolCoding): CheckedCoding {
  const prepared = prepareTables(coding.tables);
  const coder = checkCoder(coding.coder ?? 'rans');
  const indexes = coding.indexes === undefined ? undefined : checkInts('indexes', coding.indexes);
  if (indexes && indexes.length !== count)
    invalidArgument('indexes', `${count} numbers, one a symbol`, indexes);
  let lanes = 1;
  if (coding.lanes !== undefined) lanes = checkInteger('lanes', coding.lanes, 1, 32);
  else if (coder === coderNumber.rans) while (lanes < 32 && lanes * 2048 <= count) lanes *= 2;
  return { prepared, indexes, coder, lanes };
}

/**
 * Codes an array of symbols, each under its own table. No checksum and no length: the decoder must be told the
 * count, and finds damage only where the coder does not end as encoders do.
 */
export async function encode(
  symbols: Int32Array,
  options: SymbolCoding & { readonly signal?: AbortSignal },
): Promise<Uint8Array> {
  const { prepared, indexes, coder, lanes } = checkCoding(checkInts('symbols', symbols).length, options);
  return withCancel(options.signal, (cancel) =>
    native().symbolsEncodeAsync(prepared, symbols, indexes, coder, lanes, cancel),
  );
}

/** As {@link encode}, on this thread's time. */
export function encodeSync(symbols: Int32Array, options: SymbolCoding): Uint8Array {
  const { prepared, indexes, coder, lanes } = checkCoding(checkInts('symbols', symbols).length, options);
  return native().symbolsEncodeSync(prepared, symbols, indexes, coder, lanes);
}

/** Decodes `count` symbols; rejects with BINCE_CORRUPT_DATA for bytes that no encoder wrote. */
export async function decode(
  bytes: Uint8Array,
  options: SymbolCoding & { readonly count: number; readonly signal?: AbortSignal },
): Promise<Int32Array> {
  const count = checkInteger('count', options.count, 0, 2 ** 32);
  const { prepared, indexes, coder, lanes } = checkCoding(count, options);
  checkBytes('bytes', bytes);
  return withCancel(options.signal, (cancel) =>
    native().symbolsDecodeAsync(prepared, bytes, indexes, coder, lanes, count, cancel),
  );
}

/** As {@link decode}, on this thread's time. */
export function decodeSync(
  bytes: Uint8Array,
  options: SymbolCoding & { readonly count: number },
): Int32Array {
  const count = checkInteger('count', options.count, 0, 2 ** 32);
  const { prepared, indexes, coder, lanes } = checkCoding(count, options);
  return native().symbolsDecodeSync(prepared, checkBytes('bytes', bytes), indexes, coder, lanes, count);
}
