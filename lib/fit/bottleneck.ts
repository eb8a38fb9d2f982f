/**
 * The trained bottleneck: a gain and a shift for every channel, and the factorised entropy model (Balle et al. 2018),
 * learned together on the vectors.
 *
 *   y = (x - shift) * gain; symbols rint(y); reconstruction rint(y) / gain + shift
 *   loss = distortion / beta + rate, a row, the distortion summed over channels, the rate in nats
 *
 * Rate: -sum ln p(y + u), u uniform in (-1/2, 1/2), as usual. Distortion: L1 (that of the CLIP compressor of Dubois
 * et al. 2021) or squared error of the rounded values. Noise would serve there too, but at low rate it misleads: a
 * channel whose values all round to one symbol has an error bounded by its own spread, not by the step. Rounding to
 * the nearest makes the error continuous in gain and shift, so its gradient is exact without a straight-through trick.
 *
 * Training begins at the steps and shifts of scalar quantisation (ecsq_search.ts) for the same slope, beta nats. In the
 * first part of the steps the network learns alone; in the last gain and shift rest, and it learns the probabilities
 * of the symbols themselves. The tables are counts of the symbols, smoothed by those
 * probabilities; with thousands of rows the counts decide nearly everything.
 */
import { createModel } from '../codec/model.js';
import { BinceError, invalidArgument } from '../errors.js';
import {
  buildTables,
  factorizedBackward,
  factorizedLayers,
  initFactorizedParameters,
  parameterCount,
  solveQuantiles,
} from '../kernels/index.js';
import { Adam } from './adam.js';
import { ShuffledBatches } from './batches.js';
import { DistortionGradients } from './distortion.js';
import { findQuantizer } from './ecsq.js';
import { countTables, type Quantizer } from './ecsq_search.js';
import { decibels, type FitReport, type FittedModel, rowDtype, tablesOf } from './fitted_model.js';
import { modelCost } from './model_cost.js';
import { quantizeColumn } from './quantizer.js';
import { codeLength, kMaxEntries, smoothedPmf } from './smoothing.js';
import { takeTurns } from './turns.js';
import { readColumn, type Sample, sampleRows, thinSample, type VectorSource } from './vector_source.js';

