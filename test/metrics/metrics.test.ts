import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uniformNoise } from '../../lib/kernels/index.js';
import {
  continuousRateInvariance,
  differentialEntropy,
  discreteRateInvariance,
  labelEntropy,
  sharedCodes,
  trainProbe,
} from '../../lib/metrics/index.js';
import { normalRows } from '../data/files.js';

const ints = (...values: number[]) => Int32Array.from(values);

describe('sharedCodes', () => {
  it('counts codes, shares and majorities by hand', () => {
    // Codes (1,2) of labels 0 0 1, (1,3) of 2, (-1,2) of 1 1.
    const codes = ints(1, 2, 1, 2, 1, 2, 1, 3, -1, 2, -1, 2);
    const labels = ints(0, 0, 1, 2, 1, 1);
    expect(sharedCodes(codes, labels)).toEqual({
      ...{ examples: 6, codes: 3, excessBayesRisk: 3 / 6, majorityError: 1 / 6 },
    });
  });

  it('takes a code as its whole row', () => {
    expect(sharedCodes(ints(1, 0, 0, 1), ints(0, 1)).codes).toBe(2);
    expect(sharedCodes(ints(256, 1), ints(0, 1)).codes).toBe(2);
  });

  it('does not depend on the order of examples', () => {
    const pairs = fc.array(fc.tuple(fc.integer({ min: -2, max: 2 }), fc.nat(2)), { minLength: 1 });
    fc.assert(
      fc.property(pairs, (given) => {
        const of = (list: typeof given) =>
          sharedCodes(ints(...list.map(([code]) => code)), ints(...list.map(([, label]) => label)));
        const counted = of(given);
        expect(of([...given].reverse())).toEqual(counted);
        expect(counted.majorityError).toBeLessThanOrEqual(counted.excessBayesRisk);
      }),
    );
  });

  it('refuses what makes no rows', () => {
    expect(() => sharedCodes(ints(1, 2, 3), ints(0, 1))).toThrow(/codes: expected a positive multiple of 2/);
    expect(() => sharedCodes(ints(), ints())).toThrow(/labels: expected at least one/);
  });
});

describe('entropies', () => {
  it('labels', () => {
    expect(labelEntropy(ints(0, 1, 2, 3))).toBeCloseTo(2, 12);
    expect(labelEntropy(ints(7, 7))).toBeCloseTo(0, 12);
    expect(labelEntropy(ints(0, 0, 0, 1))).toBeCloseTo(0.811278, 5);
  });

  it('a Gaussian within 1%', () => {
    const samples = Float64Array.from(normalRows(2 ** 18, 5), (x) => 3 * x + 1);
    const exact = 0.5 * Math.log2(2 * Math.PI * Math.E * 9);
    expect(Math.abs(differentialEntropy(samples) / exact - 1)).toBeLessThan(0.01);
  });

  it('a uniform variable, also one below 0 bits', () => {
    for (const width of [8, 0.25]) {
      const samples = Float64Array.from(uniformNoise(2 ** 16, 1, { seed: 2 }), (u) => width * u);
      expect(Math.abs(differentialEntropy(samples) - Math.log2(width))).toBeLessThan(0.02);
    }
  });

  it('need samples that differ', () => {
    expect(() => differentialEntropy(new Float64Array(99))).toThrow(/at least 100/);
    expect(() => differentialEntropy(new Float64Array(100))).toThrow(/values that differ/);
    expect(() => labelEntropy(ints())).toThrow(/at least one/);
  });
});

describe('rate and invariance', () => {
  it('stands above the bound of a discrete M', () => {
    expect(discreteRateInvariance(3, 10, 0.5)).toMatchObject({ bound: 2.5, bitsAbove: 7.5 });
    expect(discreteRateInvariance(1, 4, 2).bound).toBe(0);
  });

  it("stands above Shannon's lower bound of a continuous M", () => {
    // For a Gaussian the bound is the rate-distortion function, log2(sigma / sqrt(D)).
    const entropy = 0.5 * Math.log2(2 * Math.PI * Math.E * 4);
    expect(continuousRateInvariance(entropy, 5, 1 / 16).bound).toBeCloseTo(3, 10);
    expect(() => continuousRateInvariance(2, 5, 0)).toThrow(/squaredError: expected a positive number/);
  });
});

