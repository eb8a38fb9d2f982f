import { describe, expect, it } from 'vitest';
import { DistortionGradients } from '../../lib/fit/distortion.js';
import { fitBottleneck, fitEcsq, vectorsInMemory } from '../../lib/fit/index.js';
import { modelCost } from '../../lib/fit/model_cost.js';
import { normalRows } from '../data/files.js';

const kChannels = 6;
const source = vectorsInMemory(
  normalRows(3000 * kChannels, 11).map((x, i) => 3 + x * 2 ** -(i % kChannels)),
  kChannels,
);

describe('fitBottleneck', () => {
  it('comes close to plain quantisation at the same rate on Gaussian channels', async () => {
    const trained = await fitBottleneck(source, { bits: 15, distortion: 'mse', steps: 500, batch: 500 });
    expect(Math.abs(trained.report.bitsPerRow / 15 - 1)).toBeLessThan(0.1);
    const plain = await fitEcsq(source, { bits: trained.report.bitsPerRow });
    expect(trained.report.signalToNoise).toBeGreaterThan(plain.report.signalToNoise - 1);
  });

  it('is at least about as good as the plain quantisation it begins with, on rows it has not seen', async () => {
    const unseen = { values: normalRows(3000 * kChannels, 12).map((x, i) => 3 + x * 2 ** -(i % kChannels)) };
    const sample = { ...unseen, rows: 3000, channels: kChannels };
    const plain = await fitEcsq(source, { bits: 6 });
    const trained = await fitBottleneck(source, { bits: 6, steps: 300 });
    const slope = trained.report.beta * Math.LN2;
    const costs = await Promise.all([plain, trained].map(({ model }) => modelCost(sample, model)));
    const [before, after] = costs.map(({ bits, squaredError }) => bits + squaredError / slope);
    expect(after).toBeLessThan(1.01 * before!);
  });

  it.each([1e30, 1e-30])('learns at the scale of %f', async (scale) => {
    const rows = normalRows(3000, 14).map((x) => x * scale);
    const { report } = await fitBottleneck(vectorsInMemory(rows, 3), { bits: 9, steps: 100 });
    expect(report.signalToNoise).toBeGreaterThan(15);
  });

  it('keeps the network, and reports progress', async () => {
    const seen: number[] = [];
    const { model } = await fitBottleneck(source, {
      beta: 0.1,
      steps: 25,
      onProgress: ({ step }) => seen.push(step),
    });
    expect(seen.length).toBe(25);
    expect(model.network?.['parameters']?.shape).toEqual([58, kChannels]);
    expect(model).toMatchObject({ method: 'bottleneck', channels: kChannels });
  });

  it('is the same for the same seed, another for another', async () => {
    const train = async (seed: number) => (await fitBottleneck(source, { beta: 0.1, steps: 20, seed })).model;
    const [a, b, c] = [await train(5), await train(5), await train(6)];
    expect(a.tables).toEqual(b.tables);
    expect(a.step).toEqual(b.step);
    expect(a.step).not.toEqual(c.step);
  });

  it('stops when aborted, with the event loop alive meanwhile', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 100);
    const run = fitBottleneck(source, { beta: 0.1, steps: 1_000_000, signal: controller.signal });
    await expect(run).rejects.toThrow('enough');
  });

  it('takes one row', async () => {
    const { model } = await fitBottleneck(vectorsInMemory(Float32Array.of(1, 2), 2), { bits: 4, steps: 10 });
    expect(model.channels).toBe(2);
  });

  it.each([
    [{ beta: 1, bits: 1 }, /received both/],
    [{ beta: 0 }, /beta: expected a positive number/],
    [{ steps: 0 }, /steps: expected a positive integer/],
    [{ seed: -1 }, /seed/],
    [{ lr: Number.NaN }, /lr/],
  ])('refuses %j', async (options, expected) => {
    await expect(fitBottleneck(source, options)).rejects.toThrow(expected);
  });
});

describe('DistortionGradients', () => {
  const channels = 3;
  const rows = normalRows(200 * channels, 12);
  const logGain = Float32Array.of(0.3, -0.4, 1.1);
  const shift = Float32Array.of(0.1, -0.2, 0.05);

  function distortion(kind: 'l1' | 'mse', gains: ArrayLike<number>, shifts: ArrayLike<number>): number {
    let sum = 0;
    rows.forEach((x, i) => {
      const gain = Math.exp(gains[i % channels]!);
      const offset = shifts[i % channels]!;
      const symbol = (x - offset) * gain + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
      const error = symbol / gain + offset - x;
      sum += kind === 'mse' ? error * error : Math.abs(error);
    });
    return (sum * channels) / rows.length;
  }

  it.each(['l1', 'mse'] as const)('of %s agree with finite differences', (kind) => {
    const gradients = new DistortionGradients(channels, kind);
    gradients.compute(rows, logGain, shift);
    const dlogGain = new Float32Array(channels);
    const dshift = new Float32Array(channels);
    gradients.addTo(dlogGain, dshift, 1);
    const h = 1e-5;
    for (let c = 0; c < channels; c++) {
      const moved = (array: Float32Array, by: number) =>
        Float64Array.from(array, (v, i) => (i === c ? v + by : v));
      const byGain =
        (distortion(kind, moved(logGain, h), shift) - distortion(kind, moved(logGain, -h), shift)) / (2 * h);
      const byShift =
        (distortion(kind, logGain, moved(shift, h)) - distortion(kind, logGain, moved(shift, -h))) / (2 * h);
      expect(dlogGain[c]).toBeCloseTo(byGain, 3);
      expect(dshift[c]).toBeCloseTo(byShift, 3);
    }
  });
});
