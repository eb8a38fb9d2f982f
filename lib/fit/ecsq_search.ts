/**
 * The search behind entropy-coded scalar quantisation: a step and a shift for each channel. First one step for all,
 * by bisection; then, around its slope, each channel its own (allocation.ts).
 *
 * The shift places the reconstruction points. Fine steps do not care; coarse ones do: a channel that is coded at
 * almost no bits is reconstructed as its shift, so the mean is right for a bell and the median or zero for a
 * channel that is mostly one value. Each channel takes the cheapest of the three by distortion + slope * bits.
 */
import { BinceError } from '../errors.js';
import type { CdfTables } from '../kernels/tables.js';
import { Allocation, type Choice, total } from './allocation.js';
import { type Distortion, slopeOfStep } from './high_rate.js';
import { type Quantized, quantizeColumn } from './quantizer.js';
import { codeLength, kMaxEntries, type SymbolPmf, smoothedPmf, symbolProbability } from './smoothing.js';
import { takeTurns } from './turns.js';
import { readColumn, type Sample } from './vector_source.js';

/** Bits a row and distortion a row. */
export interface Operation {
  readonly bits: number;
  readonly error: number;
}

/** Steps and shifts of all channels. */
export interface Quantizer {
  readonly step: Float32Array;
  readonly shift: Float32Array;
  /** What a bit is worth there, in distortion. */
  readonly slope: number;
}

/** One channel's places to put the reconstruction point of symbol 0. */
interface ChannelStatistics {
  readonly mean: number;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly variance: number;
  /** The least step whose symbols stay small enough to be exact in float32. */
  readonly leastStep: number;
  /** Distance of the few levels that all values stand on, counted from the low end; undefined for other channels. */
  readonly spacing: number | undefined;
}

/** Symbols beyond this would lose precision in float32 long before the format's 2^30. */
const kMaxSymbol = 2 ** 22;
/** Most levels of a channel that are looked at as such. */
const kMaxLevels = 256;
/** Steps outside are not tried: their inverse, or a symbol's product, would leave float32. */
const kLeastStep = 2 ** -120;
const kMostStep = 2 ** 120;

export class EcsqSearch {
  readonly #sample: Sample;
  readonly #distortion: Distortion;
  readonly #columns: Float32Array;
  readonly #statistics: ChannelStatistics[];
  readonly #symbols: Float64Array;
  readonly #turn: () => Promise<void>;
  readonly #onLevels: (Choice | undefined)[];

  constructor(sample: Sample, distortion: Distortion, signal?: AbortSignal) {
    const { rows, channels } = sample;
    this.#turn = takeTurns(signal);
    this.#sample = sample;
    this.#distortion = distortion;
    this.#columns = new Float32Array(rows * channels);
    this.#symbols = new Float64Array(rows);
    this.#statistics = [];
    for (let c = 0; c < channels; c++) {
      const column = this.#column(c);
      readColumn(sample, c, column);
      this.#statistics.push(statistics(column));
    }
    this.#onLevels = this.#statistics.map(({ low, spacing }, c) =>
      spacing === undefined ? undefined : this.#measure(c, spacing, low),
    );
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

  /** The same step for all channels, with the best shift for each. */
  async oneStep(step: number): Promise<Quantizer> {
    return this.#cheapest((c) => this.#shifted(c, step), slopeOfStep(step, this.#distortion));
  }

