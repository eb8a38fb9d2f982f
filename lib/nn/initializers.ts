/** Start values of weights. */
import { BinceError } from '../errors.js';
import { full, rand, randn } from '../tensor/factories.js';
import type { Generator } from '../tensor/generator.js';
import type { Shape, Tensor } from '../tensor/tensor.js';

/** How many inputs an output of a layer has, and how many outputs an input. */
export interface Fans {
  readonly fanIn: number;
  readonly fanOut: number;
}

/** Makes a weight's start values. */
export type Initializer = (shape: Shape, fans: Fans, generator?: Generator) => Tensor;

/** What follows the layer, for the gain that keeps the variance: 1, sqrt 2 for ReLU, 5/3 for tanh. */
export type Nonlinearity = 'linear' | 'relu' | 'leakyRelu' | 'tanh';

export interface KaimingOptions {
  /** `in` (default) keeps the variance on the way forward, `out` on the way back. */
  readonly mode?: 'in' | 'out';
  /** Default `leakyRelu`. */
  readonly nonlinearity?: Nonlinearity;
  /** The slope of leakyRelu. Default 0, which is ReLU's gain. */
  readonly slope?: number;
}

function gainOf({ nonlinearity = 'leakyRelu', slope = 0 }: KaimingOptions): number {
  const gains = { linear: 1, relu: Math.SQRT2, leakyRelu: Math.sqrt(2 / (1 + slope * slope)), tanh: 5 / 3 };
  const gain = gains[nonlinearity];
  if (gain === undefined)
    throw new BinceError('BINCE_INVALID_ARGUMENT', `nonlinearity: expected ${Object.keys(gains).join(', ')}`);
  return gain;
}

function fanOf(fans: Fans, { mode = 'in' }: KaimingOptions): number {
  return Math.max(1, mode === 'out' ? fans.fanOut : fans.fanIn);
}

/** Uniform within +-gain * sqrt(3 / fan) (He et al. 2015). */
export function kaimingUniform(options: KaimingOptions = {}): Initializer {
  const gain = gainOf(options);
  return (shape, fans, generator) =>
    uniform(gain * Math.sqrt(3 / fanOf(fans, options)))(shape, fans, generator);
}

/** Normal with deviation gain / sqrt(fan) (He et al. 2015). */
export function kaimingNormal(options: KaimingOptions = {}): Initializer {
  const gain = gainOf(options);
  return (shape, fans, generator) => normal(gain / Math.sqrt(fanOf(fans, options)))(shape, fans, generator);
}

/** Uniform within +-gain * sqrt(6 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export function xavierUniform(gain = 1): Initializer {
  return (shape, fans, generator) =>
    uniform(gain * Math.sqrt(6 / Math.max(1, fans.fanIn + fans.fanOut)))(shape, fans, generator);
}

/** Normal with deviation gain * sqrt(2 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export function xavierNormal(gain = 1): Initializer {
  return (shape, fans, generator) =>
    normal(gain * Math.sqrt(2 / Math.max(1, fans.fanIn + fans.fanOut)))(shape, fans, generator);
}

/** PyTorch's start of linear layers and convolutions, weights and biases: uniform within +-1 / sqrt(fanIn). */
export const torchUniform: Initializer = (shape, fans, generator) =>
  uniform(1 / Math.sqrt(Math.max(1, fans.fanIn)))(shape, fans, generator);

/** Uniform within +-bound. */
export function uniform(bound: number): Initializer {
  return (shape, _fans, generator) => rand(shape, { low: -bound, high: bound, generator });
}

/** Normal about 0. */
export function normal(deviation: number): Initializer {
  return (shape, _fans, generator) => randn(shape, { deviation, generator });
}

/** All the same. */
export function constantValue(value: number): Initializer {
  return (shape) => full(shape, value);
}
