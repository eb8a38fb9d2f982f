/** The bottleneck with a factorised entropy model: a gain and a shift a channel, and a learned density for each. */
import { factorizedBits } from '../autograd/index.js';
import { type CodecModel, createModel, idealBits } from '../codec/model.js';
import type { WriterOptions } from '../codec/write_session.js';
import { BinceError, describe, invalidArgument } from '../errors.js';
import { tablesOf } from '../fit/fitted_model.js';
import { countSymbols } from '../fit/quantizer.js';
import { kMaxEntries, smoothedPmf, symbolProbability } from '../fit/smoothing.js';
import { buildTablesSync } from '../kernels/build_tables.js';
import { solveQuantilesSync } from '../kernels/entropy.js';
import { initFactorizedParameters, parameterCount } from '../kernels/factorized_parameters.js';
import type { CdfTables } from '../kernels/tables.js';
import { full, tensor, zeros } from '../tensor/factories.js';
import { defaultGenerator, type Generator } from '../tensor/generator.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkPositiveInteger } from './arguments.js';
import { Module } from './module.js';
import { Buffer, Parameter } from './parameter.js';
import { dequantizeRows, quantizeRows, type RowQuantizer } from './quantized_rows.js';

export interface EntropyBottleneckOptions {
  /** The start of every channel's log gain. Default 1. */
  readonly logGain?: number | undefined;
  /** How wide the densities begin, in steps. Default 10. */
  readonly initScale?: number | undefined;
  /**
   * What is handed on in training: noisy values (default) or, with true, rounded ones whose gradient passes as if
   * nothing had been rounded, about the medians that were last solved for (0 at first). The rate is that of noisy
   * values in both cases.
   */
  readonly straightThrough?: boolean | undefined;
  /** Of the noise and the start values; the default generator if absent. */
  readonly generator?: Generator | undefined;
}

/** What a bottleneck makes of z. */
export interface Bottlenecked {
  /** What a decoder gets: of z's shape and in its units. */
  readonly zHat: Tensor;
  /** [N] the rate of each example, in bits. */
  readonly bits: Tensor;
}

/** What lies outside the outer quantiles: a table entry below the coder's least probability would be of no use. */
const kTailMass = 2 ** -16;

/**
 * z [N, ..., channels] to a quantised z and its rate (Balle et al. 2018):
 *
 *     y = (z - shift) * exp(logGain)       yHat = y + U(-1/2, 1/2) in training, round(y - median) + median in evaluation
 *     zHat = yHat * exp(-logGain) + shift  bits = -sum log2 (F(yHat + 1/2) - F(yHat - 1/2))
 *
 * F is each channel's learned distribution function, `density` [58][channels] (see initFactorizedParameters). The medians
 * are solved for, not learned, whenever the module turns from training to evaluation, and by {@link solve}.
 */
export class EntropyBottleneck extends Module {
  readonly channels: number;
  readonly straightThrough: boolean;
  readonly density: Parameter;
  readonly logGain: Parameter;
  readonly shift: Parameter;
  /** [channels] in the units of y. */
  readonly medians: Buffer;
  readonly #generator: Generator;

  constructor(channels: number, options: EntropyBottleneckOptions = {}) {
    super();
    this.channels = checkPositiveInteger('channels', channels);
    const { logGain = 1, initScale = 10, straightThrough = false, generator = defaultGenerator } = options;
    this.straightThrough = straightThrough;
    this.#generator = generator;
    const seed = Number(generator.nextSeed() & 0xffffffffn);
    const density = initFactorizedParameters(channels, { initScale, seed });
    this.density = new Parameter(tensor(density, [parameterCount(), channels]));
    this.logGain = new Parameter(full([channels], logGain));
    this.shift = new Parameter(zeros([channels]));
    this.medians = new Buffer(zeros([channels]));
  }

  override forward(z: Tensor): Bottlenecked {
    this.#check(z);
    const { density: parameters, logGain, shift, medians, training } = this;
    const { bits, values } = factorizedBits(z, {
      ...{ parameters, logGain, shift, medians },
      quantize: training ? 'noise' : 'round',
      generator: this.#generator,
    });
    const y = training && this.straightThrough ? this.#rounded(z) : values;
    return { zHat: y.mul(logGain.neg().exp()).add(shift), bits };
  }

