/** The low-level API: the three kernel families on typed arrays. */
export { BinceError, type BinceErrorCode } from '../errors.js';
export * from './build_tables.js';
export { type Description, describe } from './description.js';
export {
  type Cancellable,
  type FactorizedBackwardOptions,
  type FactorizedBackwardResult,
  type FactorizedForwardOptions,
  type FactorizedForwardResult,
  type FactorizedNetwork,
  type FactorizedOptions,
  factorizedBackward,
  factorizedBackwardSync,
  factorizedForward,
  factorizedForwardSync,
  factorizedLogits,
  type QuantileOptions,
  quantileLoss,
  type SolvedQuantiles,
  solveQuantiles,
  solveQuantilesSync,
  uniformNoise,
} from './entropy.js';
export type { Output, Quantize } from './entropy_arguments.js';
export * from './factorized_parameters.js';
export * from './gaussian.js';
