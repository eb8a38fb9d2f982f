/** Operations with their derivatives, the tape, and gradient checks. */
import './methods.js';

export * from './operations/binary.js';
export * from './operations/elementwise.js';
export * from './operations/indexing.js';
export * from './operations/matmul.js';
export {
  argmax,
  expand,
  max,
  mean,
  min,
  type ReduceOptions,
  sum,
} from './operations/reduce.js';
export * from './operations/shape.js';
export { backward, type Derivative, record, type TapeNode, willRecord } from './tape.js';
