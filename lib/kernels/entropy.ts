/** The factorised entropy model: bits, likelihoods and gradients on typed arrays, its quantiles, and its noise. */
import { native, withCancel } from '../native.js';
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
import { parameterCount } from './factorized_parameters.js';

type Floats = Float32Array | undefined;
type FactorizedCall = [
  backward: boolean,
  rows: number,
  channels: number,
  inner: number,
  filters: Int32Array | undefined,
  quantize: number,
  seedLow: number,
  seedHigh: number,
  firstRow: number,
  floor: number,
  dbits: number,
  x: Float32Array,
  parameters: Float32Array,
  logGain: Floats,
  shift: Floats,
  medians: Floats,
  dbitsPerRow: Floats,
  dlikelihood: Floats,
  bitsPerRow: Floats,
  likelihood: Floats,
  values: Floats,
  dx: Floats,
  dparameters: Floats,
  dlogGain: Floats,
  dshift: Floats,
];
type SolveCall = [
  channels: number,
  parameterCount: number,
  filters: Int32Array | undefined,
  parameters: Float32Array,
  tailMass: number,
  quantiles: Float32Array,
  unsolved: Int32Array,
];

declare module '../native.js' {
  interface NativeCalls {
    factorizedSync(...call: FactorizedCall): number;
    factorizedAsync(...call: [...FactorizedCall, cancel: Int32Array | undefined]): Promise<number>;
    quantilesSolveSync(...call: SolveCall): void;
    quantilesSolveAsync(...call: [...SolveCall, cancel: Int32Array | undefined]): Promise<void>;
    quantilesLossSync(
      channels: number,
      parameterCount: number,
      filters: Int32Array | undefined,
      parameters: Float32Array,
      tailMass: number,
      quantiles: Float32Array,
      dquantiles: Float32Array,
    ): number;
    factorizedLogitsSync(
      channels: number,
      count: number,
      parameterCount: number,
      filters: Int32Array | undefined,
      parameters: Float32Array,
      values: Float32Array,
      logits: Float32Array,
    ): void;
    uniformNoiseSync(
      rows: number,
      columns: number,
      seedLow: number,
      seedHigh: number,
      firstRow: number,
      noise: Float32Array,
    ): void;
  }
}

/** The network of every channel. */
export interface FactorizedNetwork {
  /** C */
  readonly channels: number;
  /** [P][C], parameter-major; see {@link factorizedLayers}. */
  readonly parameters: Float32Array;
  /** Hidden widths; 3, 3, 3, 3 (P = 58) by default. */
  readonly filters?: readonly number[];
}

/** How values v are made of x: y = (x - shift) * exp(logGain), then {@link Quantize}. */
export interface FactorizedOptions extends FactorizedNetwork {
  /** Elements a channel and row: x is [N][C][inner]. 1 by default. */
  readonly inner?: number;
  /** [C], 0 by default. */
  readonly logGain?: Float32Array;
  /** [C], 0 by default. */
  readonly shift?: Float32Array;
  /** [C] what 'round' rounds about, 0 by default. */
  readonly medians?: Float32Array;
  /** 'none' by default. */
  readonly quantize?: Quantize;
  /** Of the noise. The same seed and row numbers draw the same noise in every call and on every backend. */
  readonly seed?: number | bigint;
  /** The noise's number of x's first row, 0 by default. */
  readonly firstRow?: number;
  /** 1e-9 by default; from 1e-30 to 1. */
  readonly likelihoodFloor?: number;
}

/** Optional outputs of the forward pass. */
export interface FactorizedForwardOptions extends FactorizedOptions {
  /** [N] */
  readonly bitsPerRow?: Output;
  /** [N][C][inner], floored. */
  readonly likelihood?: Output;
  /** [N][C][inner]: v, in the scaled domain. */
  readonly values?: Output;
}

export interface FactorizedForwardResult {
  /** The total of -log2(likelihood). */
  readonly bits: number;
  readonly bitsPerRow?: Float32Array;
  readonly likelihood?: Float32Array;
  readonly values?: Float32Array;
}

