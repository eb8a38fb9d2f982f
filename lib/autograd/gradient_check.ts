/** Derivatives against finite differences. */
import { BinceError, invalidArgument } from '../errors.js';
import { tensor } from '../tensor/factories.js';
import { Generator } from '../tensor/generator.js';
import { noGrad, scope } from '../tensor/scope.js';
import { describeShape } from '../tensor/shapes.js';
import type { Tensor } from '../tensor/tensor.js';
import { backward } from './tape.js';

export interface GradientCheckOptions {
  /** The step; the differences reach two steps to either side. Default 0.01. */
  readonly eps?: number | undefined;
  /** Allowed error as a part of the input's largest gradient (or of 1, if that is smaller). Default 1e-3. */
  readonly tolerance?: number | undefined;
  /** Of the cotangents and of the elements that are checked. Default 0. */
  readonly seed?: number | undefined;
  /** Elements of each input that are checked, drawn at random if there are more. Default 64. */
  readonly samples?: number | undefined;
}

/** The largest error found, as a part of what `tolerance` refers to. */
export interface GradientCheckResult {
  readonly worst: number;
  readonly checked: number;
}

// Numbers in (-1, 1), the same for the same seed.
function uniform(seed: number): () => number {
  let state = new Generator(seed).nextSeed();
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 11n) / 2 ** 52 - 1;
  };
}

/**
 * Compares the gradients of fn(inputs) with central differences of fourth order, for a random cotangent of its result.
 * fn must be the same function every time: without fresh random numbers, and smooth within two steps. Its inputs must
 * be float32 leaves. Throws BINCE_INVALID_VALUE with the input, the element and both values where they differ.
 */
export function gradientCheck(
  fn: (inputs: readonly Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradientCheckOptions = {},
): GradientCheckResult {
  const { eps = 0.01, tolerance = 1e-3, seed = 0, samples = 64 } = options;
  if (!(eps > 0)) invalidArgument('eps', 'a positive number', eps);
  const random = uniform(seed);
  for (const input of inputs) {
    if (input.dtype !== 'float32' || !input.isLeaf)
      invalidArgument('gradientCheck', 'float32 leaves', input.toString());
    input.grad?.dispose();
    input.grad = undefined;
    input.requiresGrad = true;
  }
  const cotangent = scope(() => {
    const y = fn(inputs);
    const values = Float32Array.from({ length: y.size }, random);
    backward(y, tensor(values, [...y.shape]));
    return values;
  });
  const evaluate = () =>
    scope(() =>
      noGrad(() => {
        const y = fn(inputs).floats();
        return y.reduce((sum, value, i) => sum + value * cotangent[i]!, 0);
      }),
    );
  let worst = 0;
  let checked = 0;
  inputs.forEach((input, which) => {
    const values = input.floats();
    const gradient = input.grad?.floats() ?? new Float32Array(values.length);
    const scale = Math.max(1, ...gradient.map(Math.abs));
    for (const i of elements(values.length, samples, random)) {
      const expected = difference(input, values, i, eps, evaluate);
      const error = Math.abs(expected - gradient[i]!) / scale;
      if (!(error <= tolerance))
        throw new BinceError(
          'BINCE_INVALID_VALUE',
          `gradient of input ${which} ${describeShape(input.shape)}, element ${i}: ${gradient[i]} by backward(), ${expected} by differences (seed ${seed})`,
        );
      worst = Math.max(worst, error);
      checked += 1;
    }
  });
  return { worst, checked };
}

function elements(count: number, samples: number, random: () => number): number[] {
  if (count <= samples) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: samples }, () => Math.floor(((random() + 1) / 2) * count));
}

function difference(
  input: Tensor,
  values: Float32Array,
  i: number,
  eps: number,
  evaluate: () => number,
): number {
  const at = (steps: number) => {
    const moved = values.slice();
    moved[i]! += steps * eps;
    input.write(moved);
    return evaluate();
  };
  try {
    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * eps);
  } finally {
    input.write(values);
  }
}
