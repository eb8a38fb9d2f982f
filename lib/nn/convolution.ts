/** Convolution and transposed convolution over images [N, H, W, C]. */
import { conv2d, convTranspose2d } from '../autograd/index.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkPair, checkPositiveInteger, type Pair } from './arguments.js';
import { torchUniform } from './initializers.js';
import type { WeightOptions } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

export interface ConvOptions extends WeightOptions {
  /** Default 1. */
  readonly stride?: Pair | undefined;
  /** Zeros at each edge. Default 0. */
  readonly padding?: Pair | undefined;
}

export interface ConvTransposeOptions extends ConvOptions {
  /** Rows and columns that the result has more, below and at the right; less than the stride. Default 0. */
  readonly outputPadding?: Pair | undefined;
}

/** Cross-correlation, as frameworks have it: x [N, H, W, inputs], weight [kh, kw, inputs, outputs]. */
export class Conv2d extends Module {
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;

  constructor(inputs: number, outputs: number, kernel: Pair, options: ConvOptions = {}) {
    super();
    checkPositiveInteger('inputs', inputs);
    checkPositiveInteger('outputs', outputs);
    const [kh, kw] = checkPair('kernel', kernel, 1);
    const { bias = true, init = torchUniform, biasInit = torchUniform, generator } = options;
    this.stride = checkPair('stride', options.stride ?? 1, 1);
    this.padding = checkPair('padding', options.padding ?? 0, 0);
    const fans = { fanIn: inputs * kh * kw, fanOut: outputs * kh * kw };
    this.weight = new Parameter(init([kh, kw, inputs, outputs], fans, generator));
    this.bias = bias ? new Parameter(biasInit([outputs], fans, generator)) : undefined;
  }

  /** [N, H, W, inputs] to [N, floor((H + 2 padding - kh) / stride) + 1, ..., outputs]. */
  override forward(x: Tensor): Tensor {
    const { bias, stride, padding } = this;
    return conv2d(x, this.weight, { bias, stride, padding });
  }
}

/**
 * The adjoint of a convolution from `outputs` to `inputs` channels: x [N, H, W, inputs],
 * weight [kh, kw, outputs, inputs].
 */
export class ConvTranspose2d extends Module {
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly outputPadding: readonly [number, number];
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;

  constructor(inputs: number, outputs: number, kernel: Pair, options: ConvTransposeOptions = {}) {
    super();
    checkPositiveInteger('inputs', inputs);
    checkPositiveInteger('outputs', outputs);
    const [kh, kw] = checkPair('kernel', kernel, 1);
    const { bias = true, init = torchUniform, biasInit = torchUniform, generator } = options;
    this.stride = checkPair('stride', options.stride ?? 1, 1);
    this.padding = checkPair('padding', options.padding ?? 0, 0);
    this.outputPadding = checkPair('outputPadding', options.outputPadding ?? 0, 0);
    // PyTorch takes the fan of the convolution that this is the adjoint of.
    const fans = { fanIn: outputs * kh * kw, fanOut: inputs * kh * kw };
    this.weight = new Parameter(init([kh, kw, outputs, inputs], fans, generator));
    this.bias = bias ? new Parameter(biasInit([outputs], fans, generator)) : undefined;
  }

  /** [N, H, W, inputs] to [N, (H - 1) stride - 2 padding + kh + outputPadding, ..., outputs]. */
  override forward(x: Tensor): Tensor {
    const { bias, stride, padding, outputPadding } = this;
    return convTranspose2d(x, this.weight, { bias, stride, padding, outputPadding });
  }
}
