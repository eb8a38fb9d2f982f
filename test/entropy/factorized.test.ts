import { describe, expect, it } from 'vitest';
import {
  BinceError,
  factorizedBackward,
  factorizedBackwardSync,
  factorizedForward,
  factorizedForwardSync,
  factorizedLayers,
  factorizedLogits,
  initFactorizedParameters,
  packFactorizedParameters,
  parameterCount,
  quantileLoss,
  solveQuantiles,
  solveQuantilesSync,
  uniformNoise,
  unpackFactorizedParameters,
} from '../../lib/kernels/index.js';
import { array, floats, goldenCases, layerArrays } from './golden.js';

/** Largest |a - b| over the scale of b's largest entry. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let worst = 0;
  let scale = 1e-30;
  for (let i = 0; i < b.length; i++) {
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return worst / scale;
}

const cases = goldenCases('factorized_model').map(({ name, inputs, expected }) => {
  const [rows, channels] = array(inputs['x']).shape as [number, number];
  const x = array(inputs['x']).data;
  const noise = array(inputs['noise']).data;
  return {
    name,
    rows,
    channels,
    values: Float32Array.from(x, (value, i) => value + noise[i]!),
    parameters: packFactorizedParameters(channels, layerArrays(inputs)),
    quantiles: floats(inputs['quantiles']),
    expected,
  };
});

describe.each(cases)('golden $name', ({ channels, rows, values, parameters, quantiles, expected }) => {
  it('gives the likelihood and the bits', async () => {
    const result = await factorizedForward(values, {
      channels,
      parameters,
      likelihood: true,
      bitsPerRow: true,
    });
    expect(distance(result.likelihood!, array(expected['likelihood']).data)).toBeLessThan(2e-6);
    expect(result.bits).toBeCloseTo(expected['bits'] as number, 3);
    expect(result.bitsPerRow!.reduce((a, b) => a + b, 0)).toBeCloseTo(result.bits, 3);
    expect(result.bitsPerRow).toHaveLength(rows);
  });

  it('gives the gradients', () => {
    const { dx, dparameters, bits } = factorizedBackwardSync(values, { channels, parameters });
    expect(bits).toBeCloseTo(expected['bits'] as number, 3);
    expect(distance(dx!, array(expected['dx']).data)).toBeLessThan(1e-5);
    const wanted = packFactorizedParameters(channels, layerArrays(expected, 'd'));
    expect(distance(dparameters!, wanted)).toBeLessThan(1e-5);
  });

  it('gives the auxiliary loss and its gradient', () => {
    const { loss, dquantiles } = quantileLoss(quantiles, { channels, parameters });
    expect(loss).toBeCloseTo(expected['aux_loss'] as number, 4);
    expect(distance(dquantiles, array(expected['dquantiles']).data)).toBeLessThan(1e-6);
  });

  it('solves quantiles with no auxiliary loss left', async () => {
    const solved = await solveQuantiles({ channels, parameters });
    expect(solved.unsolved).toEqual([]);
    expect(quantileLoss(solved.quantiles, { channels, parameters }).loss).toBeLessThan(1e-4 * channels);
    expect(solveQuantilesSync({ channels, parameters })).toEqual(solved);
    const logits = factorizedLogits(solved.quantiles, { channels, parameters });
    expect(logits[2]).toBeCloseTo(Math.log(2e9 - 1), 4);
  });
});

describe('scale, shift and quantisation', () => {
  const { channels, parameters } = cases[2]!;
  const x = Float32Array.from({ length: channels * 10 }, (_, i) => 3 * Math.sin(i * 1.7));
  const logGain = Float32Array.from({ length: channels }, (_, c) => 0.1 * c - 0.3);
  const shift = Float32Array.from({ length: channels }, (_, c) => 0.2 * c - 0.5);

  it('adds the same noise in every call, and the noise that uniformNoise tells', () => {
    const options = { channels, parameters, quantize: 'noise', seed: 7n, firstRow: 3, values: true } as const;
    const forward = factorizedForwardSync(x, options);
    const backward = factorizedBackwardSync(x, options);
    expect(backward.values).toEqual(forward.values);
    expect(backward.bits).toBe(forward.bits);
    const noise = uniformNoise(10, channels, { seed: 7, firstRow: 3 });
    expect(forward.values).toEqual(x.map((value, i) => value + noise[i]!));
    const later = uniformNoise(6, channels, { seed: 7, firstRow: 7 });
    expect(later).toEqual(noise.slice(4 * channels));
  });

  it('rounds half to even about the median', () => {
    const medians = new Float32Array(channels).fill(0.25);
    const ties = new Float32Array(channels).map((_, c) => 0.25 + c - 3.5);
    const { values } = factorizedForwardSync(ties, {
      channels,
      parameters,
      medians,
      quantize: 'round',
      values: true,
    });
    expect([...values!].map((value) => value - 0.25)).toEqual([-4, -2, -2, -0, 0, 2, 2, 4].map((v) => v + 0));
  });

  it('has the gradients of log-gain and shift that finite differences have', () => {
    const options = { channels, parameters, quantize: 'noise', seed: 1 } as const;
    const result = factorizedBackwardSync(x, { ...options, logGain, shift });
    const step = 1e-2;
    for (const [name, gradient] of [
      ['logGain', result.dlogGain!],
      ['shift', result.dshift!],
    ] as const) {
      for (let c = 0; c < channels; c++) {
        const bits = [step, -step].map((delta) => {
          const moved = { logGain: logGain.slice(), shift: shift.slice() };
          moved[name][c]! += delta;
          return factorizedForwardSync(x, { ...options, ...moved }).bits;
        }) as [number, number];
        expect(gradient[c]).toBeCloseTo((bits[0] - bits[1]) / (2 * step), 1);
      }
    }
  });

  it('lays out [N][C][inner] as [N * inner][C]', () => {
    const inner = 5;
    const rows = x.length / channels / inner;
    const wide = new Float32Array(x.length);
    for (let n = 0; n < rows; n++)
      for (let c = 0; c < channels; c++)
        for (let i = 0; i < inner; i++)
          wide[(n * channels + c) * inner + i] = x[(n * inner + i) * channels + c]!;
    const flat = factorizedBackwardSync(x, { channels, parameters, logGain, shift });
    const image = factorizedBackwardSync(wide, {
      channels,
      parameters,
      logGain,
      shift,
      inner,
      bitsPerRow: true,
    });
    expect(image.bits).toBeCloseTo(flat.bits, 4);
    expect(image.bitsPerRow).toHaveLength(rows);
    expect(distance(image.dparameters!, flat.dparameters!)).toBeLessThan(1e-6);
    expect(image.dx![channels > 1 ? inner : 0]).toBeCloseTo(flat.dx![1]!, 5);
  });
});

describe('parameters', () => {
  it('pack and unpack CompressAI arrays', () => {
    const { channels, parameters } = cases[1]!;
    const arrays = unpackFactorizedParameters(channels, parameters);
    expect(packFactorizedParameters(channels, arrays)).toEqual(parameters);
    expect(() => packFactorizedParameters(channels, { ...arrays, factors: [] })).toThrow(/5 matrices/);
  });

  it('start with a density about initScale wide', () => {
    expect(parameterCount()).toBe(58);
    expect(parameterCount([2, 4])).toBe(2 + 2 + 2 + 8 + 4 + 4 + 4 + 1);
    expect(factorizedLayers().map((layer) => layer.matrix)).toEqual([0, 9, 24, 39, 54]);
    const parameters = initFactorizedParameters(4, { seed: 3 });
    const { quantiles } = solveQuantilesSync({ channels: 4, parameters, tailMass: 0.1 });
    for (let c = 0; c < 4; c++) {
      const width = quantiles[c * 3 + 2]! - quantiles[c * 3]!;
      expect(width).toBeGreaterThan(10);
      expect(width).toBeLessThan(100);
    }
    expect(initFactorizedParameters(4, { seed: 3 })).toEqual(parameters);
    expect(initFactorizedParameters(4, { seed: 4 })).not.toEqual(parameters);
  });

  it('report channels whose quantiles cannot be bracketed', () => {
    const parameters = initFactorizedParameters(3);
    for (let p = 0; p < 58; p++) if (p < 3) parameters[p * 3 + 1] = -100; // channel 1: F is flat
    expect(solveQuantilesSync({ channels: 3, parameters }).unsolved).toEqual([1]);
  });
});

describe('bad input', () => {
  const channels = 3;
  const parameters = initFactorizedParameters(channels);

  it('names the row of a NaN or an infinity', async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const x = new Float32Array(channels * 9);
      x[channels * 4 + 2] = value;
      await expect(factorizedForward(x, { channels, parameters })).rejects.toThrow(/row 4, element 2/);
      expect(() => factorizedBackwardSync(x, { channels, parameters })).toThrow(/row 4/);
    }
    const broken = parameters.slice();
    broken[channels * 7 + 1] = Number.NaN;
    expect(() => factorizedForwardSync(new Float32Array(3), { channels, parameters: broken })).toThrow(
      /parameter 7, channel 1/,
    );
    const logGain = Float32Array.of(0, 80, 0);
    const x = new Float32Array(6).fill(1e9);
    expect(() => factorizedForwardSync(x, { channels, parameters, logGain })).toThrow(
      /overflows after scale/,
    );
  });

  it('names what it expected', () => {
    const call = (x: unknown, options: object) => () =>
      factorizedForwardSync(x as Float32Array, { channels, parameters, ...options });
    expect(call(new Float64Array(3), {})).toThrow(/x: expected a Float32Array, received Float64Array/);
    expect(call(new Float32Array(4), {})).toThrow(/x: expected a multiple of 3 elements/);
    expect(call(new Float32Array(3), { channels: 0 })).toThrow(/channels: expected a whole number/);
    expect(call(new Float32Array(3), { parameters: new Float32Array(4) })).toThrow(/Float32Array\(174\)/);
    expect(call(new Float32Array(3), { quantize: 'rund' })).toThrow(/quantize/);
    expect(call(new Float32Array(3), { seed: -1 })).toThrow(/seed/);
    expect(call(new Float32Array(3), { filters: [17] })).toThrow(/filters/);
    expect(call(new Float32Array(3), { likelihoodFloor: 0 })).toThrow(BinceError);
    expect(call(new Float32Array(3), { values: new Float32Array(2) })).toThrow(
      /values: expected Float32Array\(3\)/,
    );
  });

  it('takes no rows as zero bits', async () => {
    const result = await factorizedBackward(new Float32Array(0), { channels, parameters, bitsPerRow: true });
    expect(result.bits).toBe(0);
    expect(result.dparameters).toEqual(new Float32Array(58 * channels));
    expect(result.bitsPerRow).toHaveLength(0);
  });

  it('stops at an abort', async () => {
    const controller = new AbortController();
    const x = new Float32Array(channels * 300_000);
    const running = factorizedBackward(x, { channels, parameters, signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
  });
});
