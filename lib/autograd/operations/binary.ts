/** Operations on two tensors of shapes that broadcast (NumPy's rule), or on a tensor and a number. */
import { invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import { broadcastShape, broadcastWalk, sameShape } from '../../tensor/shapes.js';
import { emptyTensor, Tensor } from '../../tensor/tensor.js';
import { checkFinite, checkOneDevice, checkTensor } from '../arguments.js';
import { record } from '../tape.js';
import { abs, affine, clamp, exp, log, neg, power, reciprocal, square } from './elementwise.js';
import { mean, sumTo } from './reduce.js';

/** An operand: a number stands for a scalar tensor without a gradient. */
export type Operand = Tensor | number;

const codes = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  maximum: 4,
  minimum: 5,
  pow: 6,
  greater: 7,
  greaterEqual: 8,
  equal: 9,
} as const;

/** An operation by name, off the tape: for derivatives. */
export function binaryOf(name: keyof typeof codes, x: Tensor, y: Tensor): Tensor {
  if (x instanceof Tensor && y instanceof Tensor && x.device !== y.device) checkOneDevice(name, x, y);
  checkTensor(name, x);
  checkTensor(name, y);
  const shape = broadcastShape(name, x.shape, y.shape);
  const z = emptyTensor(shape, name);
  if (sameShape(x.shape, y.shape)) native().binarySync(codes[name], x.handle, y.handle, z.handle);
  else {
    const walk = broadcastWalk(x.shape, y.shape, shape);
    native().binarySync(codes[name], x.handle, y.handle, z.handle, walk.dims, walk.x, walk.y);
  }
  return z;
}

function isNumber(name: string, value: unknown): value is number {
  if (typeof value !== 'number') return false;
  checkFinite(name, value);
  return true;
}

function neither(name: string): never {
  return invalidArgument(name, 'at least one tensor', 'two numbers');
}

// The gradient for an input of the shape, computed only if it is wanted.
function partOf(input: Tensor, gradient: () => Tensor): Tensor | undefined {
  return input.requiresGrad ? sumTo(gradient(), input.shape) : undefined;
}

/** x + y */
export function add(x: Operand, y: Operand): Tensor {
  if (isNumber('add', y)) return x instanceof Tensor ? affine(x, 1, y) : neither('add');
  if (isNumber('add', x)) return affine(y, 1, x);
  return record('add', [x, y], binaryOf('add', x, y), (dy) => [partOf(x, () => dy), partOf(y, () => dy)]);
}

/** x - y */
export function sub(x: Operand, y: Operand): Tensor {
  if (isNumber('sub', y)) return x instanceof Tensor ? affine(x, 1, -y) : neither('sub');
  if (isNumber('sub', x)) return affine(y, -1, x);
  return record('sub', [x, y], binaryOf('sub', x, y), (dy) => [
    partOf(x, () => dy),
    y.requiresGrad ? neg(sumTo(dy, y.shape)) : undefined,
  ]);
}

/** x y, element by element */
export function mul(x: Operand, y: Operand): Tensor {
  if (isNumber('mul', y)) return x instanceof Tensor ? affine(x, y, 0) : neither('mul');
  if (isNumber('mul', x)) return affine(y, x, 0);
  return record('mul', [x, y], binaryOf('mul', x, y), (dy) => [
    partOf(x, () => binaryOf('mul', dy, y)),
    partOf(y, () => binaryOf('mul', dy, x)),
  ]);
}

/** x / y */
export function div(x: Operand, y: Operand): Tensor {
  if (isNumber('div', y)) return x instanceof Tensor ? affine(x, 1 / y, 0) : neither('div');
  if (isNumber('div', x)) return affine(reciprocal(y), x, 0);
  const z = binaryOf('div', x, y);
  return record('div', [x, y], z, (dy) => [
    partOf(x, () => binaryOf('div', dy, y)),
    y.requiresGrad ? neg(sumTo(binaryOf('div', binaryOf('mul', dy, z), y), y.shape)) : undefined,
  ]);
}

/** x to the power y. A tensor y gets the gradient z ln x, so that x must then be positive. */
export function pow(x: Operand, y: Operand): Tensor {
  if (isNumber('pow', y)) return x instanceof Tensor ? power(x, y) : neither('pow');
  if (isNumber('pow', x)) {
    if (!(x > 0)) invalidArgument('pow', 'a positive base', x);
    // x^y = e^(y ln x)
    return exp(affine(y, Math.log(x), 0));
  }
  const z = binaryOf('pow', x, y);
  return record('pow', [x, y], z, (dy) => [
    partOf(x, () => binaryOf('mul', dy, binaryOf('mul', y, binaryOf('pow', x, affine(y, 1, -1))))),
    partOf(y, () => binaryOf('mul', dy, binaryOf('mul', z, log(x)))),
  ]);
}

/** The greater of x and y; where they are equal each gets half the gradient (PyTorch's rule). */
export function maximum(x: Operand, y: Operand): Tensor {
  if (isNumber('maximum', y)) return x instanceof Tensor ? clamp(x, y) : neither('maximum');
  if (isNumber('maximum', x)) return clamp(y, x);
  return record('maximum', [x, y], binaryOf('maximum', x, y), (dy) => [
    partOf(x, () => binaryOf('mul', dy, share(x, y))),
    partOf(y, () => binaryOf('mul', dy, share(y, x))),
  ]);
}

/** The lesser of x and y; where they are equal each gets half the gradient (PyTorch's rule). */
export function minimum(x: Operand, y: Operand): Tensor {
  if (isNumber('minimum', y))
    return x instanceof Tensor ? clamp(x, Number.NEGATIVE_INFINITY, y) : neither('minimum');
  if (isNumber('minimum', x)) return clamp(y, Number.NEGATIVE_INFINITY, x);
  return record('minimum', [x, y], binaryOf('minimum', x, y), (dy) => [
    partOf(x, () => binaryOf('mul', dy, share(y, x))),
    partOf(y, () => binaryOf('mul', dy, share(x, y))),
  ]);
}

// 1 where x > y, 1/2 where they are equal.
function share(x: Tensor, y: Tensor): Tensor {
  return affine(binaryOf('add', binaryOf('greater', x, y), binaryOf('greaterEqual', x, y)), 0.5, 0);
}

/** 1 where x > y, else 0; no gradient. */
export const greater = (x: Tensor, y: Tensor): Tensor => binaryOf('greater', x, y);
/** 1 where x >= y, else 0; no gradient. */
export const greaterEqual = (x: Tensor, y: Tensor): Tensor => binaryOf('greaterEqual', x, y);
/** 1 where x = y, else 0; no gradient. */
export const equal = (x: Tensor, y: Tensor): Tensor => binaryOf('equal', x, y);

/** The mean over all elements of (x - y)^2. */
export function mse(x: Tensor, y: Tensor): Tensor {
  return mean(square(sub(x, y)));
}

/** The mean over all elements of |x - y|. */
export function l1(x: Tensor, y: Tensor): Tensor {
  return mean(abs(sub(x, y)));
}
