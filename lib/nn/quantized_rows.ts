/** Symbols of rows and back, in float32 exactly as docs/FORMAT.md has it: what files hold is what is computed here. */
import { BinceError } from '../errors.js';

/** [channels] each: a symbol s stands for ((s + median) * step) + shift. */
export interface RowQuantizer {
  readonly median: Float32Array;
  readonly step: Float32Array;
  readonly shift: Float32Array;
}

/** Adding and subtracting it rounds a double below 2^51 to an integer, halves to even. */
const kRound = 1.5 * 2 ** 52;
/** Files hold symbols below this magnitude. */
const kMaxSymbol = 2 ** 30;

/** Rows [n, channels] to symbols. Throws BINCE_INVALID_VALUE with the row and channel of a value that has none. */
export function quantizeRows(rows: Float32Array, { median, step, shift }: RowQuantizer): Int32Array {
  const channels = median.length;
  const gain = step.map((value) => 1 / value);
  const f32 = Math.fround;
  const symbols = new Int32Array(rows.length);
  for (let at = 0, c = 0; at < rows.length; at++) {
    const symbol = f32(f32(f32(rows[at]! - shift[c]!) * gain[c]!) - median[c]!) + kRound - kRound;
    if (!(Math.abs(symbol) < kMaxSymbol)) outOfRange(rows[at]!, Math.floor(at / channels), c);
    symbols[at] = symbol;
    if (++c === channels) c = 0;
  }
  return symbols;
}

function outOfRange(value: number, row: number, channel: number): never {
  throw new BinceError(
    'BINCE_INVALID_VALUE',
    `row ${row}, channel ${channel}: ${value} has no symbol below 2^30`,
    { hint: 'look for NaN and infinities in what the encoder puts out' },
  );
}

/** Symbols [n, channels] to the values they stand for. */
export function dequantizeRows(symbols: Int32Array, { median, step, shift }: RowQuantizer): Float32Array {
  const channels = median.length;
  const f32 = Math.fround;
  const rows = new Float32Array(symbols.length);
  for (let at = 0, c = 0; at < rows.length; at++) {
    rows[at] = f32(f32(f32(symbols[at]!) + median[c]!) * step[c]!) + shift[c]!;
    if (++c === channels) c = 0;
  }
  return rows;
}
