/** Entropy-coded scalar quantisation: the baseline that needs no training. See ecsq_search.ts for the why. */
import { createModel } from '../codec/model.js';
import { BinceError, invalidArgument } from '../errors.js';
import { countTables, EcsqSearch } from './ecsq_search.js';
import { decibels, type FitReport, type FittedModel, rowDtype, tablesOf } from './fitted_model.js';
import { type Sample, sampleRows, thinSample, type VectorSource } from './vector_source.js';

export interface EcsqOptions {
  /** Target of bits a row. Default, without a step: 2 a channel. */
  readonly bits?: number | undefined;
  /** Quantisation step of all channels, instead of a target. */
  readonly step?: number | undefined;
  readonly name?: string | undefined;
  /** Memory for the rows that are counted; default 256 MiB. Larger files are sampled. */
  readonly sampleBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EcsqReport extends FitReport {
  readonly method: 'ecsq';
  readonly step: number;
}

/** Values that the search for the step looks at; the tables are counted over the whole sample. */
const kSearchValues = 2 << 20;

/**
 * Fits a step, a shift for every channel and tables to vectors. The rate is that of the returned tables on the rows
 * used; vectors with less information than `bits` get the finest step that was worth trying.
 */
export async function fitEcsq(
  source: VectorSource,
  options: EcsqOptions = {},
): Promise<FittedModel<EcsqReport>> {
  const { signal } = options;
  checkOptions(options);
  const sample = await sampleRows(source, { maxBytes: options.sampleBytes ?? 256 << 20, signal });
  const { step, shift, variance } = await findQuantizer(sample, options);
  const counted = await countTables(sample, step, shift, signal);
  const model = createModel({
    name: options.name ?? 'ecsq',
    method: 'ecsq',
    channels: source.channels,
    dtype: rowDtype(source),
    tables: tablesOf(counted.pmfs),
    step: new Float32Array(source.channels).fill(step),
    shift,
    metadata: { rows_used: sample.rows, rows: source.rows, bits_per_row: counted.bits },
  });
  const meanSquaredError = counted.squaredError / source.channels;
  return {
    model,
    report: {
      method: 'ecsq',
      step,
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

/** The step and shifts for a target or a given step, found on a part of the sample. */
export async function findQuantizer(
  sample: Sample,
  options: Pick<EcsqOptions, 'bits' | 'step' | 'signal'>,
): Promise<{ step: number; shift: Float32Array; variance: number }> {
  const { channels } = sample;
  const thin = thinSample(sample, Math.max(256, Math.floor(kSearchValues / channels)));
  const search = new EcsqSearch(thin, options.signal);
  let step: number;
  if (options.step === undefined) {
    step = await search.findStep(options.bits ?? 2 * channels);
  } else {
    step = Math.fround(options.step);
    await search.chooseShifts(step);
  }
  return { step, shift: search.shift, variance: search.deviation ** 2 };
}
