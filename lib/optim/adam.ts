/** Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as PyTorch's. */
import { native } from '../native.js';
import {
  checkDecay,
  checkRate,
  Optimizer,
  type OptimizerOptions,
  type Parameters,
  type Update,
} from './optimizer.js';

export interface AdamOptions extends OptimizerOptions {
  /** Default 1e-3. */
  readonly lr?: number;
  /** Decay of the averages of gradients and of their squares. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the averaged squares. Default 1e-8. */
  readonly eps?: number;
  /** Adam: added to the gradient, times the parameter, default 0. AdamW: p *= 1 - lr * weightDecay, default 0.01. */
  readonly weightDecay?: number;
}

/** p -= lr * mHat / (sqrt(vHat) + eps), mHat and vHat the averages of g and g^2 with their start corrected. */
export class Adam extends Optimizer {
  readonly #betas: readonly [number, number];
  readonly #eps: number;
  /** Whether weight decay shrinks the parameter by itself, instead of entering the gradient. */
  protected readonly decoupled: boolean = false;

  constructor(params: Parameters, options: AdamOptions = {}) {
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0 } = options;
    super(params, { lr, weightDecay }, ['m', 'v']);
    this.#betas = [checkDecay('betas[0]', betas[0]), checkDecay('betas[1]', betas[1])];
    this.#eps = checkRate('eps', eps);
  }

  protected override update({ parameter, gradient, state, step, ...rest }: Update): void {
    native().adamSync(
      parameter.handle,
      gradient.handle,
      state[0]!.handle,
      state[1]!.handle,
      rest.lr,
      this.#betas[0],
      this.#betas[1],
      this.#eps,
      rest.weightDecay,
      this.decoupled,
      step,
      rest.gradScale,
    );
  }
}

/** {@link Adam} with decoupled weight decay. */
export class AdamW extends Adam {
  protected override readonly decoupled: boolean = true;

  constructor(params: Parameters, options: AdamOptions = {}) {
    super(params, { weightDecay: 0.01, ...options });
  }
}
