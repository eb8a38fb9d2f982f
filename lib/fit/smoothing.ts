/**
 * From counted symbols to a probability mass function that also serves rows that were not counted.
 *
 * p(s) = (count(s) + K q(s)) / (N + K): the counts, mixed with a two-sided geometric distribution q around their
 * mean, somewhat wider than they are. Its weight K is the number of symbols seen once (Good and Turing's estimate of
 * how much was not seen), at least one half. A symbol keeps a place in the table only if it pays: each entry takes at
 * least 2^-16 of the probability, and a byte or so of the file; what is outside costs an escape.
 */
import type { CdfTables } from '../kernels/tables.js';

/** Counted symbols of one channel: counts[i] is that of symbol first + i. */
export interface Histogram {
  readonly first: number;
  readonly counts: Float64Array | Int32Array;
  /** All symbols, also those outside `counts`. */
  readonly total: number;
}

/** A mass function as pmfToCdf takes it: the last entry is the escape; entry i is the symbol offset + i. */
export interface SymbolPmf {
  readonly offset: number;
  readonly pmf: Float32Array;
}

const kLeast = 2 ** -16;
/** Entries of a table, at most, without the escape. */
export const kMaxEntries = 4096;
/** What an escape costs beside its own code, roughly: 16 bits less what the symbol would have cost, and a byte. */
const kEscapeBits = 20;

/** `known` replaces q by probabilities of symbols that are known from elsewhere. */
export function smoothedPmf(histogram: Histogram, known?: (symbol: number) => number): SymbolPmf {
  const { counts, first, total } = histogram;
  const [low, high] = payingRange(histogram);
  let inside = 0;
  let mean = 0;
  let once = 0;
  for (let i = low; i <= high; i++) {
    const n = counts[i]!;
    inside += n;
    mean += n * i;
    if (n === 1) once++;
  }
  mean /= inside;
  let spread = 0;
  for (let i = low; i <= high; i++) spread += counts[i]! * Math.abs(i - mean);
  const theta = geometricRatio(1.5 * (spread / inside) + 0.1);
  const weight = Math.max(0.5, once);
  const scale = (1 - theta) / (1 + theta);
  const prior = known ? (i: number) => known(first + i) : (i: number) => scale * theta ** Math.abs(i - mean);
  const share = weight / (total + weight);
  // Entries beyond what was seen, while the prior gives them more than the least probability.
  let begin = low;
  let end = high;
  while (end - begin + 1 < kMaxEntries && share * prior(end + 1) > kLeast) end++;
  while (end - begin + 1 < kMaxEntries && share * prior(begin - 1) > kLeast) begin--;
  const pmf = new Float32Array(end - begin + 2);
  let sum = 0;
  for (let i = begin; i <= end; i++) {
    const p = ((i >= low && i <= high ? counts[i]! : 0) + weight * prior(i)) / (total + weight);
    pmf[i - begin] = p;
    sum += p;
  }
  pmf[pmf.length - 1] = Math.max(1 - sum, kLeast / 4);
  return { offset: first + begin, pmf };
}

/** Parameter of the two-sided geometric distribution p(s) ~ theta^|s| whose mean |s| is `spread`. */
function geometricRatio(spread: number): number {
  return (Math.sqrt(1 + spread * spread) - 1) / spread;
}

/** The range of indices, around the most frequent symbol, in which every end pays for the gap before it. */
function payingRange({ counts, total }: Histogram): [low: number, high: number] {
  let mode = 0;
  for (let i = 1; i < counts.length; i++) if (counts[i]! > counts[mode]!) mode = i;
  const entryBits = (Math.LOG2E * total * kLeast + 1) / kEscapeBits;
  const reach = (direction: 1 | -1): number => {
    let end = mode;
    let pending = 0;
    for (let i = mode + direction; i >= 0 && i < counts.length; i += direction) {
      if (Math.abs(i - mode) >= kMaxEntries / 2) break;
      pending += counts[i]!;
      if (counts[i]! > 0 && pending > Math.abs(i - end) * entryBits) {
        end = i;
        pending = 0;
      }
    }
    return end;
  };
  return [reach(-1), reach(1)];
}

/** Bits of the counted symbols under a mass function, escapes with their bytes included. */
export function codeLength(histogram: Histogram, { offset, pmf }: SymbolPmf): number {
  const { counts, first, total } = histogram;
  const symbols = pmf.length - 1;
  let bits = 0;
  let inside = 0;
  for (let i = 0; i < counts.length; i++) {
    const n = counts[i]!;
    const entry = first + i - offset;
    if (n === 0 || entry < 0 || entry >= symbols) continue;
    inside += n;
    bits -= n * Math.log2(Math.max(pmf[entry]!, kLeast));
  }
  const escapes = total - inside;
  // An escape carries a varint of two bytes, mostly.
  if (escapes > 0) bits += escapes * (16 - Math.log2(Math.max(pmf[symbols]!, kLeast)));
  return bits;
}

/** Probabilities of symbols by a table; outside of it, none. */
export function symbolProbability(
  { cdf, start, offset }: CdfTables,
  table: number,
): (symbol: number) => number {
  const first = start[table]!;
  const end = start[table + 1]! - 2;
  return (symbol) => {
    const entry = first + symbol - offset[table]!;
    return entry >= first && entry < end ? (cdf[entry + 1]! - cdf[entry]!) / 65536 : 0;
  };
}
