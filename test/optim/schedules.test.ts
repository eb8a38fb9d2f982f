import { describe, expect, it } from 'vitest';
import {
  constant,
  cosine,
  exponential,
  linear,
  linearWarmup,
  multiStep,
  oneCycle,
  product,
  sequential,
} from '../../lib/optim/index.js';

describe('schedules', () => {
  it('constant', () => {
    expect([constant()(0), constant(0.5)(7)]).toEqual([1, 0.5]);
  });

  it('linear, and its ends', () => {
    const rise = linear({ steps: 10, from: 1e-5, to: 1 });
    expect([rise(0), rise(10), rise(1000)]).toEqual([1e-5, 1, 1]);
    expect(rise(5)).toBeCloseTo(0.500005, 12);
  });

  it('warm-up reaches 1 in its last step', () => {
    expect([0, 1, 3, 4, 100].map(linearWarmup(4))).toEqual([0.25, 0.5, 1, 1, 1]);
  });

  it('half a cosine', () => {
    const fall = cosine({ steps: 100, final: 0.2 });
    expect(fall(0)).toBe(1);
    expect(fall(50)).toBeCloseTo(0.6, 12);
    expect(fall(25)).toBeCloseTo(0.2 + 0.4 * (1 + Math.SQRT1_2), 12);
    expect([fall(100), fall(500)]).toEqual([0.2, 0.2]);
  });

  it('exponential decay to a hundredth', () => {
    const fall = exponential({ steps: 100, final: 0.01 });
    expect(fall(0)).toBe(1);
    expect(fall(50)).toBeCloseTo(0.1, 12);
    expect(fall(100)).toBeCloseTo(0.01, 12);
    expect(fall(200)).toBeCloseTo(0.01, 12);
  });

  it('milestones', () => {
    const steps = multiStep([250, 280], 0.2);
    expect([steps(249), steps(250), steps(279)]).toEqual([1, 0.2, 0.2]);
    expect(steps(280)).toBeCloseTo(0.04, 12);
  });

  it('one cycle', () => {
    const cycle = oneCycle({ steps: 100, warmup: 0.25, start: 0.1, final: 0.01 });
    expect(cycle(0)).toBeCloseTo(0.1, 12);
    expect(cycle(12.5)).toBeCloseTo(0.55, 12);
    expect(cycle(25)).toBe(1);
    expect(cycle(62.5)).toBeCloseTo(0.505, 12);
    expect(cycle(100)).toBeCloseTo(0.01, 12);
  });

  it('one after the other, each from its own step 0, and beside each other', () => {
    const both = sequential(
      { schedule: linearWarmup(5), steps: 5 },
      { schedule: multiStep([10]), steps: 20 },
      { schedule: constant(0.5) },
    );
    expect([0, 4, 5, 14, 15, 24, 25, 900].map(both)).toEqual([0.2, 1, 1, 1, 0.1, 0.1, 0.5, 0.5]);
    expect(product(constant(0.5), linearWarmup(4))(0)).toBe(0.125);
  });

  it('says what is wrong with its arguments', () => {
    expect(() => linearWarmup(0)).toThrow('steps: expected a positive whole number, received 0');
    expect(() => exponential({ steps: 5, final: 0 })).toThrow('final: expected a positive number');
    expect(() => multiStep([5, 5])).toThrow('milestones[1]: expected a step after 5');
    expect(() => oneCycle({ steps: 5, warmup: 1 })).toThrow('warmup: expected a share between 0 and 1');
    expect(() => cosine({ steps: 5, final: Number.NaN })).toThrow('final: expected a finite number');
  });
});