  /** For vectors that hold less than the bits they may cost: what is exact, else the least steps. */
  async #finest(): Promise<Quantizer> {
    const exact = (c: number) => {
      const onLevels = this.#onLevels[c];
      return onLevels ? [onLevels] : this.#choices(c, kLeastStep);
    };
    const least = this.#statistics.reduce((a, { leastStep }) => Math.min(a, leastStep), kMostStep);
    return this.#cheapest(exact, slopeOfStep(least, this.#distortion));
  }

  async #cheapest(choicesOf: (channel: number) => Choice[], slope: number): Promise<Quantizer> {
    const choices: Choice[] = [];
    for (let c = 0; c < this.#sample.channels; c++) {
      const tried = choicesOf(c);
      choices.push(tried.reduce((a, b) => (b.error + slope * b.bits < a.error + slope * a.bits ? b : a)));
      await this.#turn();
    }
    return quantizerOf(choices, slope);
  }

  /** Every channel's best step and shift where a bit is worth `slope`. */
  async atSlope(slope: number): Promise<Quantizer> {
    return quantizerOf(await this.#allocation().atSlope(slope), slope);
  }

  /**
   * Steps and shifts whose bits come close to `bits` a row, from below. Where the vectors hold less information than
   * that at any step, the finest step that was tried.
   */
  async atRate(bits: number): Promise<Quantizer> {
    const step = await this.#bisect(bits);
    if (step === 0) return this.#finest();
    const { slope, choices } = await this.#allocation().atRate(bits, slopeOfStep(step, this.#distortion));
    return quantizerOf(this.#refine(choices, bits), slope);
  }

  #allocation(): Allocation {
    return new Allocation({
      channels: this.#sample.channels,
      distortion: this.#distortion,
      measure: (channel, step) => this.#choices(channel, step),
      turn: this.#turn,
    });
  }

  /** A channel at a step, and on its own levels where it has few. */
  #choices(channel: number, step: number): Choice[] {
    const onLevels = this.#onLevels[channel];
    const shifted = this.#shifted(channel, Math.max(step, this.#statistics[channel]!.leastStep));
    return onLevels ? [onLevels, ...shifted] : shifted;
  }

  /** A channel at a step, with each of its shifts. */
  #shifted(channel: number, step: number): Choice[] {
    const { mean, median, low, high } = this.#statistics[channel]!;
    const shifts = low === high ? [low] : new Set([low <= 0 && high >= 0 ? 0 : median, median, mean]);
    return Array.from(shifts, (shift) => this.#measure(channel, step, shift));
  }

  #measure(channel: number, step: number, shift: number): Choice {
    const { rows } = this.#sample;
    const quantized = quantizeColumn(this.#column(channel), this.#symbols, { step, shift });
    const { histogram, squaredError, absoluteError } = quantized;
    const error = this.#distortion === 'mse' ? squaredError : absoluteError;
    // Differences beyond float32: of no use with this shift.
    if (!Number.isFinite(error)) return { step, shift, bits: 2 ** 40, error: Number.MAX_VALUE };
    return { step, shift, bits: codeLength(histogram, smoothedPmf(histogram)) / rows, error: error / rows };
  }

  /** Few channels leave a gap to the target: all steps a little finer fill it, where that lowers the error. */
  #refine(choices: Choice[], bits: number): Choice[] {
    let best = choices;
    let [fine, coarse] = [2 ** -0.25, 1];
    for (let i = 0; i < 8 && total(best) < 0.998 * bits; i++) {
      const middle = Math.sqrt(fine * coarse);
      const finer = choices.map(({ step, shift }, c) => this.#measure(c, Math.fround(step * middle), shift));
      if (total(finer) > bits) {
        fine = middle;
        continue;
      }
      coarse = middle;
      if (errorOf(finer) < errorOf(best)) best = finer;
    }
    return best;
  }

  /** One step for all whose rate is closest below `bits` a row, around the channels' means; 0 where any is. */
  async #bisect(bits: number): Promise<number> {
    const rate = async (step: number) => {
      let sum = 0;
      for (const [c, { mean, leastStep }] of this.#statistics.entries()) {
        sum += this.#measure(c, Math.max(step, leastStep), mean).bits;
        await this.#turn();
      }
      return sum;
    };
    // fine costs more than `bits`, coarse at most that.
    let fine = Math.fround(this.deviation || 1);
    let coarse = fine;
    if ((await rate(fine)) > bits) {
      do {
        fine = coarse;
        coarse *= 2;
      } while ((await rate(coarse)) > bits && coarse < kMostStep);
    } else {
      do {
        coarse = fine;
        fine /= 2;
        if (this.#statistics.every(({ leastStep }) => coarse <= leastStep)) return 0;
      } while ((await rate(fine)) <= bits);
    }
    for (let i = 0; i < 8 && coarse / fine > 1.05; i++) {
      const middle = Math.fround(Math.sqrt(fine * coarse));
      if ((await rate(middle)) > bits) fine = middle;
      else coarse = middle;
    }
    return Math.fround(coarse);
  }
}

