/** The linear layer. */
import { linear } from '../autograd/index.js';
import type { Generator } from '../tensor/generator.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkPositiveInteger } from './arguments.js';
import { type Initializer, torchUniform } from './initializers.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** What layers with weights take. */
export interface WeightOptions {
  /** Default true. */
  readonly bias?: boolean | undefined;
  /** Start values of the weight, and of the bias. Default {@link torchUniform} for both. */
  readonly init?: Initializer | undefined;
  readonly biasInit?: Initializer | undefined;
  /** Of the start values; the default generator if absent. */
  readonly generator?: Generator | undefined;
}

/** y = x W + b over the last axis: x [..., inputs], W [inputs, outputs], b [outputs], y [..., outputs]. */
export class Linear extends Module {
  readonly inputs: number;
  readonly outputs: number;
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;

  constructor(inputs: number, outputs: number, options: WeightOptions = {}) {
    super();
    this.inputs = checkPositiveInteger('inputs', inputs);
    this.outputs = checkPositiveInteger('outputs', outputs);
    const { bias = true, init = torchUniform, biasInit = torchUniform, generator } = options;
    const fans = { fanIn: inputs, fanOut: outputs };
    this.weight = new Parameter(init([inputs, outputs], fans, generator));
    this.bias = bias ? new Parameter(biasInit([outputs], fans, generator)) : undefined;
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}