  #rounded(z: Tensor): Tensor {
    const y = z.sub(this.shift).mul(this.logGain.exp());
    return y.sub(this.medians).round().add(this.medians);
  }

  #check(z: Tensor): void {
    if (z.rank < 2 || z.shape.at(-1) !== this.channels)
      invalidArgument('z', `shape [N, ..., ${this.channels}]`, `[${z.shape.join(', ')}]`);
  }

  protected override setTraining(mode: boolean): void {
    if (this.training && !mode) this.solve();
    super.setTraining(mode);
  }

  /**
   * Solves for the quantiles of every channel, sets the medians, and returns [channels][3]: lower tail, median, upper
   * tail, in the units of y. Throws BINCE_INVALID_VALUE where a density has run away.
   * @param tailMass outside of both tails; 2^-16 by default, the least probability of the coder
   */
  solve(tailMass: number = kTailMass): Float32Array {
    const { channels } = this;
    const parameters = this.density.floats();
    const { quantiles, unsolved } = solveQuantilesSync({ channels, parameters, tailMass });
    if (unsolved.length > 0)
      throw new BinceError(
        'BINCE_INVALID_VALUE',
        `the density of channel ${unsolved[0]} has a quantile beyond 2^24`,
        { hint: 'a lower learning rate, or clipped gradients, keep densities from running away' },
      );
    this.medians.write(Float32Array.from({ length: channels }, (_, c) => quantiles[3 * c + 1]!));
    return quantiles;
  }

  /** Symbols [N * channels] of z [N, ..., channels], as files hold them. */
  symbols(z: Tensor): Int32Array {
    this.#check(z);
    return quantizeRows(z.floats(), this.quantizer());
  }

  /** The values [n, channels] that symbols stand for: zHat of evaluation. */
  dequantize(symbols: Int32Array): Tensor {
    const rows = dequantizeRows(symbols, this.quantizer());
    return tensor(rows, [rows.length / this.channels, this.channels]);
  }

  /** What makes symbols of values: steps exp(-logGain), and shifts that medians are part of (files are shorter so). */
  quantizer(): RowQuantizer {
    const step = this.logGain.floats().map((gain) => Math.exp(-gain));
    const medians = this.medians.floats();
    const shift = this.shift.floats().map((value, c) => value + medians[c]! * step[c]!);
    return { median: new Float32Array(this.channels), step, shift };
  }

  /** Integer tables of the learned densities about the medians; solves for them first. */
  tables(): CdfTables {
    const quantiles = this.solve();
    const most = kMaxEntries / 2;
    for (let c = 0; c < this.channels; c++) {
      const median = quantiles[3 * c + 1]!;
      quantiles[3 * c] = Math.max(quantiles[3 * c]!, median - most);
      quantiles[3 * c + 2] = Math.min(quantiles[3 * c + 2]!, median + most);
    }
    return buildTablesSync({ channels: this.channels, parameters: this.density.floats(), quantiles });
  }

  /**
   * A model of the codec with which files of rows of z are written and read (see {@link shortRowOptions}). Its tables are those of the learned
   * densities; with `sample`, the symbols [n * channels] of rows like those to come, counts decide, and the densities
   * tell what to expect of symbols too rare to count: smaller tables and fewer bits.
   */
  toModel(name: string, sample?: Int32Array): CodecModel {
    const learned = this.tables();
    const { channels } = this;
    const counted = sample === undefined ? learned : countedTables(channels, sample, learned);
    const { density, logGain } = this;
    return createModel({
      ...{ name, method: 'bottleneck', channels, dtype: 'float32', tables: counted },
      ...this.quantizer(),
      network: {
        parameters: { shape: density.shape, data: density.floats() },
        log_gain: { shape: logGain.shape, data: logGain.floats() },
      },
    });
  }
}

/** Bits that a lane's state costs, and bits of a block's section header and index. */
const kLaneBits = 24;
const kBlockBits = 100;
const kLeastBlockRows = 4096;
const kMostBlockRows = 2 ** 17;

/**
 * Options for a BinceWriter of short rows (a few bits each): blocks so large, of 4096 to 131072 rows, and lanes so few
 * that they cost little beside the symbols, 0.1% and 0.01 bit a row where that can be had. Where single rows are read
 * often smaller blocks serve better.
 * @param rows how many there will be, if that is known
 */
export function shortRowOptions(
  model: CodecModel,
  rows: number = Number.POSITIVE_INFINITY,
): Required<Pick<WriterOptions, 'blockRows' | 'lanes'>> {
  const allowed = 0.001 * idealBits(model) + 0.01;
  const cost = (lanes: number) => kBlockBits + kLaneBits * lanes;
  let blockRows = kLeastBlockRows;
  while (blockRows < Math.min(rows, kMostBlockRows) && cost(32) > allowed * blockRows) blockRows *= 2;
  const lanes = ([32, 16, 8, 4, 2] as const).find(
    (count) => cost(count) <= allowed * Math.min(rows, blockRows),
  );
  return { blockRows, lanes: lanes ?? 1 };
}

function countedTables(channels: number, sample: Int32Array, learned: CdfTables): CdfTables {
  if (!(sample instanceof Int32Array) || sample.length === 0 || sample.length % channels !== 0)
    invalidArgument('sample', `an Int32Array of rows of ${channels} symbols`, describe(sample));
  const column = new Int32Array(sample.length / channels);
  const pmfs = Array.from({ length: channels }, (_, c) => {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < column.length; row++) {
      const symbol = sample[row * channels + c]!;
      column[row] = symbol;
      if (symbol < low) low = symbol;
      if (symbol > high) high = symbol;
    }
    return smoothedPmf(countSymbols(column, low, high), symbolProbability(learned, c));
  });
  return tablesOf(pmfs);
}
