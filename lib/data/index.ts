/** Data: files of vectors, data sets of images and vectors, augmentations, seeded batches. */
export { type AugmentOptions, augment, augmentedShape, augmentSync, type ImageShape } from './augment.js';
export * from './augmentation.js';
export {
  type Batch,
  DataLoader,
  type DataLoaderOptions,
  type EpochOptions,
} from './data_loader.js';
export {
  type Dataset,
  type ImageDataset,
  type ImageDatasetOptions,
  imageDataset,
  sliceDataset,
  type VectorDataset,
  type VectorDatasetOptions,
  vectorDataset,
} from './dataset.js';
export { type IdxArray, type IdxDtype, readIdx } from './idx.js';
export { type ImageFolderOptions, readImageFolder } from './image_folder.js';
export { type LosslessBits, type LosslessBitsOptions, losslessBits } from './image_sizes.js';
export { type NpyShape, NpyWriter } from './npy_writer.js';
export {
  fashionFolder,
  type OpenDatasetOptions,
  openDataset,
  openImageDataset,
  type Split,
} from './open_dataset.js';
export { type OpenVectorsOptions, openVectors } from './open_vectors.js';
export { encodePng, type PixelImage, smallestPng } from './png.js';
export type { BatchOptions, VectorDtype, VectorFile, VectorFormat } from './row_file.js';
