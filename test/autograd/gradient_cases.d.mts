import type * as Bince from '../../lib/index.js';

export interface GradientCase {
  readonly name: string;
  readonly inputs: readonly Bince.Tensor[];
  readonly fn: (inputs: readonly Bince.Tensor[]) => Bince.Tensor;
  readonly options?: Bince.GradientCheckOptions;
}

/** Every differentiable operation at sizes around the kernels' vectors, on the given build of the library. */
export function gradientCases(bince: typeof Bince): GradientCase[];
