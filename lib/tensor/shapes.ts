/** Shapes: checks, broadcasting, strides. */
import { BinceError, invalidArgument } from '../errors.js';

type Shape = readonly number[];

/** `[2, 3]` */
export function describeShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

export function elementsOf(shape: Shape): number {
  let size = 1;
  for (let i = 0; i < shape.length; i++) size *= shape[i]!;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A shape given by a caller: whole numbers of at least 0. */
export function checkShape(name: string, shape: unknown): number[] {
  if (!Array.isArray(shape)) invalidArgument(name, 'an array of sizes', shape);
  for (const size of shape)
    if (!Number.isSafeInteger(size) || size < 0) invalidArgument(name, 'sizes of at least 0', size);
  return [...shape];
}

/** An axis as an index from 0; negative ones count from the end. */
export function checkAxis(name: string, axis: unknown, rank: number): number {
  if (!Number.isInteger(axis) || (axis as number) < -rank || (axis as number) >= rank)
    invalidArgument(`${name}: axis`, rank === 0 ? 'none for a scalar' : `${-rank} to ${rank - 1}`, axis);
  return (axis as number) < 0 ? (axis as number) + rank : (axis as number);
}

/** Axes in rising order, all of them by default. */
export function checkAxes(
  name: string,
  axis: number | readonly number[] | undefined,
  rank: number,
): number[] {
  if (axis === undefined) return Array.from({ length: rank }, (_, i) => i);
  const given = typeof axis === 'number' ? [axis] : axis;
  const axes = given.map((each) => checkAxis(name, each, rank)).sort((a, b) => a - b);
  for (let i = 1; i < axes.length; i++)
    if (axes[i] === axes[i - 1]) invalidArgument(`${name}: axis`, 'every axis once', describeShape(given));
  return axes;
}

/** NumPy's rule: aligned at the last axis, sizes are equal or one of them is 1. */
export function broadcastShape(name: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1)
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `${name}: expected shapes that broadcast, received ${describeShape(a)} and ${describeShape(b)}`,
      );
    out[i] = x === 1 ? y : x;
  }
  return out;
}

/** The most axes that a native call walks over, after those that lie together were merged. */
const maxRank = 6;

/** Dimensions and strides for native calls, which copy them at once: one set a rank, filled anew for every call. */
export interface Walk {
  readonly dims: Int32Array;
  readonly x: Int32Array;
  readonly y: Int32Array;
}

const walks: readonly Walk[] = Array.from({ length: maxRank + 1 }, (_, rank) => ({
  dims: new Int32Array(rank),
  x: new Int32Array(rank),
  y: new Int32Array(rank),
}));
const dims: number[] = [];
const strideX: number[] = [];
const strideY: number[] = [];

/** The walk over `size` elements that lie together in both. */
export function flatWalk(size: number): Walk {
  const walk = walks[1]!;
  walk.dims[0] = size;
  walk.x[0] = 1;
  walk.y[0] = 1;
  return walk;
}

// Adds an axis outside those so far; merged with the last one where both strides go on in step.
function push(count: number, rank: number, size: number, x: number, y: number): number {
  if (size === 1) return count;
  if (count > 0) {
    const last = dims[count - 1]!;
    if (strideX[count - 1]! * last === x && strideY[count - 1]! * last === y) {
      dims[count - 1] = last * size;
      return count;
    }
  }
  if (count === maxRank)
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      `a tensor of ${rank} axes needs more than ${maxRank} loops here; reshape it first`,
    );
  dims[count] = size;
  strideX[count] = x;
  strideY[count] = y;
  return count + 1;
}

function finish(count: number): Walk {
  if (count === 0) return flatWalk(1);
  const walk = walks[count]!;
  for (let i = 0; i < count; i++) {
    walk.dims[i] = dims[count - 1 - i]!;
    walk.x[i] = strideX[count - 1 - i]!;
    walk.y[i] = strideY[count - 1 - i]!;
  }
  return walk;
}

/** The walk of contiguous tensors of shapes a and b, both broadcast to `out`. */
export function broadcastWalk(a: Shape, b: Shape, out: Shape): Walk {
  let [count, x, y] = [0, 1, 1];
  for (let i = 1; i <= out.length; i++) {
    const size = out[out.length - i]!;
    const sizeA = a[a.length - i] ?? 1;
    const sizeB = b[b.length - i] ?? 1;
    count = push(count, out.length, size, sizeA === 1 ? 0 : x, sizeB === 1 ? 0 : y);
    x *= sizeA;
    y *= sizeB;
  }
  return finish(count);
}

/** The walk with the given strides, an element of each a size. */
export function stridedWalk(sizes: Shape, x: Shape, y: Shape): Walk {
  let count = 0;
  for (let i = sizes.length - 1; i >= 0; i--) count = push(count, sizes.length, sizes[i]!, x[i]!, y[i]!);
  return finish(count);
}

/** Strides of a contiguous tensor, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}
