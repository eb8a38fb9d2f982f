/** PyTorch's values (test/golden/layers.json), turned to channels last. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type Tensor, tensor } from '../../lib/index.js';

export interface GoldenTensor {
  readonly shape: number[];
  readonly data: number[];
}

/** A forward pass and its gradients for the cotangent dy. */
export interface GoldenRun {
  readonly inputs: Record<string, GoldenTensor>;
  readonly y: GoldenTensor;
  readonly dy: GoldenTensor;
  readonly gradients: Record<string, GoldenTensor>;
}

export interface GoldenBatchNorm {
  readonly weight: GoldenTensor;
  readonly bias: GoldenTensor;
  readonly steps: (GoldenPass | { readonly x: GoldenTensor })[];
  readonly running: { readonly mean: GoldenTensor; readonly variance: GoldenTensor };
  readonly evaluation: GoldenPass;
}

export interface GoldenPass {
  readonly x: GoldenTensor;
  readonly y: GoldenTensor;
  readonly dy: GoldenTensor;
  readonly dx: GoldenTensor;
  readonly dweight: GoldenTensor;
  readonly dbias: GoldenTensor;
}

export interface GoldenConvolution extends GoldenRun {
  readonly stride: [number, number];
  readonly padding: [number, number];
  readonly outputPadding?: [number, number];
}

interface GoldenLayers {
  readonly linear: GoldenRun;
  readonly conv2d: GoldenConvolution[];
  readonly convTranspose2d: GoldenConvolution[];
  readonly batchNorm: { readonly rows: GoldenBatchNorm; readonly images: GoldenBatchNorm };
  readonly layerNorm: GoldenRun;
  readonly activations: Record<string, GoldenRun>;
  readonly losses: {
    readonly labels: GoldenTensor;
    readonly bceTarget: GoldenTensor;
    readonly crossEntropy: GoldenRun;
    readonly crossEntropySmoothed: GoldenRun;
    readonly bceWithLogits: GoldenRun;
    readonly klDivergence: GoldenRun;
  };
  readonly gdn: GoldenRun;
  readonly inverseGdn: GoldenRun;
  readonly pooling: Record<string, GoldenRun>;
  readonly upsampling: Record<string, GoldenRun>;
  readonly basicBlock: {
    readonly x: GoldenTensor;
    readonly y: GoldenTensor;
    readonly dy: GoldenTensor;
    readonly dx: GoldenTensor;
    readonly parameters: Record<string, GoldenTensor>;
    readonly gradients: Record<string, GoldenTensor>;
    readonly buffers: Record<string, GoldenTensor>;
  };
  readonly optimizers: {
    readonly start: GoldenTensor;
    readonly gradients: GoldenTensor[];
    readonly after: Record<string, GoldenTensor[]>;
  };
}

export const golden: GoldenLayers = JSON.parse(
  readFileSync(new URL('../golden/layers.json', import.meta.url), 'utf8'),
);

/** The axes in another order: axis i of the result is axis order[i]. */
export function permuted({ shape, data }: GoldenTensor, order: readonly number[]): GoldenTensor {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const newShape = order.map((axis) => shape[axis]!);
  const out = data.map((_, at) => {
    let from = 0;
    let rest = at;
    for (let i = order.length - 1; i >= 0; i--) {
      from += (rest % newShape[i]!) * strides[order[i]!]!;
      rest = Math.floor(rest / newShape[i]!);
    }
    return data[from]!;
  });
  return { shape: newShape, data: out };
}

/** [N, C, H, W] to [N, H, W, C]; what has not four axes stays. */
export function channelsLast(value: GoldenTensor): GoldenTensor {
  return value.shape.length === 4 ? permuted(value, [0, 2, 3, 1]) : value;
}

/** A weight [out, in, kh, kw] or [out, in] to [kh, kw, in, out] or [in, out]; what has one axis stays. */
export function weightLast(value: GoldenTensor): GoldenTensor {
  if (value.shape.length === 4) return permuted(value, [2, 3, 1, 0]);
  return value.shape.length === 2 ? permuted(value, [1, 0]) : value;
}

export function tensorOf({ shape, data }: GoldenTensor, requiresGrad = false): Tensor {
  return tensor(Float32Array.from(data), shape, { requiresGrad });
}

/** Expects a tensor's shape, and its values within `tolerance` of the largest of them. */
export function expectClose(
  received: Tensor | null | undefined,
  expected: GoldenTensor,
  tolerance = 2e-6,
): void {
  expect(received?.shape).toEqual(expected.shape);
  const values = received!.dataSync();
  const largest = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  let worst = 0;
  for (const [i, value] of expected.data.entries()) worst = Math.max(worst, Math.abs(values[i]! - value));
  expect(worst / largest).toBeLessThan(tolerance);
}
