/**
 * bince: bottleneck InfoNCE. Tensors and operations with their derivatives; the other layers are imported by name:
 * `bince/kernels`, `bince/codec`, `bince/fit`, `bince/data`, `bince/decoder`.
 */
export * from './autograd/index.js';
export { BinceError, type BinceErrorCode } from './errors.js';
export * from './tensor/index.js';
