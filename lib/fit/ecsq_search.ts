/**
 * The search behind entropy-coded scalar quantisation: one step for all channels, and a shift for each.
 *
 * Why one step: for squared error at a given total rate, every channel should work at the same slope of its
 * rate-distortion curve. At high rate the slope of a uniform quantiser depends on its step alone (distortion
 * step^2/12, rate h - log2(step)), so equal slopes are equal steps, whatever the channels' variances; at low rate a
 * channel whose spread is far below the step costs nearly no bits, as reverse water-filling would have it.
 *
 * The shift places the reconstruction points. Fine steps do not care; coarse ones do: a channel that is coded at
 * almost no bits is reconstructed as its shift, so the mean is right for a bell and the median or zero for a
 * channel that is mostly one value. Each channel takes the cheapest of the three by distortion + lambda * bits, with
 * lambda = (ln 2 / 6) step^2, the slope above.
 */
import { BinceError } from '../errors.js';
import { type Quantized, quantizeColumn } from './quantizer.js';
import { codeLength, type SymbolPmf, smoothedPmf } from './smoothing.js';
import { takeTurns } from './turns.js';
import { readColumn, type Sample } from './vector_source.js';

/** Bits a row and squared error a row of one step over a sample. */
export interface Operation {
  readonly bits: number;
  readonly squaredError: number;
}

/** One channel's places to put the reconstruction point of symbol 0. */
interface ChannelStatistics {
  readonly mean: number;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly variance: number;
}

/** Symbols beyond this would lose precision in float32 long before the format's 2^30. */
const kMaxSymbol = 2 ** 22;

export class EcsqSearch {
  readonly #sample: Sample;
  readonly #columns: Float32Array;
  readonly #statistics: ChannelStatistics[];
  readonly #symbols: Float64Array;
  readonly #turn: () => Promise<void>;
  shift: Float32Array;

  constructor(sample: Sample, signal?: AbortSignal) {
    const { rows, channels } = sample;
    this.#turn = takeTurns(signal);
    this.#sample = sample;
    this.#columns = new Float32Array(rows * channels);
    this.#symbols = new Float64Array(rows);
    this.#statistics = [];
    for (let c = 0; c < channels; c++) {
      const column = this.#column(c);
      readColumn(sample, c, column);
      this.#statistics.push(statistics(column));
    }
    this.shift = Float32Array.from(this.#statistics, ({ mean }) => mean);
  }

  #column(channel: number): Float32Array {
    const { rows } = this.#sample;
    return this.#columns.subarray(channel * rows, (channel + 1) * rows);
  }

