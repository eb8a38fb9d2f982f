/**
 * The banana: a two-dimensional source with known invariances (Dubois et al. 2021, section 5.1).
 *
 * x ~ N(0, diag(3, 1/2)^2); x2 += (x1^2 - 9) / 10; turned by -40 degrees about the origin; moved by (-3/4, -1).
 * Equivalences, their maximal invariants M and the point that stands for a class:
 *   rotation about the origin: M = |x|, (-M, 0) turned by 45 degrees
 *   x: translation along the first axis: M = x2, (0, M)
 *   y: translation along the second axis: M = x1, (M, 0)
 * Another member of a class: the representative at a random angle, or moved along its axis to a place drawn uniformly
 * between the 10% and the 90% quantile of the source.
 */
import { uniformNoise } from '../../kernels/index.js';
import type { Invariance } from './config.js';

/** Points of the source and what the systems make of them; all [N][2]. */
export interface BananaBatch {
  readonly points: Float32Array;
  /** Another member of each point's class. */
  readonly equivalent: Float32Array;
  readonly representative: Float32Array;
}

/** Of the source. */
const kTilt = { cos: Math.cos((-40 * Math.PI) / 180), sin: Math.sin((-40 * Math.PI) / 180) };
/** The cosine, and the sine, of 45 degrees. */
const kStanding = Math.SQRT1_2;
/** Uniform numbers a point takes: two for the source, one for the member of its class. */
const kDraws = 3;
/** Quantiles of the source (10%, 90%) along each axis, from 2^22 of its points. */
const kQuantiles = { x: [-3.3027, 2.5908], y: [-3.034, 1.9412] } as const;

/**
 * Points `first` to `first + count` of the source's endless sequence of a seed: the same whatever the batches are.
 */
export function bananaBatch(seed: bigint, first: number, count: number, invariance: Invariance): BananaBatch {
  const uniform = uniformNoise(count, kDraws, { seed, firstRow: first });
  const points = new Float32Array(2 * count);
  const equivalent = new Float32Array(2 * count);
  const representative = new Float32Array(2 * count);
  // Numbers all the way: a step of training makes a thousand points, and tuples of them keep the collector busy.
  for (let i = 0; i < count; i++) {
    const turns = uniform[kDraws * i + 1]! + 0.5;
    const radius = Math.sqrt(-2 * Math.log(Math.max(uniform[kDraws * i]! + 0.5, 2 ** -25)));
    const a = 3 * radius * Math.cos(2 * Math.PI * turns);
    const b = 0.5 * radius * Math.sin(2 * Math.PI * turns) + 0.1 * (a * a - 9);
    const x = a * kTilt.cos - b * kTilt.sin - 0.75;
    const y = a * kTilt.sin + b * kTilt.cos - 1;
    points[2 * i] = x;
    points[2 * i + 1] = y;
    const M = maximalInvariant(x, y, invariance);
    const u = uniform[kDraws * i + 2]! + 0.5;
    if (invariance === 'rotation') {
      const angle = 2 * Math.PI * u;
      const place = -M * kStanding;
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      representative[2 * i] = place;
      representative[2 * i + 1] = place;
      equivalent[2 * i] = place * (cos - sin);
      equivalent[2 * i + 1] = place * (sin + cos);
    } else {
      const [least, most] = kQuantiles[invariance];
      const fixed = invariance === 'x' ? 1 : 0;
      representative[2 * i + fixed] = M;
      equivalent[2 * i + fixed] = M;
      equivalent[2 * i + 1 - fixed] = least + u * (most - least);
    }
  }
  return { points, equivalent, representative };
}

/** M of a point. */
export function maximalInvariant(x: number, y: number, invariance: Invariance): number {
  if (invariance === 'rotation') return Math.sqrt(x * x + y * y);
  return invariance === 'x' ? y : x;
}

/** The point that stands for a point's class. */
export function representativeOf(
  x: number,
  y: number,
  invariance: Invariance,
): readonly [x: number, y: number] {
  const M = maximalInvariant(x, y, invariance);
  if (invariance === 'rotation') return [-M * kStanding, -M * kStanding];
  return invariance === 'x' ? [0, M] : [M, 0];
}
