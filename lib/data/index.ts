/** Files of vectors: .npy, .safetensors and .fvecs, read and written in batches of rows. */
export { type AugmentOptions, augment, augmentedShape, augmentSync, type ImageShape } from './augment.js';
export {
  type AffineStep,
  type Augmentation,
  type AugmentationStep,
  augmentations,
  type BlurStep,
  type BorderMode,
  type Chance,
  type CropStep,
  type EraseStep,
  type JitterStep,
  type NormaliseStep,
  type PadStep,
  plainSteps,
  type ResizeStep,
  type Size,
  type Symmetric,
  type TranslateStep,
} from './augmentation.js';
export { type NpyShape, NpyWriter } from './npy_writer.js';
export { type OpenVectorsOptions, openVectors } from './open_vectors.js';
export type { BatchOptions, VectorDtype, VectorFile, VectorFormat } from './row_file.js';
