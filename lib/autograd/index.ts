/** Operations with their derivatives, the tape, and gradient checks. */
import './methods.js';

export { type GradientCheckOptions, type GradientCheckResult, gradientCheck } from './gradient_check.js';
export {
  add,
  div,
  equal,
  greater,
  greaterEqual,
  l1,
  maximum,
  minimum,
  mse,
  mul,
  type Operand,
  pow,
  sub,
} from './operations/binary.js';
export { type ContrastiveOptions, infoNCE, type Lines } from './operations/contrastive.js';
export * from './operations/contrastive_losses.js';
export {
  type Conv2dOptions,
  type ConvTranspose2dOptions,
  conv2d,
  convTranspose2d,
  type Pair,
} from './operations/convolution.js';
export * from './operations/elementwise.js';
export * from './operations/entropy.js';
export * from './operations/image.js';
export * from './operations/indexing.js';
export * from './operations/matmul.js';
export * from './operations/normalization.js';
export { to } from './operations/placement.js';
export {
  argmax,
  expand,
  max,
  mean,
  min,
  type ReduceOptions,
  type ReduceOver,
  sum,
} from './operations/reduce.js';
export * from './operations/shape.js';
export * from './operations/softmax.js';
export { backward, type Derivative, record, type TapeNode, willRecord } from './tape.js';
