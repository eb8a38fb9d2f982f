/**
 * The range coder of docs/FORMAT.md symbol by symbol, for models that decode one symbol to predict the next. The bytes
 * are those of `encode` with `coder: 'range'`.
 */
import { invalidArgument } from '../errors.js';
import { native } from '../native.js';
import { type PreparedTables, prepareTables } from './coding.js';
import type { CdfTables } from './tables.js';

declare const encoderState: unique symbol;
declare const decoderState: unique symbol;
interface NativeEncoder {
  readonly [encoderState]: true;
}
interface NativeDecoder {
  readonly [decoderState]: true;
}

declare module '../native.js' {
  interface NativeCalls {
    rangeEncoder(tables: PreparedTables): NativeEncoder;
    rangePut(encoder: NativeEncoder, table: number, symbol: number): void;
    rangeEncoderFinish(encoder: NativeEncoder): Uint8Array;
    rangeDecoder(tables: PreparedTables, bytes: Uint8Array): NativeDecoder;
    rangeGet(decoder: NativeDecoder, table: number): number;
    rangeDecoderFinish(decoder: NativeDecoder): void;
  }
}

function checkTable(tables: CdfTables, table: unknown): number {
  const last = tables.offset.length - 1;
  if (!Number.isInteger(table) || (table as number) < 0 || (table as number) > last)
    invalidArgument('table', `an integer from 0 to ${last}`, table);
  return table as number;
}

/** Codes symbols as they come. What was put first can be decoded first. */
export class RangeEncoder {
  readonly #tables: CdfTables;
  #encoder: NativeEncoder | undefined;

  constructor(tables: CdfTables) {
    this.#encoder = native().rangeEncoder(prepareTables(tables));
    this.#tables = tables;
  }

  /** Codes one int32 symbol under the table of that number. */
  put(table: number, symbol: number): void {
    checkTable(this.#tables, table);
    if ((symbol | 0) !== symbol) invalidArgument('symbol', 'an integer of 32 bits', symbol);
    native().rangePut(this.#open(), table, symbol);
  }

  /** Ends the stream and returns it; the encoder takes no more symbols. */
  finish(): Uint8Array {
    const bytes = native().rangeEncoderFinish(this.#open());
    this.#encoder = undefined;
    return bytes;
  }

  #open(): NativeEncoder {
    return this.#encoder ?? invalidArgument('encoder', 'one that was not finished', 'a finished one');
  }
}

/** Decodes the symbols of a {@link RangeEncoder}, in the order in which they were put. */
export class RangeDecoder {
  readonly #tables: CdfTables;
  readonly #decoder: NativeDecoder;

  /** Copies the bytes. */
  constructor(tables: CdfTables, bytes: Uint8Array) {
    if (!(bytes instanceof Uint8Array)) invalidArgument('bytes', 'a Uint8Array', bytes);
    this.#decoder = native().rangeDecoder(prepareTables(tables), bytes);
    this.#tables = tables;
  }

  /** The next symbol, which was put under the same table. Throws BINCE_CORRUPT_DATA beyond the stream's end. */
  get(table: number): number {
    return native().rangeGet(this.#decoder, checkTable(this.#tables, table));
  }

  /** Throws BINCE_CORRUPT_DATA unless the symbols taken are all that the stream holds. */
  finish(): void {
    native().rangeDecoderFinish(this.#decoder);
  }
}
