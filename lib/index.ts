/** bince: bottleneck InfoNCE. The layers are imported by name: `bince/kernels`, `bince/codec`, `bince/decoder`. */
export { BinceError, type BinceErrorCode } from './errors.js';