  /** Root mean square deviation over all channels. */
  get deviation(): number {
    let sum = 0;
    for (const { variance } of this.#statistics) sum += variance;
    return Math.sqrt(sum / this.#statistics.length);
  }

  /** The least step whose symbols stay small enough to be exact in float32. */
  get leastStep(): number {
    let reach = 0;
    for (const { low, high } of this.#statistics)
      reach = Math.max(reach, Math.abs(low), Math.abs(high), high - low);
    return reach / kMaxSymbol;
  }

  /** Bits and error of a step with the present shifts. */
  async measure(step: number): Promise<Operation> {
    let bits = 0;
    let squaredError = 0;
    for (let c = 0; c < this.#sample.channels; c++) {
      const cost = this.#measureChannel(c, step, this.shift[c]!);
      bits += cost.bits;
      squaredError += cost.squaredError;
      await this.#turn();
    }
    return { bits: bits / this.#sample.rows, squaredError: squaredError / this.#sample.rows };
  }

  #measureChannel(channel: number, step: number, shift: number): Operation {
    const { histogram, squaredError } = quantizeColumn(this.#column(channel), this.#symbols, { step, shift });
    return { bits: codeLength(histogram, smoothedPmf(histogram)), squaredError };
  }

  /** Gives every channel the best of its shifts for this step. */
  async chooseShifts(step: number): Promise<void> {
    const lambda = (Math.LN2 / 6) * step * step;
    const shift = new Float32Array(this.#sample.channels);
    for (const [c, { mean, median, low, high }] of this.#statistics.entries()) {
      let best = Number.POSITIVE_INFINITY;
      const candidates = new Set([low <= 0 && high >= 0 ? 0 : median, median, mean]);
      for (const candidate of candidates) {
        const { bits, squaredError } = this.#measureChannel(c, step, candidate);
        const cost = squaredError + lambda * bits;
        if (cost < best) {
          best = cost;
          shift[c] = candidate;
        }
      }
      await this.#turn();
    }
    this.shift = shift;
  }

  /**
   * The step whose rate is closest below `bits` a row, by bisection, and the shifts that go with it. Where the
   * vectors hold less information than that at any step, the finest step that was tried.
   */
  async findStep(bits: number): Promise<number> {
    let step = Math.fround(this.deviation || 1);
    for (let round = 0; round < 2; round++) {
      step = await this.#bisect(bits, step);
      await this.chooseShifts(step);
    }
    return this.#bisect(bits, step);
  }

  async #bisect(bits: number, start: number): Promise<number> {
    const least = Math.max(this.leastStep, Number.MIN_VALUE * 2 ** 30);
    const rate = async (step: number) => (await this.measure(step)).bits;
    // fine costs more than `bits`, coarse at most that.
    let fine = start;
    let coarse = start;
    if ((await rate(start)) > bits) {
      do {
        fine = coarse;
        coarse *= 2;
      } while ((await rate(coarse)) > bits && coarse < 2 ** 100);
    } else {
      do {
        coarse = fine;
        fine /= 2;
        if (fine <= least) return Math.fround(Math.max(coarse, least));
      } while ((await rate(fine)) <= bits);
    }
    for (let i = 0; i < 24 && coarse / fine > 1.0005; i++) {
      const middle = Math.fround(Math.sqrt(fine * coarse));
      if ((await rate(middle)) > bits) fine = middle;
      else coarse = middle;
    }
    return Math.fround(coarse);
  }
}

function statistics(column: Float32Array): ChannelStatistics {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < column.length; i++) {
    const x = column[i]!;
    if (x < low) low = x;
    if (x > high) high = x;
    sum += x;
  }
  const mean = sum / column.length;
  let squares = 0;
  for (let i = 0; i < column.length; i++) squares += (column[i]! - mean) ** 2;
  return {
    mean: Math.fround(mean),
    median: medianOfSome(column),
    low,
    high,
    variance: squares / column.length,
  };
}

/** The median of at most 4096 evenly spaced values. */
function medianOfSome(column: Float32Array): number {
  const stride = Math.max(1, Math.ceil(column.length / 4096));
  const some = new Float32Array(Math.ceil(column.length / stride));
  for (let i = 0, at = 0; at < column.length; i++, at += stride) some[i] = column[at]!;
  some.sort();
  return some[some.length >> 1]!;
}

/** The mass functions of all channels at a step, counted over a whole sample, and what they cost. */
export async function countTables(
  sample: Sample,
  step: number,
  shift: Float32Array,
  signal?: AbortSignal,
): Promise<Operation & { pmfs: SymbolPmf[] }> {
  const turn = takeTurns(signal);
  const column = new Float32Array(sample.rows);
  const symbols = new Float64Array(sample.rows);
  const pmfs: SymbolPmf[] = [];
  let bits = 0;
  let squaredError = 0;
  for (let c = 0; c < sample.channels; c++) {
    await turn();
    readColumn(sample, c, column);
    const quantized: Quantized = quantizeColumn(column, symbols, { step, shift: shift[c]! });
    if (!(quantized.reach < 2 ** 30)) {
      throw new BinceError(
        'BINCE_INVALID_VALUE',
        `step ${step} is too small: channel ${c} needs ${quantized.reach} steps`,
        {
          hint: 'choose a larger --step, or --bits instead',
        },
      );
    }
    const pmf = smoothedPmf(quantized.histogram);
    pmfs.push(pmf);
    bits += codeLength(quantized.histogram, pmf);
    squaredError += quantized.squaredError;
  }
  return { pmfs, bits: bits / sample.rows, squaredError: squaredError / sample.rows };
}
