/** Batch normalisation and layer normalisation, over the last axis. */
import { batchNorm, layerNorm } from '../autograd/index.js';
import { ones, zeros } from '../tensor/factories.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkPositiveInteger } from './arguments.js';
import { Module } from './module.js';
import { Buffer, Parameter } from './parameter.js';

export interface BatchNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
  /** The weight of a new batch in the running mean and variance. Default 0.1. */
  readonly momentum?: number | undefined;
  /** Applied to the result in the same pass over memory. Default none. */
  readonly activation?: 'relu' | 'leakyRelu' | 'softplus' | undefined;
  /** Of leakyRelu. Default 0.01. */
  readonly slope?: number | undefined;
}

/**
 * Batch normalisation (Ioffe and Szegedy 2015) of each channel over all other axes: x [..., channels]. In training by the
 * batch's own mean and (biased) variance, in evaluation by the running ones, which take the unbiased variance. In
 * training a batch needs more than one value a channel.
 */
export class BatchNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: Buffer;
  readonly runningVariance: Buffer;
  readonly #options: BatchNormOptions;

  constructor(channels: number, options: BatchNormOptions = {}) {
    super();
    checkPositiveInteger('channels', channels);
    this.weight = new Parameter(ones([channels]));
    this.bias = new Parameter(zeros([channels]));
    this.runningMean = new Buffer(zeros([channels]));
    this.runningVariance = new Buffer(ones([channels]));
    this.#options = { ...options };
  }

  override forward(x: Tensor): Tensor {
    const { weight: gamma, bias: beta, runningMean, runningVariance: runningVar, training } = this;
    return batchNorm(x, { gamma, beta, runningMean, runningVar, training, ...this.#options });
  }
}

/** Layer normalisation (Ba et al. 2016) of each row over the last axis: x [..., channels]. */
export class LayerNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #eps: number;

  /** @param options eps: added to the variance, 1e-5 by default */
  constructor(channels: number, options: { readonly eps?: number | undefined } = {}) {
    super();
    checkPositiveInteger('channels', channels);
    this.weight = new Parameter(ones([channels]));
    this.bias = new Parameter(zeros([channels]));
    this.#eps = options.eps ?? 1e-5;
  }

  override forward(x: Tensor): Tensor {
    return layerNorm(x, { gamma: this.weight, beta: this.bias, eps: this.#eps });
  }
}
