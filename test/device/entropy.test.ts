/** The entropy models where x is on a device, against the CPU's results. */
import { expect, describe as group, it } from 'vitest';
import {
  type FactorizedBitsOptions,
  factorizedBits,
  gaussianBits,
  memory,
  randn,
  scope,
  type Tensor,
  tensor,
} from '../../lib/index.js';
import { initFactorizedParameters, parameterCount } from '../../lib/kernels/index.js';
import { missing, useSimulator } from './simulator.js';

useSimulator();

type Device = 'cpu' | 'cuda';

/** The largest difference, relative to the largest value. */
function difference(received: Float32Array, expected: Float32Array): number {
  expect(received.length).toBe(expected.length);
  const size = expected.reduce((most, each) => Math.max(most, Math.abs(each)), 1e-30);
  return received.reduce((most, each, i) => Math.max(most, Math.abs(each - expected[i]!)), 0) / size;
}

/** The same numbers as a leaf on a device. */
function leafOn(device: Device, x: Tensor): Tensor {
  const leaf = x.to(device).detach();
  leaf.requiresGrad = true;
  return leaf;
}

function parametersOf(channels: number, filters: readonly number[]): Tensor {
  const values = initFactorizedParameters(channels, { filters });
  return tensor(values, [parameterCount(filters), channels]);
}

type Settings = Omit<FactorizedBitsOptions, 'parameters' | 'logGain' | 'shift' | 'medians'>;
const modes: Record<string, { shape: number[]; settings: Settings; bfloat16?: boolean }> = {
  noise: { shape: [13, 40], settings: { quantize: 'noise', seed: 7n, firstRow: 2 } },
  rounding: { shape: [9, 33], settings: { quantize: 'round' } },
  'values given': { shape: [5, 3], settings: {} },
  'an image': { shape: [2, 3, 3, 5], settings: { quantize: 'noise', seed: 8n } },
  'other widths': { shape: [6, 7], settings: { quantize: 'noise', seed: 9n, filters: [2, 4] } },
  bfloat16: { shape: [7, 34], settings: { quantize: 'noise', seed: 10n }, bfloat16: true },
};

group.skipIf(missing !== undefined)('factorizedBits on a device', () => {
  for (const [name, { shape, settings, bfloat16 }] of Object.entries(modes))
    it(`equals the CPU's: ${name}`, () => {
      const before = memory().cuda.tensors;
      scope(() => {
        const channels = shape.at(-1)!;
        const latents = randn(shape).mul(4).detach();
        const given = {
          x: bfloat16 ? latents.convert('bfloat16') : latents,
          parameters: parametersOf(channels, settings.filters ?? [3, 3, 3, 3]),
          logGain: randn([channels]).mul(0.2),
          shift: randn([channels]),
          medians: randn([channels]),
          weights: randn([shape[0]!]),
        };
        const run = (device: Device) => {
          const [x, parameters] = [leafOn(device, given.x), leafOn(device, given.parameters)];
          const [logGain, shift] = [leafOn(device, given.logGain), leafOn(device, given.shift)];
          const medians = given.medians.to(device);
          const { bits, values } = factorizedBits(x, { ...settings, parameters, logGain, shift, medians });
          expect([bits.device, values.device]).toEqual(['cpu', x.device]);
          bits.mul(given.weights).sum().backward();
          expect(x.grad!.device).toBe(x.device);
          const gradients = [x, parameters, logGain, shift].map((leaf) => leaf.grad!.floats());
          return { bits: bits.floats(), values: values.floats(), gradients };
        };
        const [expected, received] = [run('cpu'), run('cuda')];
        expect(received.values).toEqual(expected.values);
        expect(difference(received.bits, expected.bits)).toBeLessThan(1e-5);
        for (const [i, each] of expected.gradients.entries())
          expect(difference(received.gradients[i]!, each)).toBeLessThan(1e-4);
      });
      expect(memory().cuda.tensors).toBe(before);
    });

  it('takes the constant gradient of a mean, and passes that of values through', () => {
    scope(() => {
      const [latents, parameters] = [randn([6, 5]), parametersOf(5, [3, 3, 3, 3])];
      const run = (device: Device) => {
        const x = leafOn(device, latents);
        const model = { parameters: parameters.to(device), quantize: 'round' } as const;
        const { bits, values } = factorizedBits(x, model);
        bits.mean().add(values.to('cpu').square().sum()).backward();
        return x.grad!.floats();
      };
      expect(difference(run('cuda'), run('cpu'))).toBeLessThan(1e-4);
    });
  });

  it('names the row of a NaN, the devices of others, and leaves nothing behind', () => {
    const before = memory().cuda.tensors;
    scope(() => {
      const values = new Float32Array(12 * 8).fill(0.25);
      values[8 * 8 + 3] = Number.NaN;
      const parameters = parametersOf(8, [3, 3, 3, 3]);
      const there = parameters.to('cuda');
      const bad = tensor(values, [12, 8], { device: 'cuda' });
      expect(() => factorizedBits(bad, { parameters: there })).toThrow(/x: row 8 holds NaN or infinity/);
      expect(() => factorizedBits(bad, { parameters })).toThrow(
        /factorizedBits: expected tensors on one device/,
      );
      const x = randn([3, 8], { device: 'cuda', requiresGrad: true });
      const shift = tensor(new Float32Array(8), [8], { device: 'cuda' });
      const shifted = factorizedBits(x, { parameters: there, shift });
      expect(() => shifted.values.to('cpu').sum().backward()).toThrow(/values have no gradient through/);
    });
    expect(memory().cuda.tensors).toBe(before);
  });
});

group.skipIf(missing !== undefined)('gaussianBits on a device', () => {
  for (const quantize of ['none', 'noise', 'round'] as const)
    it(`equals the CPU's: ${quantize}`, () => {
      scope(() => {
        const shape = [7, 3, 11];
        const given = { y: randn(shape).mul(3), scale: randn(shape).square(), mean: randn(shape) };
        const run = (device: Device) => {
          const [y, scale, mean] = [given.y, given.scale, given.mean].map((each) => leafOn(device, each));
          const { bits, values } = gaussianBits(y!, scale!, mean!, { quantize, seed: 3n });
          bits.mean().backward();
          const gradients = [y!, scale!, mean!].map((leaf) => leaf.grad!.floats());
          return { bits: bits.floats(), values: values.floats(), gradients };
        };
        const [expected, received] = [run('cpu'), run('cuda')];
        expect(received.values).toEqual(expected.values);
        expect(difference(received.bits, expected.bits)).toBeLessThan(1e-5);
        for (const [i, each] of expected.gradients.entries())
          expect(difference(received.gradients[i]!, each)).toBeLessThan(1e-4);
      });
    });

  it('names the row of a NaN', () => {
    scope(() => {
      const values = new Float32Array(4 * 6).fill(1);
      const good = tensor(values.slice(), [4, 6], { device: 'cuda' });
      values[2 * 6] = Number.NaN;
      const bad = tensor(values, [4, 6], { device: 'cuda' });
      expect(() => gaussianBits(bad, good)).toThrow(/y: row 2/);
      expect(() => gaussianBits(good, bad)).toThrow(/scale: row 2/);
    });
  });
});
