/**
 * bince: bottleneck InfoNCE. Tensors and operations with their derivatives, devices; the other layers are imported by name:
 * `bince/nn`, `bince/optim`, `bince/train`, `bince/data`, `bince/metrics`, `bince/report`,
 * `bince/systems/lossless-prediction`, `bince/kernels`, `bince/codec`, `bince/fit`, `bince/decoder`.
 */
export * from './autograd/index.js';
export * from './device/index.js';
export { BinceError, type BinceErrorCode } from './errors.js';
export * from './tensor/index.js';
