import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Augmentation,
  augment,
  augmentations,
  augmentedShape,
  augmentSync,
  plainSteps,
} from '../../lib/data/index.js';
import { BinceError } from '../../lib/errors.js';

/** Bytes from a small generator, the same for the same seed. */
function bytes(count: number, seed = 1): Uint8Array {
  let state = seed >>> 0;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

const unit = (images: Uint8Array) => Float32Array.from(images, (byte) => byte / 255);

function message(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(BinceError);
    return `${(error as BinceError).code} ${(error as BinceError).message}`;
  }
  throw new Error('nothing was thrown');
}

describe('augment', () => {
  it('turns bytes into numbers from 0 to 1 where there is nothing to do', () => {
    const images = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(augmentSync(images, { shape: [1, 16, 16, 1], steps: [] })).toEqual(unit(images));
  });

  it('gives the same on the native thread', async () => {
    const images = bytes(20 * 12 * 10 * 3);
    const options = { shape: [20, 12, 10, 3], steps: augmentations.simclr, seed: 5, epoch: 1 } as const;
    expect(await augment(images, options)).toEqual(augmentSync(images, options));
    expect(await augment(unit(images), options)).toEqual(augmentSync(images, options));
  });

  it('does not depend on how a batch is cut or ordered', () => {
    const images = bytes(30 * 28 * 28);
    const options = { shape: [30, 28, 28, 1], steps: augmentations.mnist, seed: 2n ** 63n } as const;
    const all = augmentSync(images, options);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 29 }), { minLength: 1, maxLength: 9 }), (list) => {
        const some = augmentSync(images, { ...options, indexes: Int32Array.from(list) });
        for (const [n, index] of list.entries())
          expect(some.subarray(n * 784, (n + 1) * 784)).toEqual(all.subarray(index * 784, (index + 1) * 784));
      }),
      { numRuns: 20 },
    );
  });

  it('draws anew for every seed, epoch and view, and by key', () => {
    const images = bytes(784);
    const shape = [1, 28, 28, 1] as const;
    const made = [{}, { seed: 1 }, { epoch: 1 }, { view: 1 }, { keys: Int32Array.of(1) }].map((options) =>
      augmentSync(images, { shape, steps: augmentations.mnist, ...options }).join(),
    );
    expect(new Set(made).size).toBe(5);
  });

  it('shares the flip of AMDIM between views and draws the rest for each', () => {
    const images = bytes(40 * 8 * 8);
    const flipped = (view: number) =>
      augmentSync(images, { shape: [40, 8, 8, 1], steps: [augmentations.amdim[0]], view });
    expect(flipped(0)).toEqual(flipped(1));
    expect(flipped(0)).not.toEqual(unit(images));
    const whole = (view: number) =>
      augmentSync(images, { shape: [40, 8, 8, 1], steps: augmentations.amdim, view });
    expect(whole(0)).not.toEqual(whole(1));
  });

  it('keeps the digits of augmented MNIST in the picture', () => {
    // A block in the middle stays mostly inside for translations of a quarter and scales to 1.4.
    const images = new Uint8Array(200 * 784);
    for (let n = 0; n < 200; n++)
      for (let y = 9; y < 19; y++) images.fill(255, n * 784 + y * 28 + 9, n * 784 + y * 28 + 19);
    const out = augmentSync(images, { shape: [200, 28, 28, 1], steps: augmentations.mnist });
    const mass = Array.from({ length: 200 }, (_, n) =>
      out.subarray(n * 784, (n + 1) * 784).reduce((sum, x) => sum + x, 0),
    );
    expect(Math.min(...mass)).toBeGreaterThan(100 * 0.36 * 0.6);
    expect(Math.max(...mass)).toBeLessThan(100 * 1.96 * 1.02);
    const mean = mass.reduce((sum, x) => sum + x, 0) / 200;
    expect(Math.abs(mean - 100 * 1.053)).toBeLessThan(12); // E scale^2 = 1.053, less what leaves the picture
  });

  it('sizes the results', () => {
    const steps: Augmentation = [
      { pad: { pixels: [2, 3] } },
      { crop: { size: 16 } },
      { resize: { size: [5, 7] } },
      { normalise: { mean: 0.5, std: [0.1, 0.2, 0.3] } },
    ];
    expect(augmentedShape([9, 10, 11, 3], steps)).toEqual([9, 5, 7, 3]);
    const out = augmentSync(new Uint8Array(2 * 10 * 11 * 3), { shape: [2, 10, 11, 3], steps });
    expect(out.length).toBe(2 * 5 * 7 * 3);
    for (const [c, std] of [0.1, 0.2, 0.3].entries()) expect(out[c]).toBeCloseTo(-0.5 / std, 5);
    expect(plainSteps(steps)).toEqual([steps[0], { resize: { size: 16 } }, steps[2]]);
    expect(plainSteps(steps, { normalise: true })).toHaveLength(4);
  });

  it('brings a digit to the same place and size wherever it was', () => {
    // A slanted ellipse, smooth enough to be resampled well, in several places and sizes.
    const poses = [
      [13.5, 13.5, 1],
      [9, 18, 1],
      [17, 11, 1.3],
      [14, 12, 0.8],
    ] as const;
    const images = new Float32Array(poses.length * 784);
    for (const [n, [x, y, scale]] of poses.entries())
      for (let i = 0; i < 784; i++) {
        const dx = ((i % 28) - x) / scale;
        const dy = (Math.floor(i / 28) - y) / scale;
        images[n * 784 + i] = Math.exp(-((dx + dy) ** 2) / 36 - (dx - dy) ** 2 / 16);
      }
    const shape = [poses.length, 28, 28, 1] as const;
    const out = augmentSync(images, { shape, steps: [{ moments: {} }] });
    expect(out).toEqual(
      augmentSync(images, { shape, steps: [{ moments: { radius: 0.4, anisotropy: [0.7, 0.7] } }] }),
    );
    const difference = (a: Float32Array, n: number) =>
      Math.max(...a.subarray(0, 784).map((value, i) => Math.abs(value - a[n * 784 + i]!)));
    for (let n = 1; n < poses.length; n++) {
      expect(difference(images, n)).toBeGreaterThan(0.2);
      expect(difference(out, n)).toBeLessThan(0.06); // interpolation blurs a small one more
    }
  });

  it('draws displacements and anisotropy by key, and keeps the pose where asked for', () => {
    const images = bytes(6 * 784);
    const { mnistViews } = augmentations;
    const options = { shape: [6, 28, 28, 1], steps: mnistViews } as const;
    const all = augmentSync(images, options);
    const keys = Int32Array.of(4, 1);
    const some = augmentSync(images, { ...options, indexes: keys });
    expect(some.subarray(0, 784)).toEqual(all.subarray(4 * 784, 5 * 784));
    for (const step of mnistViews.slice(1))
      expect(augmentSync(images, { ...options, steps: [step], view: 1 })).not.toEqual(
        augmentSync(images, { ...options, steps: [step] }),
      );
    expect(plainSteps(mnistViews)).toEqual([]);
    expect(plainSteps(mnistViews, { pose: true })).toEqual([{ moments: { anisotropy: 0.7 } }]);
    expect(plainSteps([{ moments: { radius: 0.5, p: 0.5 } }], { pose: true })).toEqual([
      { moments: { radius: 0.5 } },
    ]);
  });

  it('survives JSON', () => {
    const images = bytes(3 * 64);
    for (const steps of Object.values(augmentations)) {
      const again = JSON.parse(JSON.stringify(steps)) as Augmentation;
      const options = { shape: [3, 8, 8, 1] } as const;
      expect(augmentSync(images, { ...options, steps: again })).toEqual(
        augmentSync(images, { ...options, steps }),
      );
    }
  });

  it('stops when asked to', async () => {
    const images = bytes(5000 * 784);
    const call = augment(images, {
      ...{ shape: [5000, 28, 28, 1], steps: [{ blur: { sigma: [20, 20] } }] },
      signal: AbortSignal.timeout(5),
    });
    await expect(call).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

describe('wrong input', () => {
  const images = bytes(64);
  const shape = [1, 8, 8, 1] as const;
  const refused = (steps: unknown) =>
    message(() => augmentSync(images, { shape, steps: steps as Augmentation }));

  it.each<[unknown, string]>([
    ['mnist', "steps: expected an array of augmentation steps, received 'mnist'"],
    [[{ spin: {} }], 'steps[0]: expected an object of one key, affine, translate'],
    [[{ flip: {}, grey: {} }], "received '{flip, grey}'"],
    [[null], 'steps[0]: expected an object of one key'],
    [[{ flip: true }], 'steps[0].flip: expected an object of parameters, received true'],
    [[{ flip: { p: 2 } }], 'steps[0].flip.p: expected a number from 0 to 1, received 2'],
    [[{ flip: { shared: 1 } }], 'steps[0].flip.shared: expected true or false'],
    [[{}, {}], 'steps[0]: expected'],
    [
      [{ flip: {} }, { affine: { angle: 3 } }],
      'steps[1].affine: expected one of the parameters p, shared, translate',
    ],
    [[{ affine: { scale: [1.4, 0.6] } }], 'steps[0].affine.scale: expected [low, high] with low <= high'],
    [[{ affine: { scale: [0, 1] } }], 'expected a number from 0.001 to 1000, received 0'],
    [[{ affine: { degrees: Number.NaN } }], 'steps[0].affine.degrees'],
    [[{ affine: { shear: 90 } }], 'steps[0].affine.shear: expected a number from 0 to 89'],
    [[{ affine: { shear: [1, 2, 3] } }], 'steps[0].affine.shear: expected 2 numbers'],
    [[{ affine: { interpolation: 'cubic' } }], "expected 'bilinear' or 'nearest', received 'cubic'"],
    [[{ translate: {} }], 'steps[0].translate.pixels: expected a whole number'],
    [[{ crop: { size: 0 } }], 'steps[0].crop.size: expected 1 to 8192 pixels'],
    [[{ jitter: { hue: 0.6 } }], 'steps[0].jitter.hue: expected a number from 0 to 0.5'],
    [[{ blur: { size: 4 } }], 'steps[0].blur.size: expected an odd number of taps'],
    [[{ blur: { size: 1 } }], 'steps[0].blur.size: expected at least 3 taps'],
    [[{ normalise: { mean: [1, 2, 3], std: 1 } }], 'steps[0].normalise.mean: expected 1 numbers'],
    [[{ normalise: { mean: 0, std: 0 } }], 'steps[0].normalise.std: expected a number from 0.000001'],
    [[{ normalise: { mean: 0, std: 1, p: 0.5 } }], 'steps[0].normalise: expected one of the parameters'],
    [[{ moments: { radius: 0 } }], 'steps[0].moments.radius: expected a number from 0.01 to 10, received 0'],
    [[{ moments: { anisotropy: 1.5 } }], 'steps[0].moments.anisotropy: expected a number from 0 to 1'],
    [[{ moments: { anisotropy: [1, 0] } }], 'steps[0].moments.anisotropy: expected [low, high]'],
    [
      [{ moments: { anisotropy: 'all' } }],
      "moments.anisotropy: expected a number from 0 to 1, received 'all'",
    ],
    [[{ moments: { share: 1 } }], 'expected one of the parameters p, shared, radius, anisotropy'],
    [[{ elastic: { grid: 1 } }], 'steps[0].elastic.grid: expected a number from 2 to 64, received 1'],
    [[{ elastic: { grid: 2.5 } }], 'steps[0].elastic.grid: expected a whole number'],
    [[{ elastic: { sigma: -1 } }], 'steps[0].elastic.sigma: expected a number from 0 to 10'],
    [[{ pad: { pixels: -1 } }], 'steps[0].pad.pixels: expected whole numbers'],
    [[{ pad: { pixels: 8000 } }], 'steps[0].pad: expected a result of at most 8192 pixels a side'],
    [Array(65).fill({ flip: {} }), 'steps: expected at most 64 steps, received 65'],
  ])('%j', (steps, expected) => {
    expect(refused(steps)).toContain(expected);
  });

  it('names what does not fit', () => {
    const steps: Augmentation = [];
    const cases: [() => unknown, string][] = [
      [() => augmentSync(images, { shape: [2, 8, 8, 1], steps }), 'images: expected 128 elements'],
      [() => augmentSync(images, { shape: [1, 8, 4, 2], steps }), 'shape: expected 1 or 3 channels'],
      [
        () => augmentSync(images, { shape: [0, 8, 8, 1], steps }),
        'shape: expected a whole number of at least 1',
      ],
      [() => augmentSync(images, { shape: [1, 8, 8] as never, steps }), 'shape: expected [images, height'],
      [() => augmentSync([] as never, { shape, steps }), 'images: expected a Uint8Array or a Float32Array'],
      [
        () => augmentSync(images, { shape, steps, indexes: Int32Array.of(0, 1) }),
        'indexes[1]: expected 0 to 0',
      ],
      [
        () => augmentSync(images, { shape, steps, indexes: new Int32Array(0) }),
        'indexes: expected at least one',
      ],
      [() => augmentSync(images, { shape, steps, keys: Int32Array.of(-1) }), 'keys[0]: expected 0 to'],
      [() => augmentSync(images, { shape, steps, keys: Int32Array.of(1, 2) }), 'keys: expected 1 keys'],
      [
        () => augmentSync(images, { shape, steps, out: new Float32Array(63) }),
        'out: expected Float32Array(64)',
      ],
      [() => augmentSync(images, { shape, steps, epoch: -1 }), 'epoch: expected a whole number'],
      [() => augmentSync(images, { shape, steps, view: 2 ** 31 }), 'view: expected a whole number'],
      [() => augmentSync(images, { shape, steps, seed: 1.5 }), 'seed: expected'],
    ];
    for (const [call, expected] of cases)
      expect(message(call)).toContain(`BINCE_INVALID_ARGUMENT ${expected}`);
  });

  it('names the image with a NaN', () => {
    const values = new Float32Array(5 * 64);
    values[3 * 64 + 7] = Number.NaN;
    values[4 * 64] = Number.POSITIVE_INFINITY;
    expect(message(() => augmentSync(values, { shape: [5, 8, 8, 1], steps: [] }))).toBe(
      'BINCE_INVALID_VALUE images: image 3 has a NaN or an infinity',
    );
  });
});
