/** The low-level API: the three kernel families on typed arrays. */
export { BinceError, type BinceErrorCode } from '../errors.js';
export * from './build_tables.js';
export {
  BlockCoder,
  type BlockFormat,
  type Coder,
  chooseLanes,
  crc32c,
  type DecodeBlocksOptions,
  decode,
  decodeSync,
  type EncodeBlocksOptions,
  type EncodedBlocks,
  encode,
  encodeSync,
  type SymbolCoding,
} from './coding.js';
export {
  compressai,
  type DecodeStringsOptions,
  type EncodeStringsOptions,
  type StringCoding,
} from './compressai.js';
export type { ImportedBottleneck, StateParameters, StateTensor } from './compressai_state.js';
export {
  type AsyncOptions,
  type Denominator,
  type GradientName,
  type InfoNCEOptions,
  type InfoNCEResult,
  infoNCE,
  infoNCESync,
  type LinePair,
  type Vectors,
} from './contrastive.js';
export * from './contrastive_losses.js';
export type { TensorInfoNCEOptions, TensorInfoNCEResult } from './contrastive_tensors.js';
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
export { RangeDecoder, RangeEncoder } from './range_stream.js';
export type { CdfTables } from './tables.js';
