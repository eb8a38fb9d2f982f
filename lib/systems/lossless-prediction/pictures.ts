/** What only the trained model can show: the cells into which it cuts the plane, and what it makes of images. */
import { type ImageDataset, openDataset } from '../../data/index.js';
import { bananaBatch } from './banana.js';
import { decodeLatents, encodeExamples } from './encode.js';
import type { Run } from './run.js';
import { kTestSeed, originalSteps, testSteps, viewsOf } from './views.js';

/** A partition of the plane, as figure 4 of the paper draws it. */
export interface CellPicture {
  readonly width: number;
  readonly height: number;
  /** x from, x to, y from, y to: the outer edges of the grid. */
  readonly extent: readonly [number, number, number, number];
  /** [height][width] the code of the middle of each grid cell, numbered by first use; row 0 is the lowest. */
  readonly ids: Int32Array;
  /** [n][2] points of the source. */
  readonly samples: Float32Array;
  /** Where the decoder puts each code, and how often points of the source have it. None without a decoder. */
  readonly codes: readonly { readonly x: number; readonly y: number; readonly probability: number }[];
}

export interface CellOptions {
  /** Grid cells along each axis. Default 400. */
  readonly resolution?: number;
  /** Points of the source that are drawn. Default 2000. */
  readonly samples?: number;
  readonly signal?: AbortSignal;
}

const kExtent = [-7, 5, -7.5, 4.5] as const;
const kCodeExamples = 2 ** 16;

/** The cells of a run on the banana. */
export async function bananaCells(run: Run, options: CellOptions = {}): Promise<CellPicture> {
  const { model, shape, config } = run;
  const size = options.resolution ?? 400;
  const [x0, x1, y0, y1] = kExtent;
  const grid = new Float32Array(2 * size * size);
  for (let row = 0, at = 0; row < size; row++)
    for (let column = 0; column < size; column++) {
      grid[at++] = x0 + ((column + 0.5) / size) * (x1 - x0);
      grid[at++] = y0 + ((row + 0.5) / size) * (y1 - y0);
    }
  const codes = new CodeNumbers(model.latents);
  const cells = await encodeExamples(model, shape, size * size, partsOf(grid, 2), options.signal);
  const ids = codes.numbersOf(cells.zHat);
  const { points } = bananaBatch(kTestSeed, 0, kCodeExamples, config.invariance);
  const encoded = await encodeExamples(model, shape, kCodeExamples, partsOf(points, 2), options.signal);
  const counts = new Map<number, number>();
  for (const id of codes.numbersOf(encoded.zHat)) counts.set(id, (counts.get(id) ?? 0) + 1);
  const used = [...counts.keys()];
  const decoded = model.decoder
    ? await decodeLatents(model, codes.rowsOf(used), false, options.signal)
    : new Float32Array(0);
  return {
    ...{ width: size, height: size, extent: kExtent, ids },
    samples: points.subarray(0, 2 * (options.samples ?? 2000)),
    codes: Array.from({ length: decoded.length / 2 }, (_, i) => ({
      ...{ x: decoded[2 * i]!, y: decoded[2 * i + 1]! },
      probability: counts.get(used[i]!)! / kCodeExamples,
    })),
  };
}

const partsOf = (data: Float32Array, width: number) => (first: number, count: number) =>
  data.subarray(first * width, (first + count) * width);

/** Numbers codes by their values, in the order in which they come. */
class CodeNumbers {
  readonly #width: number;
  readonly #numbers = new Map<string, number>();
  readonly #rows: Float32Array[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  numbersOf(zHat: Float32Array): Int32Array {
    const numbers = new Int32Array(zHat.length / this.#width);
    for (let i = 0; i < numbers.length; i++) {
      const row = zHat.subarray(i * this.#width, (i + 1) * this.#width);
      const key = row.join();
      let number = this.#numbers.get(key);
      if (number === undefined) {
        number = this.#rows.length;
        this.#numbers.set(key, number);
        this.#rows.push(row);
      }
      numbers[i] = number;
    }
    return numbers;
  }

  rowsOf(numbers: readonly number[]): Float32Array {
    const rows = new Float32Array(numbers.length * this.#width);
    for (const [i, number] of numbers.entries()) rows.set(this.#rows[number]!, i * this.#width);
    return rows;
  }
}

export interface Reconstructions {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Rows of images [count][height][width][channels], values from 0 to 1; none for a model without a decoder. */
  readonly rows: readonly { readonly label: string; readonly images: Float32Array }[];
}

/** The first test images, what the encoder sees of them, and what the decoder makes of their codes. */
export async function reconstructions(run: Run, count: number): Promise<Reconstructions> {
  const { config, model, shape } = run;
  const test = (await openDataset(config.data, 'test')) as ImageDataset;
  const { height, width, channels } = test;
  if (test.kind !== 'images' || !model.decoder) return { height, width, channels, rows: [] };
  const images = Math.min(count, test.count);
  const original = await viewsOf(test, originalSteps(config), 0n, 0)(0, images);
  const augmented = await viewsOf(test, config.augmentation, kTestSeed, 0)(0, images);
  const [h, w, c] = shape as [number, number, number];
  const read = viewsOf(test, testSteps(config), kTestSeed, 0);
  const { zHat } = await encodeExamples(model, shape, images, read);
  const decoded = await decodeLatents(model, zHat, config.distortion === 'bce');
  return {
    ...{ height: h, width: w, channels: c },
    rows: [
      { label: 'image', images: original },
      { label: 'augmented', images: augmented },
      { label: 'decoded', images: decoded },
    ],
  };
}
