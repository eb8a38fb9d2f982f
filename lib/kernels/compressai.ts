/**
 * CompressAI's bit streams: the strings of `EntropyBottleneck.compress` and `GaussianConditional.compress`, byte for
 * byte, and the state dictionaries of its entropy bottleneck.
 */
import { invalidArgument } from '../errors.js';
import { native, withCancel } from '../native.js';
import { type PreparedTables, prepareTables } from './coding.js';
import { importStateDict } from './compressai_state.js';
import type { CdfTables } from './tables.js';

declare module '../native.js' {
  interface NativeCalls {
    stringsEncodeSync(
      tables: PreparedTables,
      symbols: Int32Array,
      indexes: Int32Array,
      strings: number,
    ): EncodedStrings;
    stringsEncodeAsync(
      tables: PreparedTables,
      symbols: Int32Array,
      indexes: Int32Array,
      strings: number,
      cancel: Int32Array | undefined,
    ): Promise<EncodedStrings>;
    stringsDecodeSync(
      tables: PreparedTables,
      bytes: Uint8Array,
      sizes: Float64Array,
      indexes: Int32Array,
      length: number,
      out: Int32Array | undefined,
    ): Int32Array;
    stringsDecodeAsync(
      tables: PreparedTables,
      bytes: Uint8Array,
      sizes: Float64Array,
      indexes: Int32Array,
      length: number,
      out: Int32Array | undefined,
      cancel: Int32Array | undefined,
    ): Promise<Int32Array>;
  }
}

interface EncodedStrings {
  readonly bytes: Uint8Array;
  readonly sizes: Float64Array;
}

/** How symbols [B, L] lie under the tables. */
export interface StringCoding {
  readonly tables: CdfTables;
  /** [L] or [B, L] the table of each symbol. An entropy bottleneck's is its channel. */
  readonly indexes: Int32Array;
}

interface CheckedStrings {
  prepared: PreparedTables;
  length: number;
}

function checkStrings(
  strings: number,
  coding: StringCoding,
  symbols: Int32Array | undefined,
): CheckedStrings {
  const { indexes } = coding;
  if (!(indexes instanceof Int32Array)) invalidArgument('indexes', 'an Int32Array', indexes);
  if (!Number.isInteger(strings) || strings < 0) invalidArgument('rows', 'a number of strings', strings);
  let length = indexes.length;
  if (symbols) {
    if (strings === 0 ? symbols.length > 0 : symbols.length % strings !== 0)
      invalidArgument('symbols', `${strings} rows of equal length`, symbols);
    length = strings === 0 ? indexes.length : symbols.length / strings;
  }
  if (indexes.length !== length && indexes.length !== strings * length)
    invalidArgument('indexes', `${length} numbers, or as many as symbols`, indexes);
  return { prepared: prepareTables(coding.tables), length };
}

/** Options of the encoder: B rows. */
export interface EncodeStringsOptions extends StringCoding {
  /** B, the number of strings; 1 if absent. */
  readonly rows?: number;
}

/** Options of the decoder. The strings must not change until the call has ended. */
export interface DecodeStringsOptions extends StringCoding {
  /** L, symbols of a string; the length of `indexes` if absent (which must then be [L]). */
  readonly length?: number;
  /**
   * Where the symbols go, to save the making of new memory, which costs more than decoding does: exactly B L numbers;
   * a subarray serves too. After an error its contents are unspecified.
   */
  readonly out?: Int32Array;
}

function checkSymbols(symbols: unknown): Int32Array {
  if (!(symbols instanceof Int32Array)) invalidArgument('symbols', 'an Int32Array', symbols);
  return symbols;
}

// Views of one buffer: memory for each string would cost more than coding it does.
function split({ bytes, sizes }: EncodedStrings): Uint8Array[] {
  let at = 0;
  return Array.from(sizes, (size) => {
    const string = bytes.subarray(at, at + size);
    at += size;
    return string;
  });
}