/** Cotangents and the gradients asked for. */
export interface FactorizedBackwardOptions extends FactorizedForwardOptions {
  /** The cotangent of the total bits, 1 by default. */
  readonly dbits?: number;
  /** [N] added to dbits, row by row. */
  readonly dbitsPerRow?: Float32Array;
  /** [N][C][inner] the cotangent of the likelihood. */
  readonly dlikelihood?: Float32Array;
  /** [N][C][inner]; asked for by default, as the next three. */
  readonly dx?: Output;
  /** [P][C] */
  readonly dparameters?: Output;
  /** [C]; by default where logGain is given. */
  readonly dlogGain?: Output;
  /** [C]; by default where shift is given. */
  readonly dshift?: Output;
}

export interface FactorizedBackwardResult extends FactorizedForwardResult {
  readonly dx?: Float32Array;
  readonly dparameters?: Float32Array;
  readonly dlogGain?: Float32Array;
  readonly dshift?: Float32Array;
}

/** Options of calls that run on bince's own thread. */
export interface Cancellable {
  readonly signal?: AbortSignal;
}

export function filtersArray(filters: readonly number[] | undefined): Int32Array | undefined {
  return filters && Int32Array.from(filters);
}

function prepare(backward: boolean, x: Float32Array, options: FactorizedBackwardOptions): FactorizedCall {
  const C = checkCount('channels', options.channels, 1);
  const inner = checkCount('inner', options.inner ?? 1, 1);
  const P = parameterCount(options.filters);
  checkFloats('x', x);
  const rows = rowsOf('x', x, C * inner);
  const [seedLow, seedHigh] = splitSeed(options.seed);
  const logGain = checkOptionalFloats('logGain', options.logGain, C);
  const shift = checkOptionalFloats('shift', options.shift, C);
  const gradient = (name: string, output: Output | undefined, length: number) =>
    backward ? makeOutput(name, output, length) : undefined;
  return [
    backward,
    rows,
    C,
    inner,
    filtersArray(options.filters),
    checkQuantize(options.quantize),
    seedLow,
    seedHigh,
    checkCount('firstRow', options.firstRow ?? 0, 0),
    checkBound('likelihoodFloor', options.likelihoodFloor),
    checkNumber('dbits', options.dbits ?? 1),
    x,
    checkFloats('parameters', options.parameters, P * C),
    logGain,
    shift,
    checkOptionalFloats('medians', options.medians, C),
    checkOptionalFloats('dbitsPerRow', options.dbitsPerRow, rows),
    checkOptionalFloats('dlikelihood', options.dlikelihood, x.length),
    makeOutput('bitsPerRow', options.bitsPerRow, rows),
    makeOutput('likelihood', options.likelihood, x.length),
    makeOutput('values', options.values, x.length),
    gradient('dx', options.dx ?? true, x.length),
    gradient('dparameters', options.dparameters ?? true, P * C),
    gradient('dlogGain', options.dlogGain ?? logGain !== undefined, C),
    gradient('dshift', options.dshift ?? shift !== undefined, C),
  ];
}

function outputsOf(call: FactorizedCall, bits: number): FactorizedBackwardResult {
  const [bitsPerRow, likelihood, values, dx, dparameters, dlogGain, dshift] = call.slice(18) as Floats[];
  return {
    bits,
    ...(bitsPerRow && { bitsPerRow }),
    ...(likelihood && { likelihood }),
    ...(values && { values }),
    ...(dx && { dx }),
    ...(dparameters && { dparameters }),
    ...(dlogGain && { dlogGain }),
    ...(dshift && { dshift }),
  };
}

/**
 * Bits of x [N][C] or [N][C][inner] under the factorised model (Balle et al. 2018): the likelihood of a value v is
 * sigmoid(F(v + 1/2)) - sigmoid(F(v - 1/2)), at least likelihoodFloor. No rows give 0 bits. Throws
 * BINCE_INVALID_VALUE with the row of a NaN or an infinity. The arrays must not change while the call runs.
 */
export async function factorizedForward(
  x: Float32Array,
  options: FactorizedForwardOptions & Cancellable,
): Promise<FactorizedForwardResult> {
  const call = prepare(false, x, options);
  const bits = await withCancel(options.signal, (cancel) => native().factorizedAsync(...call, cancel));
  return outputsOf(call, bits);
}

/** {@link factorizedForward} on the calling thread. */
export function factorizedForwardSync(
  x: Float32Array,
  options: FactorizedForwardOptions,
): FactorizedForwardResult {
  const call = prepare(false, x, options);
  return outputsOf(call, native().factorizedSync(...call));
}

