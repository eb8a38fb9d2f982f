import { describe, expect, it } from 'vitest';
import {
  gaussianBackward,
  gaussianBackwardSync,
  gaussianForward,
  gaussianForwardSync,
  gaussianIndexes,
} from '../../lib/kernels/index.js';
import { array, floats, goldenCases } from './golden.js';

const golden = goldenCases('compressai_strings').find(({ name }) => name.startsWith('gaussian'))!;
const y = floats(golden.inputs['y']);
const scale = floats(golden.inputs['scales']);
const mean = floats(golden.inputs['means']);

describe('the Gaussian conditional', () => {
  it('gives the indexes and likelihoods of CompressAI', async () => {
    expect([...gaussianIndexes(scale, floats(golden.inputs['scale_table']))]).toEqual(
      array(golden.expected['indexes']).data,
    );
    const columns = y.length / 2;
    const options = { columns, scale, mean, likelihood: true, bitsPerRow: true } as const;
    const result = await gaussianForward(y, options);
    expect(gaussianForwardSync(y, options)).toEqual(result);
    array(golden.expected['likelihood']).data.forEach((likelihood, i) => {
      // Theirs is float32 too, and goes to 0 where ours stops at the floor.
      expect(Math.abs(result.likelihood![i]! - Math.max(likelihood, 1e-9))).toBeLessThan(1e-6);
    });
    expect(result.bitsPerRow).toHaveLength(2);
    expect(result.bitsPerRow![0]! + result.bitsPerRow![1]!).toBeCloseTo(result.bits, 3);
  });

  it('rounds about the mean to what CompressAI decodes', () => {
    const { values } = gaussianForwardSync(y, { scale, mean, quantize: 'round', values: true });
    array(golden.expected['decoded']).data.forEach((value, i) => {
      expect(values![i]).toBeCloseTo(value, 5);
    });
  });

  it('has the gradients that finite differences have', () => {
    const T = 40;
    const inputs = {
      y: Float32Array.from({ length: T }, (_, i) => 3 * Math.sin(i)),
      mean: Float32Array.from({ length: T }, (_, i) => Math.cos(1.3 * i)),
      scale: Float32Array.from({ length: T }, (_, i) => 0.6 + (i % 7) * 0.4),
    };
    const dlikelihood = Float32Array.from({ length: T }, (_, i) => Math.sin(5 * i));
    const loss = (moved: typeof inputs) => {
      const { bits, likelihood } = gaussianForwardSync(moved.y, { ...moved, likelihood: true });
      return 0.5 * bits + likelihood!.reduce((sum, l, i) => sum + l * dlikelihood[i]!, 0);
    };
    const result = gaussianBackwardSync(inputs.y, { ...inputs, dbits: 0.5, dlikelihood });
    const step = 1 / 128;
    for (const [name, gradient] of [
      ['y', result.dy!],
      ['mean', result.dmean!],
      ['scale', result.dscale!],
    ] as const)
      for (let i = 0; i < T; i++) {
        const [up, down] = [step, -step].map((delta) => {
          const moved = { y: inputs.y.slice(), mean: inputs.mean.slice(), scale: inputs.scale.slice() };
          moved[name][i]! += delta;
          return loss(moved);
        }) as [number, number];
        expect(Math.abs(gradient[i]! - (up - down) / (2 * step))).toBeLessThan(
          0.02 * Math.max(1, Math.abs(gradient[i]!)),
        );
      }
  });

  it('passes a gradient below the scale bound where it would raise the scale', async () => {
    const options = { mean: new Float32Array(2), scale: Float32Array.of(0.01, 0.01) };
    // The first value lies at the mean (a smaller scale is likelier), the second away from it.
    const { dscale } = await gaussianBackward(Float32Array.of(0, 0.7), options);
    expect(dscale![0]).toBe(0);
    expect(dscale![1]).toBeLessThan(0);
    const { dscale: opposite } = await gaussianBackward(Float32Array.of(0, 0.7), { ...options, dbits: -1 });
    expect(opposite![1]).toBe(0);
  });

  it('floors far-out values', () => {
    const { bits, likelihood } = gaussianForwardSync(Float32Array.of(1e6, -1e30), {
      scale: Float32Array.of(1, 2),
      likelihood: true,
    });
    expect(bits).toBeCloseTo(-2 * Math.log2(1e-9), 3);
    expect(likelihood![0]).toBeCloseTo(1e-9, 12);
  });

  it('names what is wrong', () => {
    const broken = Float32Array.of(0, 1, 2, Number.NaN);
    const ones = new Float32Array(4).fill(1);
    expect(() => gaussianForwardSync(broken, { columns: 2, scale: ones })).toThrow(/y: row 1, element 1/);
    expect(() => gaussianForwardSync(ones, { columns: 2, scale: broken })).toThrow(/scale: row 1/);
    expect(() => gaussianForwardSync(ones, { columns: 3, scale: ones })).toThrow(/multiple of 3/);
    expect(() => gaussianForwardSync(ones, { scale: new Float32Array(3) })).toThrow(
      /scale: expected Float32Array\(4\)/,
    );
    expect(() => gaussianIndexes(ones, Float32Array.of(2, 1))).toThrow(/rising/);
    expect(() => gaussianIndexes(broken, Float32Array.of(1, 2))).toThrow(/element 3/);
  });
});
