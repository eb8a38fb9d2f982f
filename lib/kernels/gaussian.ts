/** The Gaussian conditional of hyperpriors: bits under a mean and a scale for every element. */
import { invalidArgument } from '../errors.js';
import { native, withCancel } from '../native.js';
import type { Cancellable } from './entropy.js';
import {
  checkBound,
  checkCount,
  checkFloats,
  checkNumber,
  checkOptionalFloats,
  checkPositive,
  checkQuantize,
  makeOutput,
  type Output,
  type Quantize,
  rowsOf,
  splitSeed,
} from './entropy_arguments.js';

type Floats = Float32Array | undefined;
type GaussianCall = [
  backward: boolean,
  rows: number,
  columns: number,
  quantize: number,
  seedLow: number,
  seedHigh: number,
  firstRow: number,
  floor: number,
  scaleBound: number,
  dbits: number,
  y: Float32Array,
  mean: Floats,
  scale: Float32Array,
  dbitsPerRow: Floats,
  dlikelihood: Floats,
  bitsPerRow: Floats,
  likelihood: Floats,
  values: Floats,
  dy: Floats,
  dmean: Floats,
  dscale: Floats,
];

declare module '../native.js' {
  interface NativeCalls {
    gaussianSync(...call: GaussianCall): number;
    gaussianAsync(...call: [...GaussianCall, cancel: Int32Array | undefined]): Promise<number>;
    gaussianIndexesSync(
      rows: number,
      columns: number,
      tableSize: number,
      scale: Float32Array,
      scaleTable: Float32Array,
      indexes: Int32Array,
    ): void;
  }
}

export interface GaussianForwardOptions {
  /** J, the elements of a row of y [N][J]; by default y is one row. */
  readonly columns?: number;
  /** [N][J], 0 by default. */
  readonly mean?: Float32Array;
  /** [N][J]; what is below scaleBound counts as scaleBound. */
  readonly scale: Float32Array;
  /** 0.11 by default. */
  readonly scaleBound?: number;
  /** 'none' by default; 'round' rounds y - mean and adds the mean back. */
  readonly quantize?: Quantize;
  readonly seed?: number | bigint;
  readonly firstRow?: number;
  /** 1e-9 by default. */
  readonly likelihoodFloor?: number;
  readonly bitsPerRow?: Output;
  readonly likelihood?: Output;
  readonly values?: Output;
}

export interface GaussianForwardResult {
  readonly bits: number;
  readonly bitsPerRow?: Float32Array;
  readonly likelihood?: Float32Array;
  /** v: y quantised (and put back about the mean). */
  readonly values?: Float32Array;
}

export interface GaussianBackwardOptions extends GaussianForwardOptions {
  /** The cotangent of the total bits, 1 by default. */
  readonly dbits?: number;
  readonly dbitsPerRow?: Float32Array;
  readonly dlikelihood?: Float32Array;
  /** Asked for by default, as dscale; dmean where a mean is given. */
  readonly dy?: Output;
  readonly dmean?: Output;
  readonly dscale?: Output;
}

export interface GaussianBackwardResult extends GaussianForwardResult {
  readonly dy?: Float32Array;
  readonly dmean?: Float32Array;
  readonly dscale?: Float32Array;
}

