/** Tensors in native memory, and who frees them. */

export { fromBfloat16, toBfloat16 } from './bfloat16.js';
export {
  arange,
  eye,
  full,
  ones,
  type RandomOptions,
  rand,
  randn,
  type TensorData,
  type TensorOptions,
  tensor,
  zeros,
} from './factories.js';
export {
  defaultGenerator,
  Generator,
  type GeneratorState,
  manualSeed,
  type RandomRange,
} from './generator.js';
export { debugLeaks, type Leak, leaks } from './leaks.js';
export { keep, type Memory, type MemoryCounts, memory, noGrad, scope, trimMemory } from './scope.js';
export type { DLPackCapsule, DType, Handle, TypedArray } from './storage.js';
export { aliasTensor, emptyTensor, type NestedArray, type Shape, Tensor } from './tensor.js';
