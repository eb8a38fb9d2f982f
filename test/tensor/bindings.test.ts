import { expect, describe as group, it } from 'vitest';
import { call, empty, read, readIntegers, tensor } from './native_tensors.js';

const integers = (...values: number[]) => Int32Array.from(values);
const filled = (elements: number, value = 0) => tensor(new Float32Array(elements).fill(value));

group('tensor calls', () => {
  it('fill, draw and drop', () => {
    const x = empty(1000);
    call('fillSync', x, 2.5);
    expect(new Set(read(x, 1000))).toEqual(new Set([2.5]));
    call('randomSync', x, 0, -1, 3, 7, 9, 0);
    const uniform = read(x, 1000);
    expect(uniform.every((value) => value >= -1 && value < 3)).toBe(true);
    call('randomSync', x, 0, -1, 3, 7, 9, 500);
    expect(read(x, 500)).toEqual(uniform.slice(500));
    call('fillSync', x, 1);
    const y = empty(1000);
    call('dropoutSync', x, 0.25, 1, 0, 0, y);
    const kept = read(y, 1000).filter((value) => value !== 0);
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / 0.75)]));
    expect(kept.length).toBeGreaterThan(680);
    expect(kept.length).toBeLessThan(820);
  });

  it('elementwise functions and their derivatives', () => {
    const x = tensor([-2, 0, 3]);
    const y = empty(3);
    call('unarySync', 8, 0, 0, x, y);
    expect(read(y, 3)).toEqual([0, 0, 3]);
    const dx = empty(3);
    call('unaryBackwardSync', 5, 0, 0, x, y, tensor([1, 1, 2]), dx);
    expect(read(dx, 3)).toEqual([-4, 0, 12]);
  });

  it('broadcasting, strided copies and conversion', () => {
    const z = empty(6);
    const row = tensor([10, 20, 30]);
    call('binarySync', 0, tensor([1, 2]), row, z, integers(2, 3), integers(1, 0), integers(0, 1));
    expect(read(z, 6)).toEqual([11, 21, 31, 12, 22, 32]);
    const transposed = filled(6, 1);
    call('copyStridedSync', z, 0, integers(1, 3), transposed, 0, integers(2, 1), integers(3, 2), true);
    expect(read(transposed, 6)).toEqual([12, 13, 22, 23, 32, 33]);
    const bytes = tensor(Uint8Array.from([0, 51, 255]));
    const scaled = empty(3);
    call('convertSync', bytes, scaled, 1 / 255);
    expect(read(scaled, 3).map((value) => Math.round(value * 1e6) / 1e6)).toEqual([0, 0.2, 1]);
    const whole = empty(3, 1);
    call('convertSync', tensor([0.5, 1.5, -2.6]), whole, 1);
    expect(readIntegers(whole, 3)).toEqual([0, 2, -3]);
  });

  it('reductions and indexes', () => {
    const x = tensor([1, 2, 3, 4, 5, 7]);
    const y = empty(3);
    call('reduceSync', 0, x, 1, 2, 3, y);
    expect(read(y, 3)).toEqual([5, 7, 10]);
    const out = empty(2, 1);
    call('argmaxSync', x, 2, 3, out);
    expect(readIntegers(out, 2)).toEqual([2, 2]);
    const gathered = empty(4);
    call('gatherRowsSync', x, 3, 2, tensor(integers(2, 0)), 2, gathered);
    expect(read(gathered, 4)).toEqual([5, 7, 1, 2]);
    const scattered = empty(6);
    call('scatterAddRowsSync', gathered, tensor(integers(1, 1)), 2, 2, scattered, 3);
    expect(read(scattered, 6)).toEqual([0, 0, 6, 9, 0, 0]);
    expect(call('sumSquaresSync', x)).toBe(104);
    expect(call('firstNonFiniteSync', x)).toBe(-1);
    expect(call('firstNonFiniteSync', tensor([1, Number.NaN, 3]))).toBe(1);
  });

  it('softmax and the cross-entropies', () => {
    const x = tensor([0, 0, 0, 0]);
    const y = empty(4);
    call('softmaxSync', x, 2, 2, false, y);
    expect(read(y, 4)).toEqual([0.5, 0.5, 0.5, 0.5]);
    const dx = empty(4);
    call('softmaxBackwardSync', y, tensor([1, 0, 0, 2]), 2, 2, false, dx);
    expect(read(dx, 4)).toEqual([0.25, -0.25, -0.5, 0.5]);
    const loss = empty(2);
    call('crossEntropySync', x, tensor(integers(0, 1)), 2, 2, 0, loss, dx);
    expect(read(loss, 2)[0]).toBeCloseTo(Math.LN2, 6);
    expect(read(dx, 4)).toEqual([-0.5, 0.5, 0.5, -0.5]);
    call('bceWithLogitsSync', x, tensor([1, 0, 1, 1]), 2, 2, loss, undefined);
    expect(read(loss, 2)[1]).toBeCloseTo(2 * Math.LN2, 6);
  });

  it('normalisation', () => {
    const x = tensor([1, 10, 3, 30]);
    const [mean, rstd, y] = [empty(2), empty(2), empty(4)];
    const [runningMean, runningVar] = [filled(2), filled(2, 1)];
    const [gamma, beta] = [filled(2, 1), filled(2, 0)];
    const options = [0, 0.1, runningMean, runningVar, mean, rstd, 1, 0];
    call('batchNormSync', x, 2, 2, true, gamma, beta, ...options, y);
    expect(read(y, 4)).toEqual([0, 0, 1, 1]);
    expect(read(mean, 2)).toEqual([2, 20]);
    expect(read(runningVar, 2)[1]).toBeCloseTo(0.9 + 0.1 * 200, 4);
    const [dx, dgamma, dbeta] = [empty(4), empty(2), empty(2)];
    const dy = tensor([1, 1, 1, 1]);
    const rest = [dx, dgamma, dbeta];
    call('batchNormBackwardSync', x, dy, 2, 2, true, gamma, beta, mean, rstd, 1, 0, ...rest);
    expect(read(dbeta, 2)).toEqual([1, 1]);
    call('layerNormSync', x, 2, 2, gamma, beta, 0, mean, rstd, y);
    expect(read(y, 4)).toEqual([-1, 1, -1, 1]);
    call('layerNormBackwardSync', x, dy, 2, 2, gamma, mean, rstd, ...rest);
    expect(read(dbeta, 2)).toEqual([2, 2]);
    const inverse = empty(2);
    call('normalizeSync', tensor([3, 4, 0, 0]), 2, 2, 1e-12, y, inverse);
    expect(read(y, 4).map((value) => Math.round(value * 1e6) / 1e6)).toEqual([0.6, 0.8, 0, 0]);
    call('normalizeBackwardSync', y, inverse, tensor([3, 4, 0, 0]), 2, 2, dx);
    expect(read(dx, 2)[0]).toBeCloseTo(0, 6);
  });

  it('pooling and up-sampling', () => {
    const x = tensor([1, 2, 3, 4]);
    const geometry = integers(1, 2, 2, 1, 2, 2, 2, 2, 0, 0, 1, 1);
    const y = empty(1);
    const dx = empty(4);
    call('poolSync', 0, geometry, x, y);
    expect(read(y, 1)).toEqual([4]);
    call('poolBackwardSync', 0, geometry, x, y, tensor([5]), dx);
    expect(read(dx, 4)).toEqual([0, 0, 0, 5]);
    call('poolSync', 1, geometry, x, y);
    expect(read(y, 1)).toEqual([2.5]);
    const large = empty(16);
    call('upsampleSync', 0, 1, 2, 2, 1, 4, 4, x, large);
    expect(read(large, 8)).toEqual([1, 1, 2, 2, 1, 1, 2, 2]);
    call('upsampleBackwardSync', 1, 1, 2, 2, 1, 4, 4, filled(16, 1), dx);
    expect(read(dx, 4)).toEqual([4, 4, 4, 4]);
  });

  it('optimiser steps', () => {
    const [p, m, v] = [filled(3, 1), filled(3), filled(3)];
    call('adamSync', p, filled(3, 2), m, v, 0.1, 0.9, 0.999, 1e-8, 0, false, 1, 1);
    expect(read(p, 3)[0]).toBeCloseTo(0.9, 5);
    call('sgdSync', p, filled(3, 1), undefined, 0.5, 0, 0, false, 0, true, 1);
    expect(read(p, 3)[0]).toBeCloseTo(0.4, 5);
    call('emaSync', p, filled(3, 1.4), 0.5);
    expect(read(p, 3)[0]).toBeCloseTo(0.9, 5);
  });
});

