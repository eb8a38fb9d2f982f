/** Operations that move elements and compute nothing; they take every type. */
import type { DeviceName } from '../../device/choice.js';
import { BinceError, invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import {
  checkAxis,
  checkShape,
  describeShape,
  elementsOf,
  sameShape,
  stridedWalk,
  stridesOf,
} from '../../tensor/shapes.js';
import { aliasTensor, emptyTensor, type Shape, type Tensor } from '../../tensor/tensor.js';
import { checkAnyTensor, checkOneDevice, checkPlacedTensor, checkWhole } from '../arguments.js';
import { record } from '../tape.js';

/** The same elements, in the same memory, with another shape; one size may be -1 and follows from the others. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  checkPlacedTensor('reshape', x);
  const open = shape.indexOf(-1);
  let to: number[];
  if (open < 0) to = checkShape('reshape: shape', shape);
  else {
    to = [...shape];
    to[open] = 1;
    to = checkShape('reshape: shape', to);
    to[open] = x.size / elementsOf(to);
  }
  if (elementsOf(to) !== x.size || !to.every(Number.isInteger))
    invalidArgument(
      'reshape',
      `a shape of ${x.size} elements, as ${describeShape(x.shape)}`,
      describeShape(shape),
    );
  const y = aliasTensor(x, to, 'reshape');
  return record('reshape', [x], y, (dy) => [aliasTensor(dy, x.shape, 'reshape')]);
}

/** The axes from `axis` on made one; by default all but the first. */
export function flatten(x: Tensor, axis = 1): Tensor {
  checkPlacedTensor('flatten', x);
  const first = checkAxis('flatten', axis, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, first), elementsOf(x.shape.slice(first))]);
}

/** Axis i of the result is axis `order[i]` of x. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  checkAnyTensor('permute', x);
  const axes = order.map((axis) => checkAxis('permute', axis, x.rank));
  if (axes.length !== x.rank || new Set(axes).size !== x.rank)
    invalidArgument('permute: order', `each of the ${x.rank} axes once`, describeShape(order));
  const y = permuted(x, axes);
  const inverse = axes.map((_, axis) => axes.indexOf(axis));
  return record('permute', [x], y, (dy) => [permuted(dy, inverse)]);
}

function permuted(x: Tensor, axes: readonly number[]): Tensor {
  const strides = stridesOf(x.shape);
  const shape = axes.map((axis) => x.shape[axis]!);
  const y = emptyTensor(shape, 'permute', x.dtype);
  if (x.size === 0) return y;
  const walk = stridedWalk(
    shape,
    axes.map((axis) => strides[axis]!),
    stridesOf(shape),
  );
  native().copyStridedSync(x.handle, 0, walk.x, y.handle, 0, walk.y, walk.dims, false);
  return y;
}

/** The last two axes exchanged. */
export function transpose(x: Tensor): Tensor {
  checkAnyTensor('transpose', x);
  if (x.rank < 2) invalidArgument('transpose', 'a tensor of at least two axes', describeShape(x.shape));
  const axes = x.shape.map((_, axis) => axis);
  axes.splice(-2, 2, x.rank - 1, x.rank - 2);
  return permute(x, axes);
}

// Copies the box of the given sizes, from the element `first` of x to the element `at` of y.
function copyBox(x: Tensor, first: number, y: Tensor, at: number, sizes: Shape): void {
  if (elementsOf(sizes) === 0) return;
  if (x.device !== 'cpu') {
    // Whole rows: the callers see to it.
    native().storageCopy(x.handle, first, y.handle, at, elementsOf(sizes));
    return;
  }
  const walk = stridedWalk(sizes, stridesOf(x.shape), stridesOf(y.shape));
  native().copyStridedSync(x.handle, first, walk.x, y.handle, at, walk.y, walk.dims, false);
}

