/** Layers without weights: shapes, pooling, up-sampling, dropout, and functions as layers. */
import { avgPool2d, dropout, maxPool2d, upsample2d } from '../autograd/index.js';
import { invalidArgument } from '../errors.js';
import type { Generator } from '../tensor/generator.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkPair, type Pair } from './arguments.js';
import { Module } from './module.js';

/** [N, ...] to [N, product of the rest]. */
export class Flatten extends Module {
  override forward(x: Tensor): Tensor {
    return x.flatten();
  }
}

/** [N, ...] to [N, ...shape]. */
export class Reshape extends Module {
  readonly shape: readonly number[];

  constructor(shape: readonly number[]) {
    super();
    this.shape = [...shape];
  }

  override forward(x: Tensor): Tensor {
    return x.reshape([x.shape[0] ?? 1, ...this.shape]);
  }
}

export interface PoolOptions {
  /** Default: the kernel's size. */
  readonly stride?: Pair | undefined;
  /** Default 0. */
  readonly padding?: Pair | undefined;
}

/** The greatest value of each window: [N, H, W, C] to [N, OH, OW, C]. */
export class MaxPool2d extends Module {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];

  constructor(kernel: Pair, options: PoolOptions = {}) {
    super();
    this.kernel = checkPair('kernel', kernel, 1);
    this.stride = checkPair('stride', options.stride ?? kernel, 1);
    this.padding = checkPair('padding', options.padding ?? 0, 0);
  }

  override forward(x: Tensor): Tensor {
    return maxPool2d(x, { size: this.kernel, stride: this.stride, padding: this.padding });
  }
}

/** The mean of each window, zeros of the padding included: [N, H, W, C] to [N, OH, OW, C]. */
export class AvgPool2d extends Module {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];

  constructor(kernel: Pair, options: PoolOptions = {}) {
    super();
    this.kernel = checkPair('kernel', kernel, 1);
    this.stride = checkPair('stride', options.stride ?? kernel, 1);
    this.padding = checkPair('padding', options.padding ?? 0, 0);
  }

  override forward(x: Tensor): Tensor {
    return avgPool2d(x, { size: this.kernel, stride: this.stride, padding: this.padding });
  }
}

/** The mean over height and width: [N, H, W, C] to [N, C]. */
export class GlobalAvgPool extends Module {
  override forward(x: Tensor): Tensor {
    return x.mean({ axis: [1, 2] });
  }
}

/** Larger images: by a factor (or two), nearest or bilinear without aligned corners. */
export class Upsample2d extends Module {
  readonly factor: readonly [number, number];
  readonly mode: 'nearest' | 'bilinear';

  constructor(factor: Pair, mode: 'nearest' | 'bilinear' = 'nearest') {
    super();
    this.factor = checkPair('factor', factor, 1);
    if (mode !== 'nearest' && mode !== 'bilinear') invalidArgument('mode', "'nearest' or 'bilinear'", mode);
    this.mode = mode;
  }

  override forward(x: Tensor): Tensor {
    const [, height = 1, width = 1] = x.shape;
    return upsample2d(x, { size: [height * this.factor[0], width * this.factor[1]], mode: this.mode });
  }
}

/** In training each value is 0 with probability p, and otherwise divided by 1 - p; in evaluation all stay. */
export class Dropout extends Module {
  readonly p: number;
  readonly #generator: Generator | undefined;

  /** @param options generator: of the choices, the default one if absent */
  constructor(p = 0.5, options: { readonly generator?: Generator | undefined } = {}) {
    super();
    this.p = p >= 0 && p < 1 ? p : invalidArgument('p', 'a probability from 0 to below 1', p);
    this.#generator = options.generator;
  }

  override forward(x: Tensor): Tensor {
    return this.training && this.p > 0 ? dropout(x, this.p, { generator: this.#generator }) : x;
  }
}

/** A function as a layer. Modules that it uses are not seen; keep them beside it. */
export class Lambda extends Module {
  readonly #apply: (x: Tensor) => Tensor;

  constructor(apply: (x: Tensor) => Tensor) {
    super();
    this.#apply = apply;
  }

  override forward(x: Tensor): Tensor {
    return this.#apply(x);
  }
}
