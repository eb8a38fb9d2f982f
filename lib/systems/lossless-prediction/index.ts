/**
 * Lossy compression for lossless prediction (Dubois et al. 2021): VC, VIC, BINCE and the bottleneck over frozen
 * features. See README.md.
 */
export * from './banana.js';
export {
  type CompressedExamples,
  type CompressImagesOptions,
  codecOf,
  compressImages,
} from './codec_model.js';
export { Compressor, type Latents } from './compressor.js';
export * from './config.js';
export * from './evaluate.js';
export * from './objectives.js';
export * from './pictures.js';
export { evaluatePixels, type PixelNumbers } from './pixels.js';
export * from './published.js';
export * from './run.js';
export { openTrainingData, type TrainingData, trainingDataOf } from './sources.js';