export interface BottleneckOptions {
  /** Weight of the rate in the loss: distortion of a row a nat. */
  readonly beta?: number | undefined;
  /** Instead of beta: a target of bits a row, to which beta is steered. Default, without either: 2 a channel. */
  readonly bits?: number | undefined;
  /** What is kept small. Default `mse`. */
  readonly distortion?: 'l1' | 'mse' | undefined;
  /** Training steps, default 1000. */
  readonly steps?: number | undefined;
  /** Rows a step, default 256 (or all rows, where there are fewer). */
  readonly batch?: number | undefined;
  /** Learning rate at the start, default 0.02; it falls along a cosine to a hundredth. */
  readonly lr?: number | undefined;
  /** Of the batches, the noise and the network's start. Default 1. */
  readonly seed?: number | undefined;
  readonly name?: string | undefined;
  /** Memory for the rows that are trained on; default 256 MiB. Larger files are sampled. */
  readonly sampleBytes?: number | undefined;
  readonly onProgress?: ((progress: BottleneckProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BottleneckProgress {
  /** Steps done, of `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Of the noisy values, averaged over the last steps or so. */
  readonly bitsPerRow: number;
  readonly beta: number;
}

export interface BottleneckReport extends FitReport {
  readonly method: 'bottleneck';
  readonly beta: number;
  readonly distortion: 'l1' | 'mse';
  readonly steps: number;
}

/** What lies outside the solved quantiles: an entry below the coder's least probability would be of no use. */
const kTailMass = 2 ** -16;
/** Symbols to either side of 0 whose probabilities are asked of the network; beyond, counts alone tell. */
const kMaxReach = kMaxEntries / 2;
/** The network's start is this wide for a density of deviation 1. */
const kInitScale = 10;
/** The shares of the steps between which gain and shift move: not before the network knows the densities. */
const kMovesFrom = 0.2;
const kMovesTo = 0.6;
/** Rows by which trained gains and shifts are checked. */
const kCheckedRows = 20_000;

/** Trains on vectors. The same seed, rows and backend give the same model, whatever the number of threads. */
export async function fitBottleneck(
  source: VectorSource,
  options: BottleneckOptions = {},
): Promise<FittedModel<BottleneckReport>> {
  const settings = checkOptions(options, source);
  const { signal } = options;
  const sample = await sampleRows(source, { maxBytes: options.sampleBytes ?? 256 << 20, signal });
  const { beta, bits, distortion } = settings;
  const target = beta === undefined ? { bits } : { slope: beta * Math.LN2 };
  const start = await findQuantizer(sample, { ...target, distortion, signal });
  const trainer = new Trainer(sample, start, settings);
  await trainer.run(options.onProgress, signal);
  const model = await trainer.model(options.name ?? 'bottleneck', rowDtype(source), source.rows, signal);
  const cost = await modelCost(sample, model, signal);
  const meanSquaredError = cost.squaredError / source.channels;
  return {
    model,
    report: {
      method: 'bottleneck',
      beta: trainer.beta,
      distortion: settings.distortion,
      steps: settings.steps,
      rows: source.rows,
      rowsUsed: sample.rows,
      channels: source.channels,
      bitsPerRow: cost.bits,
      meanSquaredError,
      signalToNoise: decibels(start.variance, meanSquaredError),
    },
  };
}

interface Settings {
  readonly beta: number | undefined;
  readonly bits: number;
  readonly distortion: 'l1' | 'mse';
  readonly steps: number;
  readonly batch: number;
  readonly lr: number;
  readonly seed: number;
}

function checkOptions(options: BottleneckOptions, source: VectorSource): Settings {
  const { beta, bits, distortion = 'mse', steps = 1000, batch = 256, lr = 0.02, seed = 1 } = options;
  if (beta !== undefined && bits !== undefined)
    throw new BinceError('BINCE_INVALID_ARGUMENT', 'beta and bits: expected one of them, received both');
  for (const [name, value] of Object.entries({ beta, bits, lr }))
    if (value !== undefined && !(value > 0 && value < 2 ** 400))
      invalidArgument(name, 'a positive number', value);
  for (const [name, value] of Object.entries({ steps, batch }))
    if (!Number.isInteger(value) || value < 1) invalidArgument(name, 'a positive integer', value);
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
    invalidArgument('seed', 'an integer from 0 to 2^32 - 1', seed);
  if (distortion !== 'l1' && distortion !== 'mse') invalidArgument('distortion', "'l1' or 'mse'", distortion);
  return {
    ...{ beta, distortion, steps, lr, seed },
    bits: bits ?? 2 * source.channels,
    batch: Math.min(batch, source.rows),
  };
}

/** The parameters in training, and the loop over them. */
class Trainer {
  readonly #sample: Sample;
  readonly #settings: Settings;
  readonly #parameters: Float32Array;
  readonly #logGain: Float32Array;
  readonly #shift: Float32Array;
  readonly #start: Quantizer;
  readonly beta: number;

  constructor(sample: Sample, start: Quantizer, settings: Settings) {
    this.#sample = sample;
    this.#settings = settings;
    this.#start = start;
    this.#logGain = start.step.map((step) => -Math.log(step));
    this.#shift = Float32Array.from(start.shift);
    this.#parameters = startNetwork(sample, start.step, settings.seed);
    this.beta = settings.beta ?? start.slope / Math.LN2;
  }

  async run(onProgress: BottleneckOptions['onProgress'], signal: AbortSignal | undefined): Promise<void> {
    const { batch, steps, lr, seed } = this.#settings;
    const { channels } = this.#sample;
    const batches = new ShuffledBatches(this.#sample, seed);
    const network = new Adam([{ values: this.#parameters }]);
    const quantizer = new Adam([
      { values: this.#logGain },
      // In units of a step, as the symbols are.
      { values: this.#shift, scale: this.#start.step },
    ]);
    const rows = new Float32Array(batch * channels);
    const gradients = new DistortionGradients(channels, this.#settings.distortion);
    const movesFrom = Math.floor(kMovesFrom * steps);
    const movesTo = Math.floor(kMovesTo * steps);
    let average = Number.NaN;
    for (let step = 0; step < steps; step++) {
      if (step === movesTo) await this.#keepBetter(signal);
      const moving = step >= movesFrom && step < movesTo;
      batches.fill(rows);
      const call = factorizedBackward(rows, {
        ...{ channels, parameters: this.#parameters, logGain: this.#logGain, shift: this.#shift },
        ...{ quantize: step < movesTo ? 'noise' : 'round', seed, firstRow: step * batch, dx: false },
        dbits: Math.LN2 / batch,
        ...(signal ? { signal } : {}),
      });
      // While the native thread works on the rate:
      if (moving) gradients.compute(rows, this.#logGain, this.#shift);
      const { bits, dparameters, dlogGain, dshift } = await call;
      const fall = 0.01 + 0.99 * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
      network.step(lr * fall, [dparameters!]);
      if (moving) {
        gradients.addTo(dlogGain!, dshift!, 1 / this.beta);
        quantizer.step(lr * fall, [dlogGain!, dshift!]);
      }
      average = step === 0 || step === movesTo ? bits / batch : 0.95 * average + (0.05 * bits) / batch;
      onProgress?.({ step: step + 1, steps, bitsPerRow: average, beta: this.beta });
    }
  }

  /**
   * The rate under noise is a stand-in for that of rounded values, and at low rate it can lead astray: a channel that
   * by true rate and distortion stood better where it began goes back there.
   */
  async #keepBetter(signal: AbortSignal | undefined): Promise<void> {
    const sample = thinSample(this.#sample, kCheckedRows);
    const turn = takeTurns(signal);
    const column = new Float32Array(sample.rows);
    const symbols = new Float64Array(sample.rows);
    const squared = this.#settings.distortion === 'mse';
    const cost = (step: number, shift: number): number => {
      const { histogram, squaredError, absoluteError } = quantizeColumn(column, symbols, { step, shift });
      const bits = codeLength(histogram, smoothedPmf(histogram));
      return (squared ? squaredError : absoluteError) + this.beta * Math.LN2 * bits;
    };
    for (let c = 0; c < sample.channels; c++) {
      await turn();
      readColumn(sample, c, column);
      const trained = cost(Math.fround(Math.exp(-this.#logGain[c]!)), this.#shift[c]!);
      const { step, shift } = this.#start;
      if (trained <= cost(step[c]!, shift[c]!)) continue;
      this.#logGain[c] = -Math.log(step[c]!);
      this.#shift[c] = shift[c]!;
    }
  }

  /** The model as trained so far: quantiles solved, tables built. */
  async model(
    name: string,
    dtype: 'float32' | 'float16' | 'bfloat16',
    rows: number,
    signal: AbortSignal | undefined,
  ) {
    const { channels } = this.#sample;
    const network = { channels, parameters: this.#parameters };
    const stop = signal ? { signal } : {};
    const { quantiles } = await solveQuantiles({ ...network, tailMass: kTailMass, ...stop });
    // The shift is the centre that was trained: symbols are counted from it, not from the median.
    for (let c = 0; c < channels; c++) centre(quantiles.subarray(3 * c, 3 * c + 3));
    const learned = await buildTables({ ...network, quantiles, ...stop });
    const step = this.#logGain.map((gain) => Math.exp(-gain));
    const counted = await countTables(this.#sample, { step, shift: this.#shift }, signal, learned);
    return createModel({
      ...{ name, method: 'bottleneck', channels, dtype, tables: tablesOf(counted.pmfs) },
      ...{ step, shift: this.#shift },
      network: {
        parameters: { shape: [parameterCount(), channels], data: this.#parameters },
        log_gain: { shape: [channels], data: this.#logGain },
        quantiles: { shape: [channels, 3], data: quantiles },
      },
      metadata: {
        ...{ distortion: this.#settings.distortion, beta: this.beta, seed: this.#settings.seed },
        ...{ steps: this.#settings.steps, batch: this.#settings.batch, rows_used: this.#sample.rows, rows },
      },
    });
  }
}

/** Sets the middle of [lower, median, upper] to 0, and the ends around it, no further than tables reach. */
function centre(quantiles: Float32Array): void {
  quantiles[0] = Math.max(-kMaxReach, Math.min(quantiles[0]!, -0.25));
  quantiles[1] = 0;
  quantiles[2] = Math.min(kMaxReach, Math.max(quantiles[2]!, 0.25));
}

/** CompressAI's start, each channel's density as wide as its own values (and the noise) in steps. */
function startNetwork(sample: Sample, step: Float32Array, seed: number): Float32Array {
  const { channels } = sample;
  const parameters = initFactorizedParameters(channels, { seed, initScale: kInitScale });
  const [layer] = factorizedLayers();
  const column = new Float32Array(sample.rows);
  for (let c = 0; c < channels; c++) {
    readColumn(sample, c, column);
    const width = Math.sqrt(variance(column) / step[c]! ** 2 + 1 / 12);
    for (let i = layer!.matrix; i < layer!.bias; i++) {
      const slope = Math.log1p(Math.exp(parameters[i * channels + c]!)) * (kInitScale / width);
      parameters[i * channels + c] = slope > 30 ? slope : Math.log(Math.expm1(slope));
    }
  }
  return parameters;
}

function variance(column: Float32Array): number {
  let sum = 0;
  let squares = 0;
  const origin = column[0]!;
  for (let i = 0; i < column.length; i++) {
    const d = column[i]! - origin;
    sum += d;
    squares += d * d;
  }
  const mean = sum / column.length;
  return Math.max(0, squares / column.length - mean * mean);
}