/**
 * Bits and their gradients in one pass: of dbits * bits + sum dbitsPerRow * bitsPerRow + sum dlikelihood * likelihood,
 * to x, the parameters, logGain and shift. Rounding passes gradients straight through. Below the floor a gradient
 * passes where it would raise the likelihood.
 */
export async function factorizedBackward(
  x: Float32Array,
  options: FactorizedBackwardOptions & Cancellable,
): Promise<FactorizedBackwardResult> {
  const call = prepare(true, x, options);
  const bits = await withCancel(options.signal, (cancel) => native().factorizedAsync(...call, cancel));
  return outputsOf(call, bits);
}

/** {@link factorizedBackward} on the calling thread. */
export function factorizedBackwardSync(
  x: Float32Array,
  options: FactorizedBackwardOptions,
): FactorizedBackwardResult {
  const call = prepare(true, x, options);
  return outputsOf(call, native().factorizedSync(...call));
}

/** The noise of quantize 'noise': [rows][columns], columns = channels * inner, uniform in (-1/2, 1/2). */
export function uniformNoise(
  rows: number,
  columns: number,
  options: { seed?: number | bigint; firstRow?: number } = {},
): Float32Array {
  checkCount('rows', rows, 0);
  checkCount('columns', columns, 1);
  const noise = new Float32Array(rows * columns);
  const firstRow = checkCount('firstRow', options.firstRow ?? 0, 0);
  native().uniformNoiseSync(rows, columns, ...splitSeed(options.seed), firstRow, noise);
  return noise;
}

/** Cumulative logits F(values): [C][K] through each channel's own network, in double precision. */
export function factorizedLogits(values: Float32Array, network: FactorizedNetwork): Float32Array {
  const C = checkCount('channels', network.channels, 1);
  const P = parameterCount(network.filters);
  const count = rowsOf('values', checkFloats('values', values), C);
  const logits = new Float32Array(values.length);
  const parameters = checkFloats('parameters', network.parameters, P * C);
  native().factorizedLogitsSync(C, count, P, filtersArray(network.filters), parameters, values, logits);
  return logits;
}

export interface QuantileOptions extends FactorizedNetwork {
  /** The mass outside the two outer quantiles, 1e-9 by default. */
  readonly tailMass?: number;
}

export interface SolvedQuantiles {
  /** [C][3]: lower tail, median, upper tail. */
  readonly quantiles: Float32Array;
  /** Channels with a quantile beyond +-2^24, which stands at that bound. Empty when all were found. */
  readonly unsolved: number[];
}

function prepareSolve(options: QuantileOptions): SolveCall {
  const C = checkCount('channels', options.channels, 1);
  const P = parameterCount(options.filters);
  return [
    C,
    P,
    filtersArray(options.filters),
    checkFloats('parameters', options.parameters, P * C),
    checkPositive('tailMass', options.tailMass) || 1e-9,
    new Float32Array(3 * C),
    new Int32Array(C),
  ];
}

function solvedOf(call: SolveCall): SolvedQuantiles {
  const unsolved: number[] = [];
  call[6].forEach((count, channel) => {
    if (count > 0) unsolved.push(channel);
  });
  return { quantiles: call[5], unsolved };
}

/**
 * The quantiles of every channel by bisection: F(q) = -t, 0, t with t = ln(2 / tailMass - 1). Replaces the auxiliary
 * loss and its optimiser.
 */
export async function solveQuantiles(options: QuantileOptions & Cancellable): Promise<SolvedQuantiles> {
  const call = prepareSolve(options);
  await withCancel(options.signal, (cancel) => native().quantilesSolveAsync(...call, cancel));
  return solvedOf(call);
}

/** {@link solveQuantiles} on the calling thread. */
export function solveQuantilesSync(options: QuantileOptions): SolvedQuantiles {
  const call = prepareSolve(options);
  native().quantilesSolveSync(...call);
  return solvedOf(call);
}

/** CompressAI's auxiliary loss sum |F(q) - {-t, 0, t}| of quantiles [C][3], and its gradient to them. */
export function quantileLoss(
  quantiles: Float32Array,
  options: QuantileOptions,
): { loss: number; dquantiles: Float32Array } {
  const [C, P, filters, parameters, tailMass, dquantiles] = prepareSolve(options);
  checkFloats('quantiles', quantiles, 3 * C);
  const loss = native().quantilesLossSync(C, P, filters, parameters, tailMass, quantiles, dquantiles);
  return { loss, dquantiles };
}
