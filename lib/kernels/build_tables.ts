/** Integer tables from the entropy models: what files store and both coders read. */
import { invalidArgument } from '../errors.js';
import { native, withCancel } from '../native.js';
import { type Cancellable, type FactorizedNetwork, filtersArray } from './entropy.js';
import { checkCount, checkFloats, checkPositive } from './entropy_arguments.js';
import { parameterCount } from './factorized_parameters.js';
import type { CdfTables } from './tables.js';

type TablesCall = [
  channels: number,
  parameterCount: number,
  filters: Int32Array | undefined,
  parameters: Float32Array,
  quantiles: Float32Array,
  tail: number,
  offset: Int32Array,
  start: Int32Array,
];

declare module '../native.js' {
  interface NativeCalls {
    pmfToCdfSync(pmf: Float32Array, cdf: Int32Array): void;
    factorizedTablesSync(...call: TablesCall): Int32Array;
    factorizedTablesAsync(...call: [...TablesCall, cancel: Int32Array | undefined]): Promise<Int32Array>;
    gaussianTablesSync(
      count: number,
      scaleTable: Float32Array,
      tailMass: number,
      offset: Int32Array,
      start: Int32Array,
    ): Int32Array;
  }
}

/**
 * A pmf of n entries (the last is the tail) to n + 1 cumulative frequencies that rise strictly from 0 to 65536: exactly
 * CompressAI's integers. Throws BINCE_INVALID_VALUE for a negative or non-finite entry and for a sum of 0.
 */
export function pmfToCdf(pmf: Float32Array): Int32Array {
  checkFloats('pmf', pmf);
  const cdf = new Int32Array(pmf.length + 1);
  native().pmfToCdfSync(pmf, cdf);
  return cdf;
}

/** {@link pmfToCdf}, which always runs on the calling thread. */
export const pmfToCdfSync = pmfToCdf;

export interface BuildTablesOptions extends FactorizedNetwork {
  /** [C][3]: lower tail, median, upper tail, as {@link solveQuantiles} finds them. */
  readonly quantiles: Float32Array;
  /**
   * Where the escape's mass is taken: beyond the channel's own last symbol ('own', the default), or as CompressAI's
   * update() beyond the longest channel's ('compressai').
   */
  readonly tail?: 'own' | 'compressai';
}

function prepare(options: BuildTablesOptions): TablesCall {
  const C = checkCount('channels', options.channels, 1);
  const P = parameterCount(options.filters);
  const tail = options.tail ?? 'own';
  if (tail !== 'own' && tail !== 'compressai') invalidArgument('tail', "'own' or 'compressai'", tail);
  return [
    C,
    P,
    filtersArray(options.filters),
    checkFloats('parameters', options.parameters, P * C),
    checkFloats('quantiles', options.quantiles, 3 * C),
    tail === 'own' ? 0 : 1,
    new Int32Array(C),
    new Int32Array(C + 1),
  ];
}

/**
 * One table a channel, as CompressAI's update(): symbols from median - ceil(median - lower) to median +
 * ceil(upper - median), in float32 on the CPU. Build once and store: another machine's libm may differ in the last bit.
 * Symbols are round_half_even(y - median). Throws BINCE_INVALID_VALUE for a channel that needs more than 65535 symbols.
 */
export async function buildTables(options: BuildTablesOptions & Cancellable): Promise<CdfTables> {
  const call = prepare(options);
  const cdf = await withCancel(options.signal, (cancel) => native().factorizedTablesAsync(...call, cancel));
  return { cdf, start: call[7], offset: call[6] };
}

/** {@link buildTables} on the calling thread. */
export function buildTablesSync(options: BuildTablesOptions): CdfTables {
  const call = prepare(options);
  const cdf = native().factorizedTablesSync(...call);
  return { cdf, start: call[7], offset: call[6] };
}

/**
 * One table a scale, as CompressAI's GaussianConditional.update(): symbols -ceil(s * z) .. ceil(s * z) about the mean,
 * z the normal quantile of tailMass / 2 (1e-9 by default).
 */
export function gaussianTables(scaleTable: Float32Array, options: { tailMass?: number } = {}): CdfTables {
  const count = checkFloats('scaleTable', scaleTable).length;
  const offset = new Int32Array(count);
  const start = new Int32Array(count + 1);
  const tailMass = checkPositive('tailMass', options.tailMass) || 1e-9;
  const cdf = native().gaussianTablesSync(count, scaleTable, tailMass, offset, start);
  return { cdf, start, offset };
}
