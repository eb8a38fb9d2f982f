/** Generalised divisive normalisation (Balle, Laparra and Simoncelli 2016). */
import { greater, greaterEqual, linear, maximum, record, rsqrt, sqrt } from '../autograd/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { noGrad } from '../tensor/scope.js';
import { checkPositiveInteger } from './arguments.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

export interface GDNOptions {
  /** Multiplies by the norm instead of dividing by it: the decoder's part. Default false. */
  readonly inverse?: boolean | undefined;
  /** The least beta. Default 1e-6. */
  readonly betaMin?: number | undefined;
  /** gamma begins as this, times the identity. Default 0.1. */
  readonly gammaInit?: number | undefined;
}

// CompressAI's parametrisation: a number v >= 0 is learned as sqrt(v + pedestal), never below its own bound.
const offset = 2 ** -18;
const pedestal = offset ** 2;

/**
 * y_j = x_j / sqrt(beta_j + sum_i gamma_ij x_i^2), over the channels of every pixel: x [..., channels]. beta >= betaMin
 * and gamma >= 0 are squares of what is learned (`beta` [channels], `gamma` [from, to]); below a bound a gradient passes
 * where it would raise the value.
 */
export class GDN extends Module {
  readonly inverse: boolean;
  readonly beta: Parameter;
  readonly gamma: Parameter;
  readonly #betaBound: number;

  constructor(channels: number, options: GDNOptions = {}) {
    super();
    checkPositiveInteger('channels', channels);
    const { inverse = false, betaMin = 1e-6, gammaInit = 0.1 } = options;
    this.inverse = inverse;
    this.#betaBound = Math.sqrt(betaMin + pedestal);
    const gamma = new Float32Array(channels * channels).fill(offset);
    for (let c = 0; c < channels; c++) gamma[c * channels + c] = Math.sqrt(gammaInit + pedestal);
    const beta = new Float32Array(channels).fill(Math.sqrt(1 + pedestal));
    this.beta = new Parameter(tensor(beta));
    this.gamma = new Parameter(tensor(gamma, [channels, channels]));
  }

  override forward(x: Tensor): Tensor {
    const beta = lowerBound(this.beta, this.#betaBound).square().sub(pedestal);
    const gamma = lowerBound(this.gamma, offset).square().sub(pedestal);
    const squares = linear(x.square(), gamma, beta);
    return x.mul(this.inverse ? sqrt(squares) : rsqrt(squares));
  }
}

/** max(x, bound), whose gradient also passes where it would raise x. */
function lowerBound(x: Tensor, bound: number): Tensor {
  const y = noGrad(() => maximum(x, bound));
  return record('lowerBound', [x], y, (dy) => {
    const raises = greater(tensor(0), dy);
    return [dy.mul(maximum(greaterEqual(x, tensor(bound)), raises))];
  });
}
