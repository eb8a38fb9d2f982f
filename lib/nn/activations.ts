/** Activations as modules, for {@link Sequential}. */
import { elu, gelu, leakyRelu, relu, sigmoid, silu, softplus, tanh } from '../autograd/index.js';
import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Layer, Module } from './module.js';

/** max(x, 0) */
export class ReLU extends Module {
  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** x above 0, slope * x below. */
export class LeakyReLU extends Module {
  readonly slope: number;

  constructor(slope = 0.01) {
    super();
    this.slope = slope;
  }

  override forward(x: Tensor): Tensor {
    return leakyRelu(x, this.slope);
  }
}

/** x above 0, alpha * (e^x - 1) below. */
export class ELU extends Module {
  readonly alpha: number;

  constructor(alpha = 1) {
    super();
    this.alpha = alpha;
  }

  override forward(x: Tensor): Tensor {
    return elu(x, this.alpha);
  }
}

/** x * Phi(x), Phi the normal distribution function (by erf). */
export class GELU extends Module {
  override forward(x: Tensor): Tensor {
    return gelu(x);
  }
}

/** x * sigmoid(x) */
export class SiLU extends Module {
  override forward(x: Tensor): Tensor {
    return silu(x);
  }
}

export class Sigmoid extends Module {
  override forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

export class Tanh extends Module {
  override forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** ln(1 + e^x) */
export class Softplus extends Module {
  override forward(x: Tensor): Tensor {
    return softplus(x);
  }
}

const makers = {
  relu: () => new ReLU(),
  leakyRelu: () => new LeakyReLU(),
  elu: () => new ELU(),
  gelu: () => new GELU(),
  silu: () => new SiLU(),
  sigmoid: () => new Sigmoid(),
  tanh: () => new Tanh(),
  softplus: () => new Softplus(),
} as const;

export type ActivationName = keyof typeof makers;

/** The module of this name, with its default slope. */
export function makeActivation(name: ActivationName): Layer {
  const make = Object.hasOwn(makers, name) ? makers[name] : undefined;
  return make ? make() : invalidArgument('activation', Object.keys(makers).join(', '), name);
}