function prepare(backward: boolean, y: Float32Array, options: GaussianBackwardOptions): GaussianCall {
  checkFloats('y', y);
  const columns = checkCount('columns', options.columns ?? Math.max(y.length, 1), 1);
  const rows = rowsOf('y', y, columns);
  const mean = checkOptionalFloats('mean', options.mean, y.length);
  const [seedLow, seedHigh] = splitSeed(options.seed);
  const gradient = (name: string, output: Output | undefined) =>
    backward ? makeOutput(name, output, y.length) : undefined;
  return [
    backward,
    rows,
    columns,
    checkQuantize(options.quantize),
    seedLow,
    seedHigh,
    checkCount('firstRow', options.firstRow ?? 0, 0),
    checkBound('likelihoodFloor', options.likelihoodFloor),
    checkBound('scaleBound', options.scaleBound),
    checkNumber('dbits', options.dbits ?? 1),
    y,
    mean,
    checkFloats('scale', options.scale, y.length),
    checkOptionalFloats('dbitsPerRow', options.dbitsPerRow, rows),
    checkOptionalFloats('dlikelihood', options.dlikelihood, y.length),
    makeOutput('bitsPerRow', options.bitsPerRow, rows),
    makeOutput('likelihood', options.likelihood, y.length),
    makeOutput('values', options.values, y.length),
    gradient('dy', options.dy ?? true),
    gradient('dmean', options.dmean ?? mean !== undefined),
    gradient('dscale', options.dscale ?? true),
  ];
}

function outputsOf(call: GaussianCall, bits: number): GaussianBackwardResult {
  const [bitsPerRow, likelihood, values, dy, dmean, dscale] = call.slice(15) as Floats[];
  return {
    bits,
    ...(bitsPerRow && { bitsPerRow }),
    ...(likelihood && { likelihood }),
    ...(values && { values }),
    ...(dy && { dy }),
    ...(dmean && { dmean }),
    ...(dscale && { dscale }),
  };
}

/**
 * Bits of y under a Gaussian convolved with a unit box: Phi((v - mean + 1/2) / s) - Phi((v - mean - 1/2) / s),
 * s = max(scale, scaleBound). Throws BINCE_INVALID_VALUE with the row of a NaN or an infinity.
 */
export async function gaussianForward(
  y: Float32Array,
  options: GaussianForwardOptions & Cancellable,
): Promise<GaussianForwardResult> {
  const call = prepare(false, y, options);
  const bits = await withCancel(options.signal, (cancel) => native().gaussianAsync(...call, cancel));
  return outputsOf(call, bits);
}

/** {@link gaussianForward} on the calling thread. */
export function gaussianForwardSync(y: Float32Array, options: GaussianForwardOptions): GaussianForwardResult {
  const call = prepare(false, y, options);
  return outputsOf(call, native().gaussianSync(...call));
}

/** Bits and their gradients to y, mean and scale; floor and scale bound pass a gradient that would raise them. */
export async function gaussianBackward(
  y: Float32Array,
  options: GaussianBackwardOptions & Cancellable,
): Promise<GaussianBackwardResult> {
  const call = prepare(true, y, options);
  const bits = await withCancel(options.signal, (cancel) => native().gaussianAsync(...call, cancel));
  return outputsOf(call, bits);
}

/** {@link gaussianBackward} on the calling thread. */
export function gaussianBackwardSync(
  y: Float32Array,
  options: GaussianBackwardOptions,
): GaussianBackwardResult {
  const call = prepare(true, y, options);
  return outputsOf(call, native().gaussianSync(...call));
}

/** For each scale the index of the smallest table scale >= it; the last index where none is. */
export function gaussianIndexes(scale: Float32Array, table: Float32Array): Int32Array {
  checkFloats('scale', scale);
  const indexes = new Int32Array(scale.length);
  native().gaussianIndexesSync(1, scale.length, checkFloats('table', table).length, scale, table, indexes);
  return indexes;
}

/** `count` scales, evenly spaced in the logarithm from `least` to `greatest`: CompressAI's 64 from 0.11 to 256. */
export function scaleTable(
  options: { count?: number; least?: number; greatest?: number } = {},
): Float32Array {
  const count = checkCount('count', options.count ?? 64, 2);
  const least = checkPositive('least', options.least) || 0.11;
  const greatest = checkPositive('greatest', options.greatest) || 256;
  if (!(greatest > least)) invalidArgument('greatest', `more than ${least}`, greatest);
  const step = (Math.log(greatest) - Math.log(least)) / (count - 1);
  return Float32Array.from({ length: count }, (_, i) => Math.exp(Math.log(least) + step * i));
}
