/** Entropy-coded scalar quantisation: the baseline that needs no training. See ecsq_search.ts for the why. */
import { createModel } from '../codec/model.js';
import { BinceError, invalidArgument } from '../errors.js';
import { countTables, EcsqSearch, type Quantizer } from './ecsq_search.js';
import { decibels, type FitReport, type FittedModel, rowDtype, tablesOf } from './fitted_model.js';
import type { Distortion } from './high_rate.js';
import { type Sample, sampleRows, thinSample, type VectorSource } from './vector_source.js';

export interface EcsqOptions {
  /** Target of bits a row. Default, without a step: 2 a channel. */
  readonly bits?: number | undefined;
  /** One quantisation step for all channels, instead of a target. */
  readonly step?: number | undefined;
  readonly name?: string | undefined;
  /** Memory for the rows that are counted; default 256 MiB. Larger files are sampled. */
  readonly sampleBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EcsqReport extends FitReport {
  readonly method: 'ecsq';
  /** The finest and the coarsest step of a channel. */
  readonly leastStep: number;
  readonly mostStep: number;
}

/** Values that the search for the step looks at; the tables are counted over the whole sample. */
const kSearchValues = 2 << 20;

/**
 * Fits a step, a shift and a table for every channel to vectors. The rate is that of the returned tables on the rows
 * used; vectors with less information than `bits` get the finest step that was worth trying.
 */
export async function fitEcsq(
  source: VectorSource,
  options: EcsqOptions = {},
): Promise<FittedModel<EcsqReport>> {
  const { signal } = options;
  checkOptions(options);
  const sample = await sampleRows(source, { maxBytes: options.sampleBytes ?? 256 << 20, signal });
  const { step, shift, variance } = await findQuantizer(sample, { ...options, distortion: 'mse' });
  const counted = await countTables(sample, { step, shift }, signal);
  const model = createModel({
    name: options.name ?? 'ecsq',
    method: 'ecsq',
    channels: source.channels,
    dtype: rowDtype(source),
    tables: tablesOf(counted.pmfs),
    step,
    shift,
    metadata: { rows_used: sample.rows, rows: source.rows, bits_per_row: counted.bits },
  });
  const meanSquaredError = counted.squaredError / source.channels;
  return {
    model,
    report: {
      method: 'ecsq',
      leastStep: step.reduce((a, b) => Math.min(a, b)),
      mostStep: step.reduce((a, b) => Math.max(a, b)),
      rows: source.rows,
      rowsUsed: sample.rows,
      channels: source.channels,
      bitsPerRow: counted.bits,
      meanSquaredError,
      signalToNoise: decibels(variance, meanSquaredError),
    },
  };
}

function checkOptions({ bits, step }: EcsqOptions): void {
  if (bits !== undefined && step !== undefined) {
    throw new BinceError('BINCE_INVALID_ARGUMENT', 'bits and step: expected one of them, received both');
  }
  if (bits !== undefined && !(bits > 0 && bits < 2 ** 31)) invalidArgument('bits', 'a positive number', bits);
  if (step !== undefined && !(Math.fround(step) >= 2 ** -100 && step < 2 ** 100))
    invalidArgument('step', 'a positive number', step);
}

/** Steps and shifts for a rate, a slope or one given step, found on a part of the sample. */
export async function findQuantizer(
  sample: Sample,
  options: {
    readonly bits?: number | undefined;
    readonly step?: number | undefined;
    readonly slope?: number | undefined;
    readonly distortion: Distortion;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Quantizer & { variance: number }> {
  const { channels } = sample;
  const { bits = 2 * channels, step, slope, distortion, signal } = options;
  const thin = thinSample(sample, Math.max(256, Math.floor(kSearchValues / channels)));
  const search = new EcsqSearch(thin, distortion, signal);
  checkSpread(search.deviation);
  let found: Quantizer;
  if (step !== undefined) found = await search.oneStep(Math.fround(step));
  else if (slope !== undefined) found = await search.atSlope(slope);
  else found = await search.atRate(bits);
  return { ...found, variance: search.deviation ** 2 };
}

/** Steps are float32 numbers with an inverse; values that hardly differ would need smaller ones. */
function checkSpread(deviation: number): void {
  if (deviation === 0 || deviation > 2 ** -110) return;
  throw new BinceError(
    'BINCE_INVALID_VALUE',
    `the values deviate by ${deviation.toExponential(1)} from their means, too little to be quantised in float32`,
    { hint: 'scale the vectors up before compressing them' },
  );
}
