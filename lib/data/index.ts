/** Files of vectors: .npy, .safetensors and .fvecs, read and written in batches of rows. */
export { type NpyShape, NpyWriter } from './npy_writer.js';
export { type OpenVectorsOptions, openVectors } from './open_vectors.js';
export { encodePng, type PixelImage, smallestPng } from './png_writer.js';
export type { BatchOptions, VectorDtype, VectorFile, VectorFormat } from './row_file.js';