/** Elements start to end - 1 of an axis, on a device of the first one; negative ones count from the end. */
export function slice(x: Tensor, axis: number, start: number, end?: number): Tensor {
  checkPlacedTensor('slice', x);
  const along = checkAxis('slice', axis, x.rank);
  if (along !== 0) checkAnyTensor('slice', x);
  const size = x.shape[along]!;
  const from = (value: number) => (value < 0 ? value + size : value);
  const [first, last] = [from(start), from(end ?? size)];
  if (![first, last].every(Number.isInteger) || first < 0 || last > size || first > last)
    invalidArgument(
      'slice',
      `a range within the ${size} elements of axis ${along}`,
      `${start} to ${end ?? size}`,
    );
  const shape = x.shape.map((each, i) => (i === along ? last - first : each));
  const at = first * stridesOf(x.shape)[along]!;
  const y = emptyTensor(shape, 'slice', x.dtype, x.device);
  copyBox(x, at, y, 0, shape);
  return record('slice', [x], y, (dy) => {
    const dx = filled(x.shape, 0, dy.device);
    copyBox(dy, 0, dx, at, shape);
    return [dx];
  });
}

function filled(shape: Shape, value: number, device: DeviceName = 'cpu'): Tensor {
  const x = emptyTensor(shape, 'fill', 'float32', device);
  if (device !== 'cpu') return x.write(new Float32Array(x.size).fill(value));
  native().fillSync(x.handle, value);
  return x;
}

/** Tensors of equal shapes, except along the axis, one behind the other; on a device along the first axis alone. */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  if (!Array.isArray(tensors) || tensors.length === 0)
    invalidArgument('concat', 'an array of at least one tensor', tensors);
  const parts = tensors.map((each) => checkPlacedTensor('concat', each));
  const first = parts[0]!;
  const along = checkAxis('concat', axis, first.rank);
  checkOneDevice('concat', first, ...parts);
  if (along !== 0) checkAnyTensor('concat', first);
  const without = (shape: Shape) => shape.map((size, i) => (i === along ? 0 : size));
  for (const each of parts)
    if (each.dtype !== first.dtype || !sameShape(without(each.shape), without(first.shape)))
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `concat: expected tensors that differ in axis ${along} only, received ${first.toString()} and ${each.toString()}`,
      );
  const total = parts.reduce((sum, each) => sum + each.shape[along]!, 0);
  const y = emptyTensor(
    first.shape.map((size, i) => (i === along ? total : size)),
    'concat',
    first.dtype,
    first.device,
  );
  const step = stridesOf(y.shape)[along]!;
  let at = 0;
  const places = parts.map((each) => {
    const place = at;
    copyBox(each, 0, y, place, each.shape);
    at += each.shape[along]! * step;
    return place;
  });
  return record('concat', parts, y, (dy) =>
    parts.map((each, i) => {
      if (!each.requiresGrad) return undefined;
      const dx = emptyTensor(each.shape, 'concat', 'float32', dy.device);
      copyBox(dy, places[i]!, dx, 0, each.shape);
      return dx;
    }),
  );
}

/** Tensors of one shape along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  if (!Array.isArray(tensors) || tensors.length === 0)
    invalidArgument('stack', 'an array of at least one tensor', tensors);
  const rank = checkPlacedTensor('stack', tensors[0]).rank;
  const along = checkAxis('stack', axis, rank + 1);
  const widened = tensors.map((each) => {
    const shape = [...checkPlacedTensor('stack', each).shape];
    shape.splice(along, 0, 1);
    return reshape(each, shape);
  });
  const y = concat(widened, along);
  if (!y.requiresGrad) for (const each of widened) each.dispose();
  return y;
}

/** `value` around x: a pair [before, after] for every axis. float32 only. */
export function pad(x: Tensor, widths: readonly (readonly [number, number])[], value = 0): Tensor {
  checkAnyTensor('pad', x);
  if (x.dtype !== 'float32') invalidArgument('pad', 'a float32 tensor', x.toString());
  if (!Array.isArray(widths) || widths.length !== x.rank)
    invalidArgument('pad: widths', `a pair for each of the ${x.rank} axes`, widths);
  for (const pair of widths) for (const width of [pair[0], pair[1]]) checkWhole('pad: widths', width, 0);
  const shape = x.shape.map((size, i) => widths[i]![0] + size + widths[i]![1]);
  const strides = stridesOf(shape);
  const at = widths.reduce((sum, [before], i) => sum + before * strides[i]!, 0);
  const y = filled(shape, value);
  copyBox(x, 0, y, at, x.shape);
  return record('pad', [x], y, (dy) => {
    const dx = emptyTensor(x.shape, 'pad');
    copyBox(dy, at, dx, 0, x.shape);
    return [dx];
  });
}