function join(strings: readonly Uint8Array[]): EncodedStrings {
  if (!Array.isArray(strings)) invalidArgument('strings', 'an array of Uint8Array', strings);
  const sizes = new Float64Array(strings.length);
  let total = 0;
  let behind = true; // each lies behind the one before, as those of one call of `encode` do
  for (let i = 0; i < strings.length; ++i) {
    const string = strings[i];
    if (!(string instanceof Uint8Array)) invalidArgument(`strings[${i}]`, 'a Uint8Array', string);
    const first = strings[0]!;
    behind &&= string.buffer === first.buffer && string.byteOffset === first.byteOffset + total;
    sizes[i] = string.length;
    total += string.length;
  }
  if (behind && strings.length > 0)
    return { bytes: new Uint8Array(strings[0]!.buffer, strings[0]!.byteOffset, total), sizes };
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const string of strings) {
    bytes.set(string, at);
    at += string.length;
  }
  return { bytes, sizes };
}

function checkDecode(strings: readonly Uint8Array[], options: DecodeStringsOptions) {
  const joined = join(strings);
  const length = options.length ?? options.indexes?.length;
  if (!Number.isInteger(length) || length < 0) invalidArgument('length', 'a number of symbols', length);
  const { out } = options;
  if (out !== undefined && !(out instanceof Int32Array)) invalidArgument('out', 'an Int32Array', out);
  if (out && out.length !== strings.length * length)
    invalidArgument('out', `${strings.length * length} numbers`, out);
  const { prepared } = checkStrings(strings.length, options, undefined);
  if (options.indexes.length !== length && options.indexes.length !== strings.length * length)
    invalidArgument('indexes', `${length} numbers, or as many as symbols`, options.indexes);
  return { joined, length, prepared };
}

/** Reading and writing what CompressAI reads and writes. */
export const compressai = {
  /**
   * Encodes symbols [B, L] (already minus the medians) to B strings. A symbol so far outside its table that its
   * escape needs more than 28 bits rejects with BINCE_INVALID_VALUE: the original never ends on it. The strings are
   * views of one buffer; `slice()` gives one memory of its own.
   */
  async encode(
    symbols: Int32Array,
    options: EncodeStringsOptions & { readonly signal?: AbortSignal },
  ): Promise<Uint8Array[]> {
    const rows = options.rows ?? 1;
    const { prepared } = checkStrings(rows, options, checkSymbols(symbols));
    return split(
      await withCancel(options.signal, (cancel) =>
        native().stringsEncodeAsync(prepared, symbols, options.indexes, rows, cancel),
      ),
    );
  },

  /** As `encode`, on this thread's time. */
  encodeSync(symbols: Int32Array, options: EncodeStringsOptions): Uint8Array[] {
    const rows = options.rows ?? 1;
    const { prepared } = checkStrings(rows, options, checkSymbols(symbols));
    return split(native().stringsEncodeSync(prepared, symbols, options.indexes, rows));
  },

  /**
   * Decodes strings to symbols [B, L]. Checks the final state and that every word was used, which the original does
   * not; rejects with BINCE_CORRUPT_DATA, naming the string.
   */
  async decode(
    strings: readonly Uint8Array[],
    options: DecodeStringsOptions & { readonly signal?: AbortSignal },
  ): Promise<Int32Array> {
    const { joined, length, prepared } = checkDecode(strings, options);
    return withCancel(options.signal, (cancel) =>
      native().stringsDecodeAsync(
        prepared,
        joined.bytes,
        joined.sizes,
        options.indexes,
        length,
        options.out,
        cancel,
      ),
    );
  },

  /** As `decode`, on this thread's time. */
  decodeSync(strings: readonly Uint8Array[], options: DecodeStringsOptions): Int32Array {
    const { joined, length, prepared } = checkDecode(strings, options);
    const { indexes, out } = options;
    return native().stringsDecodeSync(prepared, joined.bytes, joined.sizes, indexes, length, out);
  },

  importStateDict,
} as const;
