import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitEcsq, vectorsInMemory } from '../../lib/fit/index.js';
import { modelCost } from '../../lib/fit/model_cost.js';
import { quantizeColumn } from '../../lib/fit/quantizer.js';
import { codeLength, kMaxEntries, smoothedPmf } from '../../lib/fit/smoothing.js';
import { sampleRows } from '../../lib/fit/vector_source.js';
import { normalRows } from '../data/files.js';

/** Rows whose channel c has the deviation 2^-c. */
function decayingRows(rows: number, channels: number, seed: number): Float32Array {
  return normalRows(rows * channels, seed).map((x, i) => x * 2 ** -(i % channels));
}

describe('fitEcsq', () => {
  it.each([2, 12, 60])('comes within 1 %% of %i bits a row', async (bits) => {
    const source = vectorsInMemory(decayingRows(4000, 8, 1), 8);
    const { report } = await fitEcsq(source, { bits });
    expect(Math.abs(report.bitsPerRow / bits - 1)).toBeLessThan(0.01);
  });

  it('is within 1.9 dB of the Gaussian rate-distortion bound at high rate', async () => {
    const channels = 8;
    const { report } = await fitEcsq(vectorsInMemory(decayingRows(8000, channels, 2), channels), {
      bits: 40,
    });
    // Every channel gets bits: the bound is the geometric mean of the variances, times 2^(-2 R / C).
    const bound = 2 ** -(channels - 1) * 2 ** ((-2 * report.bitsPerRow) / channels);
    const excess = 10 * Math.log10(report.meanSquaredError / bound);
    expect(excess).toBeGreaterThan(1.2); // uniform quantisation loses 1.53 dB
    expect(excess).toBeLessThan(1.9);
  });

  it('gives channels steps of their own where that pays, on rows it has not seen', async () => {
    // Half of the channels are mostly 0 and sometimes about 1: coarse levels at 0 and 1 serve them best.
    const draw = (seed: number) => {
      const noise = normalRows(8000 * 8, seed);
      const spikes = normalRows(8000 * 8, seed + 100);
      return noise.map((x, i) => (i % 2 ? x : spikes[i]! > 1 ? 1 + 0.1 * x : 0));
    };
    const source = vectorsInMemory(draw(8), 8);
    const unseen = { values: draw(9), rows: 8000, channels: 8 };
    const own = await fitEcsq(source, { bits: 8 });
    expect(own.report.mostStep).toBeGreaterThan(own.report.leastStep);
    const best = await modelCost(unseen, own.model);
    for (let step = 0.25; step < 3; step *= 1.05) {
      const { bits, squaredError } = await modelCost(unseen, (await fitEcsq(source, { step })).model);
      if (bits <= 1.01 * best.bits) expect(squaredError).toBeGreaterThan(0.98 * best.squaredError);
    }
  });

  it('finds the levels of values that were quantised before', async () => {
    const rows = normalRows(6000, 10).map((x, i) => (i % 3 ? Math.round(20 * x) * 0.013 : Math.sign(x)));
    const { report } = await fitEcsq(vectorsInMemory(rows, 3), { bits: 1000 });
    expect(report.meanSquaredError).toBeLessThan(1e-12);
    expect(report.bitsPerRow).toBeLessThan(1 + 2 * Math.log2(20 * Math.sqrt(2 * Math.PI * Math.E)) + 0.5);
  });

  it('keeps fine channels fine beside one of a million times their size', async () => {
    const rows = normalRows(8000, 11).map((x, i) => (i % 4 ? x : 1e6 * x));
    const { report } = await fitEcsq(vectorsInMemory(rows, 4), { bits: 50 });
    expect(Math.abs(report.bitsPerRow / 50 - 1)).toBeLessThan(0.02);
  });

  it.each([1e30, 1e-30])('works the same at the scale of %f', async (scale) => {
    const rows = normalRows(6000, 12);
    const [plain, scaled] = [1, scale].map((by) =>
      vectorsInMemory(
        rows.map((x) => x * by),
        3,
      ),
    );
    const expected = (await fitEcsq(plain!, { bits: 9 })).report.signalToNoise;
    expect((await fitEcsq(scaled!, { bits: 9 })).report.signalToNoise).toBeCloseTo(expected, 0);
  });

  it('says so where float32 cannot hold the step', async () => {
    const rows = normalRows(60, 13).map((x) => x * 1e-42);
    await expect(fitEcsq(vectorsInMemory(rows, 3))).rejects.toThrow(/too little to be quantised/);
  });

  it('reports what its own tables cost', async () => {
    const values = decayingRows(1000, 5, 3);
    const source = vectorsInMemory(values, 5);
    const { model, report } = await fitEcsq(source, { bits: 10 });
    const cost = await modelCost(await sampleRows(source), model);
    expect(Math.abs(cost.bits / report.bitsPerRow - 1)).toBeLessThan(0.01);
    expect(cost.squaredError / 5).toBeCloseTo(report.meanSquaredError, 10);
  });

  it('takes the step it is given', async () => {
    const { model } = await fitEcsq(vectorsInMemory(normalRows(300, 4), 3), { step: 0.1 });
    expect([...model.step]).toEqual(new Array(3).fill(Math.fround(0.1)));
    expect(model.method).toBe('ecsq');
  });

  it('spends nothing on channels that do not vary, and keeps their value', async () => {
    const rows = normalRows(2000, 5).map((x, i) => (i % 2 ? 7.25 : x));
    const { model, report } = await fitEcsq(vectorsInMemory(rows, 2), { bits: 3 });
    expect(model.shift[1]! + 0 * model.step[1]!).toBe(7.25);
    expect(report.bitsPerRow).toBeLessThanOrEqual(3);
  });

  it('reads a sample of what does not fit', async () => {
    const source = vectorsInMemory(normalRows(40_000, 6), 4);
    const { report } = await fitEcsq(source, { bits: 8, sampleBytes: 64_000 });
    expect(report).toMatchObject({ rows: 10_000, rowsUsed: 4000 });
  });

  it.each([
    [{ bits: 1, step: 1 }, /received both/],
    [{ bits: -1 }, /bits: expected a positive number/],
    [{ step: 0 }, /step: expected a positive number/],
    [{ step: Number.NaN }, /step: expected a positive number/],
    [{ step: 1e-25 }, /too small/],
  ])('refuses %j', async (options, expected) => {
    await expect(fitEcsq(vectorsInMemory(normalRows(8, 1), 2), options)).rejects.toThrow(expected);
  });

  it('names the row of a NaN', () => {
    expect(() => vectorsInMemory(Float32Array.of(1, 2, Number.NaN, 4), 2)).toThrow(/row 1, channel 0 is NaN/);
  });
});

