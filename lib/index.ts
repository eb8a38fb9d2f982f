/**
 * bince: bottleneck InfoNCE. The layers are imported by name: `bince/kernels`,
 * `bince/codec`, `bince/fit`, `bince/data`, `bince/decoder`.
 */
export { BinceError, type BinceErrorCode } from './errors.js';
