/** Sums, means and extremes over axes, and their inverse: expansion. */
import { invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import {
  broadcastWalk,
  checkAxes,
  checkShape,
  describeShape,
  elementsOf,
  sameShape,
} from '../../tensor/shapes.js';
import { aliasTensor, emptyTensor, type Shape, type Tensor } from '../../tensor/tensor.js';
import { checkAnyTensor, checkTensor } from '../arguments.js';
import { record } from '../tape.js';

export interface ReduceOptions {
  /** One axis or several, negative from the end; all by default. */
  readonly axis?: number | readonly number[] | undefined;
  /** Keep reduced axes with size 1. Default false. */
  readonly keepdims?: boolean | undefined;
}

/** The axes alone, or with options. */
export type ReduceOver = number | readonly number[] | ReduceOptions | undefined;

const codes = { sum: 0, mean: 1, max: 2, min: 3 } as const;
type Reduction = keyof typeof codes;

// Reduces the axes, which are in rising order; the result's shape is x's without them. Neighbouring axes go together.
function reduceAxes(name: Reduction, x: Tensor, axes: readonly number[], shape: Shape): Tensor {
  const groups: { reduced: boolean; size: number }[] = [];
  x.shape.forEach((size, axis) => {
    const reduced = axes.includes(axis);
    if (size === 1) return;
    const last = groups.at(-1);
    if (last?.reduced === reduced) last.size *= size;
    else groups.push({ reduced, size });
  });
  let current = x;
  let inner = 1;
  while (groups.length > 0) {
    const { reduced, size } = groups.pop()!;
    if (!reduced) {
      inner *= size;
      continue;
    }
    const outer = elementsOf(groups.map((group) => group.size));
    const rest = groups.some((group) => group.reduced);
    const next = emptyTensor(rest ? [outer, inner] : shape, name);
    native().reduceSync(codes[name], current.handle, outer, size, inner, next.handle);
    if (current !== x) current.dispose();
    current = next;
  }
  return current === x ? aliasTensor(x, shape, name) : current;
}

interface Plan {
  readonly axes: readonly number[];
  /** The result's shape. */
  readonly shape: Shape;
  /** The same with reduced axes of size 1. */
  readonly kept: Shape;
  /** Elements that go into one. */
  readonly count: number;
}

function planOf(name: Reduction, x: Tensor, over: ReduceOver): Plan {
  checkTensor(name, x);
  const options: ReduceOptions =
    typeof over === 'number' || Array.isArray(over) ? { axis: over } : ((over ?? {}) as ReduceOptions);
  const axes = checkAxes(name, options.axis, x.rank);
  const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const shape = options.keepdims ? kept : x.shape.filter((_, axis) => !axes.includes(axis));
  const count = axes.reduce((product, axis) => product * x.shape[axis]!, 1);
  if (count === 0 && name !== 'sum') invalidArgument(name, 'at least one element', describeShape(x.shape));
  return { axes, shape, kept, count };
}

/** The sum over axes. */
export function sum(x: Tensor, over?: ReduceOver): Tensor {
  const { axes, shape, kept, count } = planOf('sum', x, over);
  let y: Tensor;
  if (count > 0) y = reduceAxes('sum', x, axes, shape);
  else {
    y = emptyTensor(shape, 'sum');
    native().fillSync(y.handle, 0);
  }
  return record('sum', [x], y, (dy) => [expandTo(dy, kept, x.shape)]);
}

/** The mean over axes. */
export function mean(x: Tensor, over?: ReduceOver): Tensor {
  const { axes, shape, kept, count } = planOf('mean', x, over);
  const y = reduceAxes('mean', x, axes, shape);
  return record('mean', [x], y, (dy) => [expandTo(scaled(dy, 1 / count), kept, x.shape)]);
}

function extreme(name: 'max' | 'min', x: Tensor, over?: ReduceOver): Tensor {
  const { axes, shape, kept } = planOf(name, x, over);
  const y = reduceAxes(name, x, axes, shape);
  return record(name, [x], y, (dy) => {
    // 1 at the extremes of each group, their number, and the gradient that each gets.
    const mask = apply(9, x, x.shape, y, kept, x.shape);
    const ties = reduceAxes('sum', mask, axes, kept);
    return [apply(2, mask, x.shape, apply(3, dy, kept, ties, kept, kept), kept, x.shape)];
  });
}

/** The greatest over axes; equal ones share the gradient evenly (as PyTorch's amax). */
export function max(x: Tensor, over?: ReduceOver): Tensor {
  return extreme('max', x, over);
}

/** The least over axes; equal ones share the gradient evenly (as PyTorch's amin). */
export function min(x: Tensor, over?: ReduceOver): Tensor {
  return extreme('min', x, over);
}

// A binary operation by its native number, on tensors read with other shapes of the same sizes.
function apply(op: number, x: Tensor, xShape: Shape, y: Tensor, yShape: Shape, shape: Shape): Tensor {
  const z = emptyTensor(shape, 'derivative');
  const walk = broadcastWalk(xShape, yShape, shape);
  native().binarySync(op, x.handle, y.handle, z.handle, walk.dims, walk.x, walk.y);
  return z;
}

/** a x, off the tape: for derivatives. */
export function scaled(x: Tensor, a: number): Tensor {
  const y = emptyTensor(x.shape, 'derivative');
  native().unarySync(20, a, 0, x.handle, y.handle);
  const { constant } = x.storage;
  if (constant !== undefined) y.storage.constant = constant * a;
  return y;
}

/**
 * g times factor times dy, in place of g: turns a gradient that an operation saved into its input's. dy is read with
 * the given shape, which broadcasts to g's.
 */
export function multiplied(g: Tensor, dy: Tensor, factor: number, shape: Shape): Tensor {
  const { constant } = dy.storage;
  if (constant !== undefined) {
    const total = constant * factor;
    if (total !== 1) native().unarySync(20, total, 0, g.handle, g.handle);
    return g;
  }
  const scale = factor === 1 ? dy : scaled(dy, factor);
  const walk = broadcastWalk(g.shape, shape, g.shape);
  native().binarySync(2, g.handle, scale.handle, g.handle, walk.dims, walk.x, walk.y);
  return g;
}

// x, read with the shape `from`, repeated to the shape `to`.
function expandTo(x: Tensor, from: Shape, to: Shape): Tensor {
  const y = emptyTensor(to, 'expand', x.dtype);
  if (y.size === 0) return y;
  const walk = broadcastWalk(from, to, to);
  native().copyStridedSync(x.handle, 0, walk.x, y.handle, 0, walk.y, walk.dims, false);
  y.storage.constant = x.storage.constant;
  return y;
}

/** The gradient of a broadcast input: summed over the axes that broadcasting repeated. Returns g itself if none. */
export function sumTo(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const axes: number[] = [];
  const missing = g.rank - shape.length;
  g.shape.forEach((size, axis) => {
    if (axis < missing || (shape[axis - missing] === 1 && size !== 1)) axes.push(axis);
  });
  if (g.size === 0) {
    const y = emptyTensor(shape, 'sum');
    native().fillSync(y.handle, 0);
    return y;
  }
  return reduceAxes('sum', g, axes, shape);
}

/** x repeated to a shape that it broadcasts to. */
export function expand(x: Tensor, shape: Shape): Tensor {
  checkAnyTensor('expand', x);
  const to = checkShape('expand: shape', shape);
  const missing = to.length - x.rank;
  if (missing < 0 || x.shape.some((size, axis) => size !== 1 && size !== to[axis + missing]))
    invalidArgument('expand', `a shape that ${describeShape(x.shape)} broadcasts to`, describeShape(to));
  const y = expandTo(x, x.shape, to);
  return record('expand', [x], y, (dy) => [sumTo(dy, x.shape)]);
}

/** int32 [...]: where each row of the last axis is greatest, the first of equals. No gradient. */
export function argmax(x: Tensor): Tensor {
  checkTensor('argmax', x);
  const n = x.shape.at(-1) ?? 0;
  if (n === 0) invalidArgument('argmax', 'at least one element in the last axis', describeShape(x.shape));
  const y = emptyTensor(x.shape.slice(0, -1), 'argmax', 'int32');
  native().argmaxSync(x.handle, x.size / n, n, y.handle);
  return y;
}