function errorOf(choices: readonly Choice[]): number {
  let sum = 0;
  for (const { error } of choices) sum += error;
  return sum;
}

function quantizerOf(choices: readonly Choice[], slope: number): Quantizer {
  return {
    step: Float32Array.from(choices, ({ step }) => step),
    shift: Float32Array.from(choices, ({ shift }) => shift),
    slope,
  };
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
    leastStep: Math.max(Math.max(Math.abs(low), Math.abs(high), high - low) / kMaxSymbol, kLeastStep),
    spacing: spacingOfLevels(column, low, high),
  };
}

/**
 * The distance between levels where a channel was quantised before it came here (bits, bytes, ranks): at most
 * kMaxLevels of them, evenly spaced but for rounding.
 */
function spacingOfLevels(column: Float32Array, low: number, high: number): number | undefined {
  const levels = new Set<number>();
  for (let i = 0; i < column.length && levels.size <= kMaxLevels; i++) levels.add(column[i]!);
  if (levels.size > kMaxLevels || levels.size < 2) return undefined;
  const sorted = Float64Array.from(levels).sort();
  let least = high - low;
  for (let i = 1; i < sorted.length; i++) least = Math.min(least, sorted[i]! - sorted[i - 1]!);
  const count = Math.round((high - low) / least);
  const spacing = (high - low) / count;
  const even = count < kMaxEntries && sorted.every((x) => isNearInteger((x - low) / spacing));
  return even && spacing < kMostStep ? Math.fround(spacing) : undefined;
}

function isNearInteger(x: number): boolean {
  return Math.abs(x - Math.round(x)) < 1e-3;
}

/** The median of at most 4096 evenly spaced values. */
function medianOfSome(column: Float32Array): number {
  const stride = Math.max(1, Math.ceil(column.length / 4096));
  const some = new Float32Array(Math.ceil(column.length / stride));
  for (let i = 0, at = 0; at < column.length; i++, at += stride) some[i] = column[at]!;
  some.sort();
  return some[some.length >> 1]!;
}

/** Tables counted from rows, and what they cost a row. */
export interface CountedTables {
  readonly pmfs: SymbolPmf[];
  readonly bits: number;
  readonly squaredError: number;
}

/**
 * The mass functions of all channels, counted over a whole sample. `learned` are tables of the same channels that
 * tell what to expect of symbols too rare to count.
 */
export async function countTables(
  sample: Sample,
  { step, shift }: Pick<Quantizer, 'step' | 'shift'>,
  signal?: AbortSignal,
  learned?: CdfTables,
): Promise<CountedTables> {
  const turn = takeTurns(signal);
  const column = new Float32Array(sample.rows);
  const symbols = new Float64Array(sample.rows);
  const pmfs: SymbolPmf[] = [];
  let bits = 0;
  let squaredError = 0;
  for (let c = 0; c < sample.channels; c++) {
    await turn();
    readColumn(sample, c, column);
    const quantized: Quantized = quantizeColumn(column, symbols, { step: step[c]!, shift: shift[c]! });
    if (!(quantized.reach < 2 ** 30)) {
      throw new BinceError(
        'BINCE_INVALID_VALUE',
        `step ${step[c]} is too small: channel ${c} needs ${quantized.reach} steps`,
        {
          hint: 'choose a larger --step, or --bits instead',
        },
      );
    }
    const pmf = smoothedPmf(quantized.histogram, learned && symbolProbability(learned, c));
    pmfs.push(pmf);
    bits += codeLength(quantized.histogram, pmf);
    squaredError += quantized.squaredError;
  }
  return { pmfs, bits: bits / sample.rows, squaredError: squaredError / sample.rows };
}