describe('smoothedPmf', () => {
  const counts = fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(1000)), {
    minLength: 1,
    maxLength: 200,
  });

  it('is a distribution that holds the mode and costs little more than the entropy', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: -1000, max: 1000 }), (list, first) => {
        const total = list.reduce((a, b) => a + b, 0);
        fc.pre(total > 0);
        const histogram = { first, counts: Int32Array.from(list), total };
        const smoothed = smoothedPmf(histogram);
        const sum = smoothed.pmf.reduce((a, b) => a + b, 0);
        expect(sum).toBeGreaterThan(0.98);
        expect(sum).toBeLessThan(1.001);
        expect(smoothed.pmf.length).toBeLessThanOrEqual(kMaxEntries + 1);
        const mode = first + list.indexOf(Math.max(...list)) - smoothed.offset;
        expect(smoothed.pmf[mode]).toBeGreaterThan(0);
        const entropy = list.reduce((a, n) => a - (n ? n * Math.log2(n / total) : 0), 0);
        expect(codeLength(histogram, smoothed)).toBeGreaterThan(0.99 * entropy - 1);
      }),
    );
  });

  it('leaves a far outlier to the escape', () => {
    const values = new Int32Array(100_001);
    values[0] = 10_000;
    values[100_000] = 1;
    const { pmf } = smoothedPmf({ first: 0, counts: values, total: 10_001 });
    expect(pmf.length).toBeLessThan(20);
  });
});

describe('quantizeColumn', () => {
  it('rounds halves to even and counts', () => {
    const symbols = new Float64Array(6);
    const values = Float32Array.of(0.5, 1.5, 2.5, -0.5, -1.5, 1);
    const { histogram, reach } = quantizeColumn(values, symbols, { step: 1, shift: 0 });
    expect([...symbols].map((s) => s + 0)).toEqual([0, 2, 2, 0, -2, 1]);
    expect(histogram).toMatchObject({ first: -2, total: 6 });
    expect([...histogram.counts]).toEqual([1, 0, 2, 1, 2]);
    expect(reach).toBe(2);
  });
});
