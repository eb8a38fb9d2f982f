/** What lossless image formats make of a data set: the figures to stand beside a compressor's. */
import { setImmediate } from 'node:timers/promises';
import { checkCount } from '../kernels/entropy_arguments.js';
import type { ImageDataset } from './dataset.js';
import { loadSharp, type Sharp } from './optional_package.js';
import { permutation } from './permutation.js';
import { smallestPng } from './png.js';

export interface LosslessBits {
  /** Images that were measured. */
  readonly count: number;
  /** Bits an image as it lies in memory, 8 a value. */
  readonly raw: number;
  /** Mean bits of one PNG file an image, headers and all. */
  readonly png: number;
  /** Mean bits of one lossless WebP file an image; undefined without sharp. */
  readonly webp: number | undefined;
}

export interface LosslessBitsOptions {
  /** Images of the sample, 500 by default; drawn by seed. */
  readonly images?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Mean bits an image as PNG and as lossless WebP, each with the encoder's best effort, one file an image. PNG of grey
 * images is the smallest of six ways to filter; PNG of colour and WebP need the optional package sharp (colour without
 * it: BINCE_NOT_FOUND with the command that installs it; WebP without it: undefined).
 */
export async function losslessBits(
  dataset: ImageDataset,
  options: LosslessBitsOptions = {},
): Promise<LosslessBits> {
  const { height, width, channels } = dataset;
  const count = Math.min(dataset.count, checkCount('images', options.images ?? 500, 1));
  const sample = permutation(dataset.count, [options.seed ?? 0, 0], 0).subarray(0, count);
  const sharp = await loadSharp('PNG and WebP of colour images').catch((error: unknown) => {
    if (channels === 3) throw error;
    return undefined;
  });
  let png = 0;
  let webp = 0;
  for (const index of sample) {
    options.signal?.throwIfAborted();
    const pixels = pixelsOf(dataset, index);
    const sizes = await Promise.all([
      channels === 1 ? greyPng(pixels, width, height) : sharpSize(sharp!, dataset, pixels, 'png'),
      sharp ? sharpSize(sharp, dataset, pixels, 'webp') : 0,
    ]);
    png += sizes[0];
    webp += sizes[1];
  }
  const bits = (bytes: number) => (8 * bytes) / count;
  return {
    count,
    raw: 8 * height * width * channels,
    png: bits(png),
    webp: sharp ? bits(webp) : undefined,
  };
}

/** The bytes of one image; numbers from 0 to 1 are rounded. */
function pixelsOf({ images, height, width, channels }: ImageDataset, index: number): Uint8Array {
  const size = height * width * channels;
  const values = images.subarray(index * size, (index + 1) * size);
  return values instanceof Uint8Array ? values : Uint8Array.from(values, (value) => Math.round(value * 255));
}

async function greyPng(pixels: Uint8Array, width: number, height: number): Promise<number> {
  await setImmediate(); // the event loop stays live
  return smallestPng({ pixels, width, height, channels: 1 }).length;
}

async function sharpSize(
  sharp: Sharp,
  { width, height, channels }: ImageDataset,
  pixels: Uint8Array,
  format: 'png' | 'webp',
): Promise<number> {
  const image = sharp(pixels, { raw: { width, height, channels: channels as 1 | 3 } });
  const encoded =
    format === 'png'
      ? image.png({ compressionLevel: 9, effort: 10, adaptiveFiltering: true })
      : image.webp({ lossless: true, effort: 6, quality: 100 });
  return (await encoded.toBuffer()).length;
}
