import { describe, expect, it } from 'vitest';
import {
  betaAt,
  defaultConfig,
  resolveConfig,
  systemNames,
} from '../../lib/systems/lossless-prediction/index.js';

const resolve = (given: object) => resolveConfig({ system: 'vic', data: 'banana', ...given } as never);

describe('resolveConfig', () => {
  it.each(systemNames)('takes the defaults of %s', (system) => {
    for (const data of ['banana', 'mnist']) {
      const config = resolveConfig({ system, data });
      expect(config).toEqual(defaultConfig(system, data));
      expect(resolveConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    }
  });

  it('takes epochs for steps and the other way round', () => {
    expect(resolve({ epochs: 3 })).toMatchObject({ epochs: 3, steps: 0 });
    expect(resolveConfig({ system: 'vc', data: 'mnist', steps: 5 })).toMatchObject({ epochs: 0, steps: 5 });
  });

  it('passes over what is undefined', () => {
    expect(resolve({ beta: undefined }).beta).toBe(0.07);
  });

  it.each([
    [{ betta: 1 }, /no setting 'betta'/],
    [{ system: 'magic' }, /system: expected vc, vic, bince, bottleneck/],
    [{ data: '' }, /data: expected/],
    [{ beta: 0 }, /beta: expected a number from/],
    [{ beta: Number.NaN }, /beta: expected/],
    [{ beta: '0.1' }, /beta: expected/],
    [{ hidden: 1.5 }, /hidden: expected an integer/],
    [{ z: 0 }, /z: expected an integer from 1/],
    [{ batch: 1 }, /batch: expected at least 2, received 1/],
    [{ batch: 0 }, /batch: expected an integer from 1/],
    [{ warmup: 1.1 }, /warmup: expected a number from 0 to 1/],
    [{ network: 'huge' }, /network: expected mlp, cnn, resnet18, none/],
    [{ invariance: 'z' }, /invariance: expected rotation, x, y/],
    [{ steps: 0 }, /expected epochs or steps/],
    [{ steps: 5, epochs: 5 }, /expected epochs or steps/],
    [{ network: 'cnn', convolutions: [] }, /convolutions: expected at least one/],
    [{ convolutions: [0] }, /convolutions: expected a list of positive integers/],
    [{ augmentation: 'mnist' }, /augmentation: expected a list/],
    [{ pose: 1 }, /pose: expected a boolean/],
    [{ poseAnisotropy: [0.5, 0.2] }, /poseAnisotropy: expected two numbers/],
  ])('refuses %o', (given, expected) => {
    expect(() => resolve(given)).toThrow(expected);
  });
});

describe('betaAt', () => {
  it('rises linearly over the first part of the training', () => {
    const config = resolve({ beta: 2, betaWarmup: 0.1 });
    expect(betaAt(config, 0)).toBeCloseTo(2e-5, 12);
    expect(betaAt(config, 0.05)).toBeCloseTo(1 + 1e-5, 8);
    expect(betaAt(config, 0.1)).toBe(2);
    expect(betaAt(config, 1)).toBe(2);
  });

  it('is constant without a warm-up', () => {
    expect(betaAt(resolve({ betaWarmup: 0 }), 0)).toBe(0.07);
  });
});