describe('trainProbe', () => {
  /** Points about three corners, or with `ring` two rings, which no line separates. */
  function points(count: number, seed: number, ring = false) {
    const noise = normalRows(2 * count, seed);
    const angles = uniformNoise(count, 1, { seed });
    const labels = Int32Array.from({ length: count }, (_, i) => i % (ring ? 2 : 3));
    const features = noise.map((x, i) => {
      const label = labels[i >> 1]!;
      const angle = ring ? 2 * Math.PI * angles[i >> 1]! : (2 * Math.PI * label) / 3;
      const radius = ring ? 1 + 3 * label : 5;
      return radius * (i % 2 ? Math.sin(angle) : Math.cos(angle)) + 0.3 * x;
    });
    return { features, labels };
  }

  it('separates what a line separates', async () => {
    const probe = await trainProbe(points(1500, 1), { classes: 3, epochs: 5, batch: 64 });
    expect(probe.accuracy(points(500, 2))).toBeGreaterThan(0.99);
    expect(probe.predict(Float32Array.of(5, 0))).toEqual(ints(0));
    probe.dispose();
  });

  it('needs a hidden layer for rings', async () => {
    const [train, test] = [points(2000, 3, true), points(500, 4, true)];
    const line = await trainProbe(train, { classes: 2, epochs: 5, batch: 64 });
    const mlp = await trainProbe(train, { classes: 2, epochs: 20, batch: 64, hidden: 32, lr: 0.01 });
    expect(line.accuracy(test)).toBeLessThan(0.7);
    expect(mlp.accuracy(test)).toBeGreaterThan(0.97);
    for (const probe of [line, mlp]) probe.dispose();
  });

  it('does not mind a constant column, nor the scale of others', async () => {
    const widen = ({ features, labels }: ReturnType<typeof points>) => ({
      features: Float32Array.from({ length: labels.length * 3 }, (_, i) =>
        i % 3 === 2 ? 7 : 1e6 * features[2 * Math.floor(i / 3) + (i % 3)]!,
      ),
      labels,
    });
    const probe = await trainProbe(widen(points(1500, 1)), { classes: 3, epochs: 5, batch: 64 });
    expect(probe.accuracy(widen(points(500, 2)))).toBeGreaterThan(0.99);
    probe.dispose();
  });

  it('gives the same for the same seed', async () => {
    const train = points(300, 1);
    const first = await trainProbe(train, { classes: 3, epochs: 1, seed: 4 });
    const again = await trainProbe(train, { classes: 3, epochs: 1, seed: 4 });
    expect(first.predict(train.features)).toEqual(again.predict(train.features));
    for (const probe of [first, again]) probe.dispose();
  });

  it('stops where it is told to', async () => {
    const options = { classes: 3, epochs: 1000, batch: 8, signal: AbortSignal.abort(new Error('enough')) };
    await expect(trainProbe(points(800, 1), options)).rejects.toThrow('enough');
  });

  it.each([
    [{ features: new Float32Array(5), labels: ints(0, 1) }, 2, /features: expected a positive multiple of 2/],
    [{ features: new Float32Array(4), labels: ints(0, 2) }, 2, /labels\[1\]: expected a class from 0 to 1/],
    [{ features: new Float32Array(4), labels: ints(0, -1) }, 2, /labels\[1\]/],
    [{ features: new Float32Array(4), labels: ints() }, 2, /labels: expected at least one/],
    [{ features: new Float32Array(2), labels: ints(0, 0) }, 1, /classes: expected an integer above 1/],
  ])('refuses %o', async (train, classes, expected) => {
    await expect(trainProbe(train, { classes })).rejects.toThrow(expected);
  });

  it('refuses to be asked about other widths', async () => {
    const probe = await trainProbe(points(300, 1), { classes: 3, epochs: 1 });
    expect(() => probe.predict(new Float32Array(3))).toThrow(/features: expected a multiple of 2/);
    expect(() => probe.accuracy({ features: new Float32Array(4), labels: ints(0) })).toThrow(/2 labels/);
    probe.dispose();
  });
});
