/** Uniform scalar quantisation of one channel, in float32 exactly as docs/FORMAT.md prescribes. */
import type { Histogram } from './smoothing.js';

/** Adding and subtracting it rounds a double below 2^51 to an integer, halves to even. */
const kRound = 1.5 * 2 ** 52;

/** Widest histogram; symbols outside are counted in its total alone. */
const kMaxBins = 1 << 14;

export interface Quantized {
  readonly histogram: Histogram;
  /** Sum of squared differences between the values and their reconstructions. */
  readonly squaredError: number;
  /** Sum of their absolute differences. */
  readonly absoluteError: number;
  /** Largest |symbol|. */
  readonly reach: number;
}

/**
 * Quantises `values` and counts the symbols. `symbols` [values.length] is overwritten with them. The symbol is
 * rint((x - shift) / step - median), the reconstruction (symbol + median) * step + shift.
 */
export function quantizeColumn(
  values: Float32Array,
  symbols: Float64Array,
  { step, shift, median = 0 }: { step: number; shift: number; median?: number },
): Quantized {
  const round = Math.fround;
  const gain = round(1 / step);
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let squaredError = 0;
  let absoluteError = 0;
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!;
    const symbol = round(round(round(x - shift) * gain) - median) + kRound - kRound;
    symbols[i] = symbol;
    if (symbol < low) low = symbol;
    if (symbol > high) high = symbol;
    const difference = x - round(round(round(symbol + median) * step) + shift);
    squaredError += difference * difference;
    absoluteError += Math.abs(difference);
  }
  return {
    histogram: countSymbols(symbols.subarray(0, values.length), low, high),
    squaredError,
    absoluteError,
    reach: Math.max(Math.abs(low), Math.abs(high)),
  };
}

/** Counts symbols between low and high; where that is too wide, around their median. */
export function countSymbols(symbols: Float64Array | Int32Array, low: number, high: number): Histogram {
  let first = low;
  let bins = high - low + 1;
  if (bins > kMaxBins) {
    bins = kMaxBins;
    first = Math.max(low, Math.min(high - bins + 1, typicalSymbol(symbols) - bins / 2));
  }
  const counts = new Int32Array(bins);
  for (let i = 0; i < symbols.length; i++) {
    const bin = symbols[i]! - first;
    if (bin >= 0 && bin < bins) counts[bin]!++;
  }
  return { first, counts, total: symbols.length };
}

/** The median of about a thousand of them. */
function typicalSymbol(symbols: Float64Array | Int32Array): number {
  const stride = Math.max(1, Math.floor(symbols.length / 1024));
  const some: number[] = [];
  for (let i = 0; i < symbols.length; i += stride) some.push(symbols[i]!);
  some.sort((a, b) => a - b);
  return some[some.length >> 1]!;
}
