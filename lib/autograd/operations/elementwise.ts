/** Operations on one tensor, element by element: numbers of native/tensor's table, each with its derivative there. */
import { invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import { emptyTensor, type Tensor } from '../../tensor/tensor.js';
import { checkFinite, checkTensor } from '../arguments.js';
import { record } from '../tape.js';

const codes = {
  neg: 0,
  exp: 1,
  log: 2,
  sqrt: 3,
  rsqrt: 4,
  square: 5,
  abs: 6,
  reciprocal: 7,
  relu: 8,
  leakyRelu: 9,
  elu: 10,
  gelu: 11,
  silu: 12,
  sigmoid: 13,
  tanh: 14,
  softplus: 15,
  sin: 16,
  cos: 17,
  pow: 18,
  clamp: 19,
  affine: 20,
  round: 21,
  log1p: 22,
  expm1: 23,
  sign: 24,
  floor: 25,
} as const;

function unary(name: keyof typeof codes, x: Tensor, a = 0, b = 0): Tensor {
  checkTensor(name, x);
  const op = codes[name];
  const y = emptyTensor(x.shape, name);
  native().unarySync(op, a, b, x.handle, y.handle);
  return record(name, [x], y, (dy) => {
    const dx = emptyTensor(x.shape, name);
    native().unaryBackwardSync(op, a, b, x.handle, y.handle, dy.handle, dx.handle);
    const { constant } = dy.storage;
    if (constant !== undefined && op === codes.affine) dx.storage.constant = a * constant;
    return [dx];
  });
}

/** -x */
export const neg = (x: Tensor): Tensor => unary('neg', x);
/** e^x */
export const exp = (x: Tensor): Tensor => unary('exp', x);
/** ln x */
export const log = (x: Tensor): Tensor => unary('log', x);
/** ln(1 + x) */
export const log1p = (x: Tensor): Tensor => unary('log1p', x);
/** e^x - 1 */
export const expm1 = (x: Tensor): Tensor => unary('expm1', x);
/** The square root. */
export const sqrt = (x: Tensor): Tensor => unary('sqrt', x);
/** 1 / sqrt(x) */
export const rsqrt = (x: Tensor): Tensor => unary('rsqrt', x);
/** x^2 */
export const square = (x: Tensor): Tensor => unary('square', x);
/** |x|; its derivative at 0 is 0. */
export const abs = (x: Tensor): Tensor => unary('abs', x);
/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => unary('reciprocal', x);
/** max(x, 0); its derivative at 0 is 0. */
export const relu = (x: Tensor): Tensor => unary('relu', x);
/** x above 0, slope x below; 0.01 by default. */
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor =>
  unary('leakyRelu', x, checkFinite('leakyRelu: slope', slope));
/** x above 0, alpha (e^x - 1) below; 1 by default. */
export const elu = (x: Tensor, alpha = 1): Tensor => unary('elu', x, checkFinite('elu: alpha', alpha));
/** x Phi(x), with the error function (Hendrycks and Gimpel 2016). */
export const gelu = (x: Tensor): Tensor => unary('gelu', x);
/** x sigmoid(x) */
export const silu = (x: Tensor): Tensor => unary('silu', x);
/** 1 / (1 + e^-x) */
export const sigmoid = (x: Tensor): Tensor => unary('sigmoid', x);
/** The hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => unary('tanh', x);
/** ln(1 + e^x) */
export const softplus = (x: Tensor): Tensor => unary('softplus', x);
export const sin = (x: Tensor): Tensor => unary('sin', x);
export const cos = (x: Tensor): Tensor => unary('cos', x);
/** Half to even; the derivative is 1, straight through. */
export const round = (x: Tensor): Tensor => unary('round', x);
/** -1, 0 or 1; the derivative is 0. */
export const sign = (x: Tensor): Tensor => unary('sign', x);
/** The greatest whole number not above x; the derivative is 0. */
export const floor = (x: Tensor): Tensor => unary('floor', x);
/** a x + b with numbers a and b. */
export const affine = (x: Tensor, a: number, b: number): Tensor => unary('affine', x, a, b);
/** x to a number's power. */
export const power = (x: Tensor, exponent: number): Tensor =>
  unary('pow', x, checkFinite('pow: exponent', exponent));

/** x within [low, high]; the derivative is 1 inside and at the bounds, 0 outside. */
export function clamp(
  x: Tensor,
  low: number = Number.NEGATIVE_INFINITY,
  high: number = Number.POSITIVE_INFINITY,
): Tensor {
  if (!(low <= high)) invalidArgument('clamp', 'low <= high', `${low} and ${high}`);
  return unary('clamp', x, low, high);
}
