import { describe, expect, it } from 'vitest';
import {
  bananaBatch,
  type Invariance,
  maximalInvariant,
  representativeOf,
} from '../../lib/systems/lossless-prediction/index.js';

const kinds: Invariance[] = ['rotation', 'x', 'y'];

describe('the banana', () => {
  it('has the moments of the source', () => {
    const N = 2 ** 18;
    const { points } = bananaBatch(9n, 0, N, 'rotation');
    // Before turn and shift: a ~ N(0, 9), b = N(0, 1/4) + (a^2 - 9) / 10, so that E b = 0, Var b = 1/4 + 162 / 100,
    // and a and b are uncorrelated.
    const [cos, sin] = [Math.cos((40 * Math.PI) / 180), Math.sin((40 * Math.PI) / 180)];
    const [va, vb] = [9, 0.25 + 1.62];
    let [mx, my, xx, yy, xy] = [0, 0, 0, 0, 0];
    for (let i = 0; i < N; i++) {
      const [x, y] = [points[2 * i]! + 0.75, points[2 * i + 1]! + 1];
      mx += x / N;
      my += y / N;
      xx += (x * x) / N;
      yy += (y * y) / N;
      xy += (x * y) / N;
    }
    expect(Math.abs(mx)).toBeLessThan(0.03);
    expect(Math.abs(my)).toBeLessThan(0.03);
    expect(Math.abs(xx - (cos * cos * va + sin * sin * vb))).toBeLessThan(0.1);
    expect(Math.abs(yy - (sin * sin * va + cos * cos * vb))).toBeLessThan(0.1);
    expect(Math.abs(xy + cos * sin * (va - vb))).toBeLessThan(0.1);
  });

  it('is the same sequence whatever the batches are', () => {
    const whole = bananaBatch(3n, 0, 100, 'rotation');
    const part = bananaBatch(3n, 37, 20, 'rotation');
    expect(part.points).toEqual(whole.points.slice(74, 114));
    expect(part.equivalent).toEqual(whole.equivalent.slice(74, 114));
    expect(bananaBatch(4n, 37, 20, 'rotation').points).not.toEqual(part.points);
  });

  it.each(kinds)('%s: members of a class have one M and one representative', (kind) => {
    const { points, equivalent, representative } = bananaBatch(1n, 0, 500, kind);
    let moved = 0;
    for (let i = 0; i < 500; i++) {
      const at = (data: Float32Array) => [data[2 * i]!, data[2 * i + 1]!] as const;
      const M = maximalInvariant(...at(points), kind);
      expect(maximalInvariant(...at(equivalent), kind)).toBeCloseTo(M, 4);
      const [x, y] = representativeOf(...at(equivalent), kind);
      expect(x).toBeCloseTo(at(representative)[0], 4);
      expect(y).toBeCloseTo(at(representative)[1], 4);
      expect(representativeOf(x, y, kind)[0]).toBeCloseTo(x, 10);
      moved += Math.hypot(at(points)[0] - at(equivalent)[0], at(points)[1] - at(equivalent)[1]) / 500;
    }
    expect(moved).toBeGreaterThan(0.5);
  });

  it('turns the representative of rotations by 45 degrees', () => {
    const [x, y] = representativeOf(3, 4, 'rotation');
    expect(x).toBeCloseTo(-5 / Math.SQRT2, 12);
    expect(y).toBeCloseTo(-5 / Math.SQRT2, 12);
  });
});
