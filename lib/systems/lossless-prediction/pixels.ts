/** What the pixels themselves cost and tell: the figures that codes stand beside. */
import {
  augment,
  augmentedShape,
  type ImageDataset,
  imageDataset,
  losslessBits,
  openImageDataset,
} from '../../data/index.js';
import { BinceError } from '../../errors.js';
import { trainProbe } from '../../metrics/index.js';
import type { ExperimentConfig } from './config.js';
import type { EvaluateOptions, Evaluation } from './evaluate.js';
import { kProbeSeed, kTestSeed } from './views.js';

export interface PixelNumbers extends Pick<Evaluation, 'rawBits' | 'pngBits' | 'webpBits'> {
  /** Accuracy of a linear classifier on the pixels, where there are labels. */
  readonly linearProbe?: number;
}

/** The figures of the augmented test images as they are; probes learn on as many training images as those of codes. */
export async function evaluatePixels(
  config: ExperimentConfig,
  options: EvaluateOptions = {},
): Promise<PixelNumbers> {
  const test = await openImageDataset(config.data, 'test');
  const numbers = {
    rawBits: 8 * test.height * test.width * test.channels,
    ...(await losslessNumbers(config, test, options)),
  };
  const train = await openImageDataset(config.data, 'train');
  if (!test.labels || !train.labels) return numbers;
  options.onProgress?.('training a linear probe on pixels');
  const known = await augmentedImages(train, config, {
    ...{ count: options.probeExamples, views: options.probeViews ?? 2, seed: kProbeSeed },
  });
  const probe = await trainProbe(known, {
    ...{ classes: train.classes, epochs: options.probeEpochs ?? 10 },
    ...(options.signal && { signal: options.signal }),
  });
  const asked = { count: options.examples, views: 1, seed: kTestSeed };
  const linearProbe = probe.accuracy(await augmentedImages(test, config, asked));
  probe.dispose();
  return { ...numbers, linearProbe };
}

interface AugmentedViews {
  /** Images, at most. */
  readonly count: number | undefined;
  readonly views: number;
  readonly seed: bigint;
}

/** [views * N][pixels] from 0 to 1, with the labels. */
async function augmentedImages(dataset: ImageDataset, config: ExperimentConfig, asked: AugmentedViews) {
  const count = Math.min(asked.count ?? dataset.count, dataset.count);
  const { shape, pixels, steps } = augmentedPixels(dataset, config);
  const features = new Float32Array(asked.views * count * pixels);
  const labels = new Int32Array(asked.views * count);
  const indexes = Int32Array.from({ length: count }, (_, i) => i);
  for (let view = 0; view < asked.views; view++) {
    const out = features.subarray(view * count * pixels, (view + 1) * count * pixels);
    await augment(dataset.images, { shape, steps, indexes, seed: asked.seed, epoch: view, out });
    labels.set(dataset.labels?.subarray(0, count) ?? [], view * count);
  }
  return { features, labels };
}

/** The augmentation without normalisation, which images in files do not have, and its images' size. */
function augmentedPixels({ count, height, width, channels }: ImageDataset, config: ExperimentConfig) {
  const shape = [count, height, width, channels] as const;
  const steps = config.augmentation.filter((step) => !('normalise' in step));
  const [, h, w] = augmentedShape(shape, steps);
  return { shape, steps, height: h, width: w, pixels: h * w * channels };
}

/** Bits of augmented test images as PNG and WebP. */
export async function losslessNumbers(
  config: ExperimentConfig,
  test: ImageDataset,
  { examples, losslessImages = 500, onProgress, signal }: EvaluateOptions,
): Promise<Pick<Evaluation, 'pngBits' | 'webpBits'>> {
  const count = Math.min(losslessImages, examples ?? test.count, test.count);
  if (count === 0) return {};
  onProgress?.('storing test images as PNG and WebP');
  const { features } = await augmentedImages(test, config, { count, views: 1, seed: kTestSeed });
  const images = Uint8Array.from(features, (value) => Math.round(255 * value));
  const { height, width } = augmentedPixels(test, config);
  const { name, channels } = test;
  try {
    const dataset = imageDataset({ name, images, height, width, channels });
    const { png, webp } = await losslessBits(dataset, { images: count, signal });
    return { pngBits: png, ...(webp !== undefined && { webpBits: webp }) };
  } catch (error) {
    if (error instanceof BinceError && error.code === 'BINCE_NOT_FOUND') return {}; // no sharp
    throw error;
  }
}
