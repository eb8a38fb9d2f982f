/** The multi-layer perceptron. */
import type { Generator } from '../tensor/generator.js';
import type { Tensor } from '../tensor/tensor.js';
import { type ActivationName, makeActivation } from './activations.js';
import { Linear } from './linear.js';
import { type Layer, Module } from './module.js';
import { BatchNorm, LayerNorm } from './normalization.js';
import { Sequential } from './sequential.js';
import { Dropout } from './shape_layers.js';

export interface MLPOptions {
  /** Widths of the hidden layers. Default [128]. */
  readonly hidden?: readonly number[] | undefined;
  /** After each hidden layer. Default `relu`. */
  readonly activation?: ActivationName | undefined;
  /** Before the activation. Default none. */
  readonly norm?: 'batch' | 'layer' | undefined;
  /** After the activation. Default 0. */
  readonly dropout?: number | undefined;
  readonly generator?: Generator | undefined;
}

/** Hidden layers, each linear, norm, activation, dropout, and a linear layer at the end: [..., inputs] to [..., outputs]. */
export class MLP extends Module {
  readonly layers: Sequential;

  constructor(inputs: number, outputs: number, options: MLPOptions = {}) {
    super();
    const { hidden = [128], generator } = options;
    const layers: Layer[] = [];
    let width = inputs;
    for (const next of hidden) {
      layers.push(...hiddenLayer(width, next, options));
      width = next;
    }
    layers.push(new Linear(width, outputs, { generator }));
    this.layers = new Sequential(...layers);
  }

  override forward(x: Tensor): Tensor {
    return this.layers.forward(x);
  }
}

function hiddenLayer(inputs: number, outputs: number, options: MLPOptions): Layer[] {
  const { activation = 'relu', norm, dropout = 0, generator } = options;
  // Batch norm has a shift of its own, and takes the activation into its pass over memory.
  const linear = new Linear(inputs, outputs, { bias: norm !== 'batch', generator });
  const last = dropout > 0 ? [new Dropout(dropout, { generator })] : [];
  if (norm === 'batch' && isFused(activation))
    return [linear, new BatchNorm(outputs, { activation }), ...last];
  const norms =
    norm === 'batch' ? [new BatchNorm(outputs)] : norm === 'layer' ? [new LayerNorm(outputs)] : [];
  return [linear, ...norms, makeActivation(activation), ...last];
}

function isFused(name: ActivationName): name is 'relu' | 'leakyRelu' | 'softplus' {
  return name === 'relu' || name === 'leakyRelu' || name === 'softplus';
}
