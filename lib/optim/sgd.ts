/** Stochastic gradient descent, as PyTorch's. */
import { invalidArgument } from '../errors.js';
import { native } from '../native.js';
import { checkRate, Optimizer, type OptimizerOptions, type Parameters, type Update } from './optimizer.js';

export interface SGDOptions extends OptimizerOptions {
  /** Default 0.01. */
  readonly lr?: number;
  /** Default 0. */
  readonly momentum?: number;
  /** Default 0; the first step is not damped. */
  readonly dampening?: number;
  /** Default false. */
  readonly nesterov?: boolean;
  /** Added to the gradient, times the parameter. Default 0. */
  readonly weightDecay?: number;
}

/**
 * g += weightDecay * p; b = momentum * b + (1 - dampening) * g; p -= lr * b, or with Nesterov's
 * p -= lr * (g + momentum * b). Without momentum p -= lr * g.
 */
export class SGD extends Optimizer {
  readonly #momentum: number;
  readonly #dampening: number;
  readonly #nesterov: boolean;

  constructor(params: Parameters, options: SGDOptions = {}) {
    const { lr = 0.01, momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = options;
    super(params, { lr, weightDecay }, momentum > 0 ? ['momentum'] : []);
    this.#momentum = checkRate('momentum', momentum);
    this.#dampening = checkRate('dampening', dampening);
    this.#nesterov = nesterov;
    if (nesterov && (momentum === 0 || dampening !== 0))
      invalidArgument('nesterov', 'a momentum above 0 and no dampening with it', { momentum, dampening });
  }

  protected override update({ parameter, gradient, state, step, ...rest }: Update): void {
    native().sgdSync(
      parameter.handle,
      gradient.handle,
      state[0]?.handle,
      rest.lr,
      this.#momentum,
      this.#dampening,
      this.#nesterov,
      rest.weightDecay,
      step === 1,
      rest.gradScale,
    );
  }
}
