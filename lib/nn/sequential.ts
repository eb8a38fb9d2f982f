/** One layer after the other. */
import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Layer, Module } from './module.js';

/** Layers, each of which gets what the one before gave: `new Sequential(new Linear(2, 8), new ReLU(), ...)`. */
export class Sequential extends Module {
  readonly layers: readonly Layer[];

  constructor(...layers: readonly Layer[]) {
    super();
    for (const [i, layer] of layers.entries())
      if (!(layer instanceof Module)) invalidArgument(`layers[${i}]`, 'a Module', layer);
    this.layers = layers;
  }

  override forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), x);
  }
}

/** x + f(x), f given: their shapes must be the same, or broadcast to x's. */
export class Residual extends Module {
  readonly inner: Layer;

  constructor(inner: Layer) {
    super();
    this.inner = inner;
  }

  override forward(x: Tensor): Tensor {
    return x.add(this.inner.forward(x));
  }
}