group('wrong arguments of tensor calls', () => {
  const x = filled(6);
  const wrong: [string, RegExp, () => unknown][] = [
    ['a wrong size', /^y: expected 6 elements, received 5$/, () => call('unarySync', 1, 0, 0, x, filled(5))],
    [
      'an unknown operation',
      /^op: expected a whole number 0 to 25, received 26$/,
      () => call('unarySync', 26, 0, 0, x, x),
    ],
    ['a missing tensor', /^y: expected a tensor, received undefined$/, () => call('unarySync', 1, 0, 0, x)],
    ['an int32 tensor', /^y: expected a Float32Array$/, () => call('unarySync', 1, 0, 0, x, empty(6, 1))],
    ['no number', /^value: expected a number$/, () => call('fillSync', x, 'one')],
    [
      'a bad label',
      /^labels: the label of row 1 is 3, expected 0 to 2$/,
      () => call('crossEntropySync', x, tensor(integers(0, 3)), 2, 3, 0, filled(2), undefined),
    ],
    [
      'a bad index',
      /^index: element 1 is -1, expected 0 to 2$/,
      () => call('gatherRowsSync', x, 3, 2, tensor(integers(2, -1)), 2, filled(4)),
    ],
    [
      'a bad index of scatter',
      /^index: element 0 is 3, expected 0 to 2$/,
      () => call('scatterAddRowsSync', filled(4), tensor(integers(3, 0)), 2, 2, x, 3),
    ],
    [
      'strides beyond',
      /^yStrides: reach from element 0 to 10 of a tensor of 6$/,
      () => call('binarySync', 0, x, x, x, integers(6), integers(1), integers(2)),
    ],
    [
      'too many strides',
      /^xStrides: expected 1 strides, received 2$/,
      () => call('binarySync', 0, x, x, x, integers(6), integers(1, 1), integers(1)),
    ],
    [
      'a negative reach',
      /^xStrides: reach from element -5 to 0 of a tensor of 6$/,
      () => call('copyStridedSync', x, 0, integers(-1), filled(6), 0, integers(1), integers(6), false),
    ],
    [
      'mixed types',
      /^y: expected float32, received uint8$/,
      () => call('copyStridedSync', x, 0, integers(1), empty(6, 2), 0, integers(1), integers(6), false),
    ],
    [
      'a conversion that is not one',
      /^y: uint8 and int32 convert to float32/,
      () => call('convertSync', x, filled(6), 1),
    ],
    [
      'a product that overflows',
      /^sizes: their product is beyond any tensor$/,
      () => call('softmaxSync', x, 2 ** 40, 2 ** 40, false, x),
    ],
    [
      'no rows',
      /^rows: expected a whole number from 1, received 0$/,
      () => call('batchNormSync', filled(0), 0, 2),
    ],
    [
      'no running statistics',
      /^runningMean and runningVar: expected outside training/,
      () => call('batchNormSync', x, 3, 2, false, filled(2), filled(2), 1e-5, 0.1, undefined, undefined),
    ],
    [
      'a pooling output',
      /^geometry, width: expected an output of 1, received 2$/,
      () => call('poolSync', 0, integers(1, 2, 3, 1, 2, 2, 2, 2, 0, 0, 1, 2), x, x),
    ],
    [
      'a padding',
      /^geometry, height: .*padding 2$/,
      () => call('poolSync', 0, integers(1, 2, 3, 1, 2, 2, 2, 2, 2, 0, 1, 2), x, x),
    ],
    [
      'smoothing',
      /^smoothing: expected a number from 0 to below 1/,
      () => call('crossEntropySync', x, tensor(integers(0, 0)), 2, 3, 1, filled(2), undefined),
    ],
    [
      'a step of 0',
      /^step: expected a whole number from 1, received 0$/,
      () => call('adamSync', x, x, x, x, 0.1, 0.9, 0.999, 1e-8, 0, false, 0, 1),
    ],
  ];
  for (const [what, message, run] of wrong)
    it(`names ${what}`, () => {
      expect(run).toThrow(
        expect.objectContaining({ code: 'BINCE_INVALID_ARGUMENT', message: expect.stringMatching(message) }),
      );
    });

  it('names a tensor that was disposed of', () => {
    const gone = filled(6);
    call('storageRelease', gone);
    expect(() => call('unarySync', 1, 0, 0, gone, x)).toThrow(/^x: this tensor was disposed of$/);
  });
});
