/** The usual operations as methods of Tensor. */
import type { DeviceChoice } from '../device/choice.js';
import { type DType, Tensor } from '../tensor/tensor.js';
import * as binary from './operations/binary.js';
import * as elementwise from './operations/elementwise.js';
import { convert, gatherRows } from './operations/indexing.js';
import { type MatmulOptions, matmul } from './operations/matmul.js';
import { to } from './operations/placement.js';
import * as reduce from './operations/reduce.js';
import * as shape from './operations/shape.js';
import { backward } from './tape.js';

type Operand = binary.Operand;
type ReduceOver = reduce.ReduceOver;

declare module '../tensor/tensor.js' {
  interface Tensor {
    /** See {@link backward}. */
    backward(gradient?: Tensor): void;
    add(y: Operand): Tensor;
    sub(y: Operand): Tensor;
    mul(y: Operand): Tensor;
    div(y: Operand): Tensor;
    pow(y: Operand): Tensor;
    neg(): Tensor;
    exp(): Tensor;
    log(): Tensor;
    sqrt(): Tensor;
    square(): Tensor;
    abs(): Tensor;
    relu(): Tensor;
    sigmoid(): Tensor;
    tanh(): Tensor;
    softplus(): Tensor;
    round(): Tensor;
    clamp(low?: number, high?: number): Tensor;
    sum(over?: ReduceOver): Tensor;
    mean(over?: ReduceOver): Tensor;
    max(over?: ReduceOver): Tensor;
    min(over?: ReduceOver): Tensor;
    argmax(): Tensor;
    matmul(b: Tensor, options?: MatmulOptions): Tensor;
    reshape(shape: Shape): Tensor;
    flatten(axis?: number): Tensor;
    permute(order: readonly number[]): Tensor;
    transpose(): Tensor;
    expand(shape: Shape): Tensor;
    slice(axis: number, start: number, end?: number): Tensor;
    gatherRows(index: Tensor): Tensor;
    convert(dtype: DType, scale?: number): Tensor;
    /** See {@link to}. */
    to(device: DeviceChoice): Tensor;
  }
}

const functions = {
  backward,
  add: binary.add,
  sub: binary.sub,
  mul: binary.mul,
  div: binary.div,
  pow: binary.pow,
  neg: elementwise.neg,
  exp: elementwise.exp,
  log: elementwise.log,
  sqrt: elementwise.sqrt,
  square: elementwise.square,
  abs: elementwise.abs,
  relu: elementwise.relu,
  sigmoid: elementwise.sigmoid,
  tanh: elementwise.tanh,
  softplus: elementwise.softplus,
  round: elementwise.round,
  clamp: elementwise.clamp,
  sum: reduce.sum,
  mean: reduce.mean,
  max: reduce.max,
  min: reduce.min,
  argmax: reduce.argmax,
  matmul,
  reshape: shape.reshape,
  flatten: shape.flatten,
  permute: shape.permute,
  transpose: shape.transpose,
  expand: reduce.expand,
  slice: shape.slice,
  gatherRows,
  convert,
  to,
} as const;

for (const [name, operation] of Object.entries(functions)) {
  const call = operation as (x: Tensor, a: unknown, b: unknown, c: unknown) => unknown;
  Object.defineProperty(Tensor.prototype, name, {
    configurable: true,
    writable: true,
    value: function method(this: Tensor, a: unknown, b: unknown, c: unknown) {
      return call(this, a, b, c);
    },
  });
}
