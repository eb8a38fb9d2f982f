/** Optimisers, clipping of gradients, and schedules. */
export { BinceError, type BinceErrorCode } from '../errors.js';
export { Adam, type AdamOptions, AdamW } from './adam.js';
export { clipGradNorm, gradNorm } from './clip.js';
export {
  type Group,
  Optimizer,
  type OptimizerOptions,
  type ParameterGroup,
  type Parameters,
  type StepOptions,
  type Update,
} from './optimizer.js';
export * from './schedules.js';
export { SGD, type SGDOptions } from './sgd.js';
