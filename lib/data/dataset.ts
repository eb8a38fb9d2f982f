/** Data sets in memory: images with labels, and vectors with labels or pairs; both checked when they are made. */
import { BinceError, invalidArgument } from '../errors.js';

/** N images of [height][width][channels], one after the other. */
export interface ImageDataset {
  readonly kind: 'images';
  readonly name: string;
  /** N. */
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** 1 or 3. */
  readonly channels: number;
  /** Bytes, or numbers from 0 to 1. */
  readonly images: Uint8Array | Float32Array;
  /** [N] from 0 to classes - 1, where there are any. */
  readonly labels: Int32Array | undefined;
  /** 0 without labels. */
  readonly classes: number;
  readonly classNames: readonly string[] | undefined;
}

/** N rows of `channels` numbers. */
export interface VectorDataset {
  readonly kind: 'vectors';
  readonly name: string;
  readonly count: number;
  readonly channels: number;
  readonly vectors: Float32Array;
  /** The second view of each row, where the data come in pairs. */
  readonly pairs: Float32Array | undefined;
  readonly labels: Int32Array | undefined;
  readonly classes: number;
}

export type Dataset = ImageDataset | VectorDataset;

interface Labelled {
  readonly name: string;
  readonly labels?: ArrayLike<number> | undefined;
  /** By default the largest label and one. */
  readonly classes?: number | undefined;
}

export interface ImageDatasetOptions extends Labelled {
  readonly images: Uint8Array | Float32Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly classNames?: readonly string[] | undefined;
}

export interface VectorDatasetOptions extends Labelled {
  readonly vectors: Float32Array;
  readonly channels: number;
  readonly pairs?: Float32Array | undefined;
}

function invalid(name: string, what: string, hint?: string): never {
  throw new BinceError('BINCE_INVALID_VALUE', `${name}: ${what}`, hint === undefined ? {} : { hint });
}

/** Rows of `size` elements in an array of `length`; BINCE_INVALID_VALUE where that is no whole number, or none. */
function countRows(name: string, length: number, size: number, what: string): number {
  if (length === 0) invalid(name, `no ${what}`);
  if (length % size !== 0) invalid(name, `${length} values are not a whole number of ${what} of ${size}`);
  return length / size;
}

function checkLabels(
  { name, labels, classes }: Labelled,
  count: number,
): { labels: Int32Array | undefined; classes: number } {
  if (labels === undefined) return { labels: undefined, classes: 0 };
  if (labels.length !== count) invalid(name, `${labels.length} labels for ${count} examples`);
  const out = Int32Array.from(labels);
  let largest = 0;
  for (let i = 0; i < count; i++) {
    const label = labels[i]!;
    if (out[i] !== label || label < 0 || (classes !== undefined && label >= classes)) {
      const range = classes === undefined ? 'a whole number of at least 0' : `0 to ${classes - 1}`;
      invalid(name, `label ${i} is ${label}, expected ${range}`);
    }
    if (label > largest) largest = label;
  }
  return { labels: out, classes: classes ?? largest + 1 };
}

function checkUnitRange(name: string, images: Float32Array, size: number): void {
  for (let i = 0; i < images.length; i++) {
    if (images[i]! >= 0 && images[i]! <= 1) continue;
    invalid(
      name,
      `image ${Math.floor(i / size)} holds ${images[i]}, expected numbers from 0 to 1`,
      'divide bytes by 255, or save them as uint8',
    );
  }
}

/** Checks images and labels and puts them together; the arrays are not copied. */
export function imageDataset(options: ImageDatasetOptions): ImageDataset {
  const { name, images, height, width, channels, classNames } = options;
  for (const [key, size] of Object.entries({ height, width }))
    if (!Number.isInteger(size) || size < 1) invalidArgument(key, 'a positive number of pixels', size);
  if (channels !== 1 && channels !== 3)
    invalid(name, `${channels} channels, expected 1 or 3`, 'images lie as [N, height, width, channels]');
  const size = height * width * channels;
  const count = countRows(name, images.length, size, 'images');
  if (images instanceof Float32Array) checkUnitRange(name, images, size);
  return {
    ...{ kind: 'images', name, count, height, width, channels, images, classNames },
    ...checkLabels({ ...options, classes: options.classes ?? classNames?.length }, count),
  };
}

function checkFinite(name: string, values: Float32Array, channels: number): void {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    invalid(name, `row ${Math.floor(bad / channels)}, channel ${bad % channels} is ${values[bad]}`);
}

/** Checks vectors, pairs and labels and puts them together; the arrays are not copied. */
export function vectorDataset(options: VectorDatasetOptions): VectorDataset {
  const { name, vectors, channels, pairs } = options;
  if (!Number.isInteger(channels) || channels < 1) invalidArgument('channels', 'a positive number', channels);
  const count = countRows(name, vectors.length, channels, 'vectors');
  if (pairs && pairs.length !== vectors.length)
    invalid(name, `${pairs.length / channels} pairs for ${count} vectors of ${channels} channels`);
  checkFinite(name, vectors, channels);
  if (pairs) checkFinite(`${name} (pairs)`, pairs, channels);
  return { kind: 'vectors', name, count, channels, vectors, pairs, ...checkLabels(options, count) };
}

/** The examples [from, to) of a data set; views of the same memory. */
export function sliceDataset<D extends Dataset>(dataset: D, from: number, to: number): D {
  if (!Number.isInteger(from) || from < 0 || from >= dataset.count)
    invalidArgument('from', `an example from 0 to ${dataset.count - 1}`, from);
  if (!Number.isInteger(to) || to <= from || to > dataset.count)
    invalidArgument('to', `an end from ${from + 1} to ${dataset.count}`, to);
  const rows = <T extends Uint8Array | Float32Array | Int32Array | undefined>(array: T, size: number): T =>
    array?.subarray(from * size, to * size) as T;
  const shared = { count: to - from, labels: rows(dataset.labels, 1) };
  if (dataset.kind === 'images') {
    const size = dataset.height * dataset.width * dataset.channels;
    return { ...dataset, ...shared, images: rows(dataset.images, size) };
  }
  const { vectors, pairs, channels } = dataset;
  return { ...dataset, ...shared, vectors: rows(vectors, channels), pairs: rows(pairs, channels) };
}
