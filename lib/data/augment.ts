/** Batches of augmented images, made by native code on several threads. */
import { invalidArgument } from '../errors.js';
import { checkCount, splitSeed } from '../kernels/entropy_arguments.js';
import { native, withCancel } from '../native.js';
import type { Augmentation } from './augmentation.js';
import { packSteps } from './augmentation_record.js';

type AugmentCall = [
  count: number,
  rows: number,
  height: number,
  width: number,
  channels: number,
  images: Uint8Array | Float32Array,
  indexes: Int32Array | undefined,
  keys: Int32Array | undefined,
  seedLow: number,
  seedHigh: number,
  epoch: number,
  view: number,
  steps: Float64Array,
  out: Float32Array,
];

declare module '../native.js' {
  interface NativeCalls {
    augmentSync(...call: AugmentCall): void;
    augmentAsync(...call: [...AugmentCall, cancel: Int32Array | undefined]): Promise<void>;
  }
}

/** Sizes of a batch of images, channels last. */
export type ImageShape = readonly [images: number, height: number, width: number, channels: number];

export interface AugmentOptions {
  /** Of `images`: with `indexes` of the whole data set. Channels are 1 or 3. */
  readonly shape: ImageShape;
  readonly steps: Augmentation;
  /** Together with epoch, view and an image's key it decides what is drawn; 0 by default. */
  readonly seed?: number | bigint;
  readonly epoch?: number;
  readonly view?: number;
  /** Which images, in which order; by default all. */
  readonly indexes?: Int32Array;
  /** The images' numbers for what is drawn; by default their indexes. */
  readonly keys?: Int32Array;
  /** Filled and returned; by default a new array. */
  readonly out?: Float32Array;
}

/** The shape of the results. */
export function augmentedShape(shape: ImageShape, steps: Augmentation, count?: number): ImageShape {
  const [images, height, width, channels] = checkShape(shape);
  const packed = packSteps(steps, height, width, channels);
  return [count ?? images, packed.height, packed.width, channels];
}

function checkShape(shape: ImageShape): ImageShape {
  if (!Array.isArray(shape) || shape.length !== 4)
    invalidArgument('shape', '[images, height, width, channels]', shape);
  for (const size of shape as readonly number[]) checkCount('shape', size, 1);
  if (shape[3] !== 1 && shape[3] !== 3) invalidArgument('shape', '1 or 3 channels', shape[3]);
  return shape;
}

function checkIndexes(name: string, value: Int32Array | undefined): void {
  if (value !== undefined && !(value instanceof Int32Array)) invalidArgument(name, 'an Int32Array', value);
}

function prepare(images: Uint8Array | Float32Array, options: AugmentOptions): AugmentCall {
  const [rows, height, width, channels] = checkShape(options.shape);
  if (!(images instanceof Uint8Array) && !(images instanceof Float32Array))
    invalidArgument('images', 'a Uint8Array or a Float32Array', images);
  if (images.length !== rows * height * width * channels)
    invalidArgument(
      'images',
      `${rows * height * width * channels} elements for the shape [${options.shape}]`,
      images,
    );
  const { indexes, keys } = options;
  checkIndexes('indexes', indexes);
  checkIndexes('keys', keys);
  const count = indexes ? indexes.length : rows;
  if (count === 0) invalidArgument('indexes', 'at least one index', indexes);
  if (keys && keys.length !== count) invalidArgument('keys', `${count} keys`, keys);
  const [seedLow, seedHigh] = splitSeed(options.seed);
  const packed = packSteps(options.steps, height, width, channels);
  const size = count * packed.height * packed.width * channels;
  const out = options.out ?? new Float32Array(size);
  if (!(out instanceof Float32Array) || out.length !== size)
    invalidArgument('out', `Float32Array(${size})`, out);
  return [
    ...([count, rows, height, width, channels] as const),
    images,
    indexes,
    keys,
    seedLow,
    seedHigh,
    checkWord('epoch', options.epoch, 2 ** 32),
    checkWord('view', options.view, 2 ** 31),
    packed.records,
    out,
  ];
}

function checkWord(name: string, value: number | undefined, limit: number): number {
  if (value === undefined) return 0;
  if (!Number.isInteger(value) || value < 0 || value >= limit)
    invalidArgument(name, `a whole number from 0 to ${limit - 1}`, value);
  return value;
}

/**
 * Applies the steps to images [N, H, W, C] of bytes (255 is one) or numbers from 0 to 1; float32 [N', H', W', C] comes
 * back. What is drawn depends on (seed, epoch, view, key of the image, place of the step) alone: not on threads, nor
 * on the batch. Throws BINCE_INVALID_VALUE with the image for a NaN or an infinity. The arrays must not be changed
 * until the promise settles.
 */
export async function augment(
  images: Uint8Array | Float32Array,
  options: AugmentOptions & { readonly signal?: AbortSignal | undefined },
): Promise<Float32Array> {
  const call = prepare(images, options);
  await withCancel(options.signal, (cancel) => native().augmentAsync(...call, cancel));
  return call[13];
}

/** {@link augment} on the calling thread and its helpers. */
export function augmentSync(images: Uint8Array | Float32Array, options: AugmentOptions): Float32Array {
  const call = prepare(images, options);
  native().augmentSync(...call);
  return call[13];
}
