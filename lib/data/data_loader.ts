/**
 * Batches of a data set: shuffled, augmented, and made ahead on the native thread while the caller works on the present
 * one. A batch depends on (seed, epoch, position) alone, so that a run can go on anywhere to the same numbers.
 */
import { BinceError, invalidArgument } from '../errors.js';
import { checkCount, splitSeed } from '../kernels/entropy_arguments.js';
import { type AugmentOptions, augment, augmentedShape, augmentSync } from './augment.js';
import { type Augmentation, plainSteps } from './augmentation.js';
import type { Dataset } from './dataset.js';
import { permutation } from './permutation.js';

export interface DataLoaderOptions {
  /** Examples a batch. */
  readonly batch: number;
  /** Another order every epoch; true by default. */
  readonly shuffle?: boolean;
  readonly seed?: number | bigint;
  /** Steps of the views; by default none. */
  readonly augmentation?: Augmentation;
  /** Views of every image, each with its own draws; 1 by default. Vectors with pairs have 2 by default. */
  readonly views?: number;
  /**
   * Also give the images without chance: pad, resize and crop as {@link plainSteps}, values from 0 to 1. Other steps
   * may be given instead of true.
   */
  readonly original?: boolean | Augmentation;
  /** Leave out a last batch that is not full; false by default. */
  readonly dropLast?: boolean;
  /** Batches made ahead, 1 by default, at most 8. */
  readonly prefetch?: number;
  /** Write every batch into the arrays of an earlier one; a batch then holds until the next is asked for. */
  readonly reuse?: boolean;
}

/** B examples. */
export interface Batch {
  readonly epoch: number;
  /** Place in the epoch, from 0. */
  readonly position: number;
  /** B. */
  readonly size: number;
  /** One array a view: [B, H, W, C], or rows [B, D] of vectors. */
  readonly images: readonly Float32Array[];
  /** [B, H, W, C] without chance, where asked for. */
  readonly original: Float32Array | undefined;
  readonly labels: Int32Array | undefined;
  /** Of the examples in the data set. */
  readonly indexes: Int32Array;
}

export interface EpochOptions {
  /** Position of the first batch, 0 by default: where a run goes on. */
  readonly from?: number;
  readonly signal?: AbortSignal | undefined;
}

/** The arrays of one batch. */
interface Buffers {
  readonly images: readonly Float32Array[];
  readonly original: Float32Array | undefined;
  readonly labels: Int32Array | undefined;
  readonly indexes: Int32Array;
}

export class DataLoader {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly views: number;
  /** Batches an epoch. */
  readonly batches: number;
  /** Of one example in `images`: [H, W, C], or [D]. */
  readonly exampleShape: readonly number[];
  /** Of one example in `original`. */
  readonly originalShape: readonly number[];
  readonly #shuffle: boolean;
  readonly #seed: bigint;
  readonly #steps: Augmentation;
  readonly #original: Augmentation | undefined;
  readonly #prefetch: number;
  readonly #reuse: boolean;
  #order: { readonly epoch: number; readonly indexes: Int32Array } | undefined;

  constructor(dataset: Dataset, options: DataLoaderOptions) {
    const { shuffle = true, dropLast = false, augmentation = [], original = false } = options;
    this.dataset = dataset;
    this.batchSize = checkCount('batch', options.batch, 1);
    this.#shuffle = shuffle;
    splitSeed(options.seed); // checks it
    this.#seed = BigInt(options.seed ?? 0);
    this.#prefetch = checkCount('prefetch', options.prefetch ?? 1, 0);
    if (this.#prefetch > 8) invalidArgument('prefetch', 'at most 8 batches', this.#prefetch);
    this.#reuse = options.reuse ?? false;
    this.#steps = augmentation;
    this.#original = original === true ? plainSteps(augmentation) : original || undefined;
    this.views = checkViews(dataset, options, this.#original);
    this.batches = dropLast
      ? Math.floor(dataset.count / this.batchSize)
      : Math.ceil(dataset.count / this.batchSize);
    if (this.batches === 0) {
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `${dataset.name}: ${dataset.count} examples do not fill a batch of ${this.batchSize}`,
        { hint: 'choose a smaller batch, or keep the last one' },
      );
    }
    this.exampleShape = exampleShape(dataset, this.#steps);
    this.originalShape = exampleShape(dataset, this.#original ?? []);
  }

  /** The examples of an epoch in their order. */
  order(epoch: number): Int32Array {
    checkEpoch(epoch);
    if (this.#order?.epoch === epoch) return this.#order.indexes;
    const { count } = this.dataset;
    const indexes = this.#shuffle
      ? permutation(count, splitSeed(this.#seed), epoch)
      : Int32Array.from({ length: count }, (_, i) => i);
    this.#order = { epoch, indexes };
    return indexes;
  }

  /** One batch, made on the native thread. */
  async batch(
    epoch: number,
    position: number,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<Batch> {
    return this.#make(epoch, position, undefined, options.signal);
  }

  /** {@link batch} on the calling thread. */
  batchSync(epoch: number, position: number): Batch {
    const { batch, calls } = this.#plan(epoch, position, undefined);
    for (const [images, call] of calls) augmentSync(images, call);
    return batch;
  }

  /**
   * The batches of an epoch in order, some made ahead. Leaving the loop early waits for those that are under way.
   */
  async *epoch(epoch: number, options: EpochOptions = {}): AsyncGenerator<Batch, void, undefined> {
    const from = checkCount('from', options.from ?? 0, 0);
    if (from > this.batches) invalidArgument('from', `a position from 0 to ${this.batches}`, from);
    checkEpoch(epoch);
    const slots = this.#prefetch + 1;
    const buffers = this.#reuse ? Array.from({ length: slots }, () => this.#allocate(this.batchSize)) : [];
    const pending: Promise<Batch>[] = [];
    let next = from;
    const start = () => {
      const made = this.#make(epoch, next, buffers[next % slots], options.signal);
      made.catch(() => undefined); // reported when it is awaited
      pending.push(made);
      next++;
    };
    try {
      while (next < this.batches && pending.length < slots) start();
      while (pending.length > 0) {
        options.signal?.throwIfAborted();
        const batch = await pending[0]!;
        pending.shift();
        yield batch;
        // The caller is done with the batch: its arrays may be filled again.
        if (next < this.batches) start();
      }
    } finally {
      await Promise.allSettled(pending);
    }
  }

  async #make(
    epoch: number,
    position: number,
    buffers: Buffers | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Batch> {
    const { batch, calls } = this.#plan(epoch, position, buffers);
    await Promise.all(calls.map(([images, call]) => augment(images, { ...call, signal })));
    return batch;
  }

  #allocate(size: number): Buffers {
    const { dataset } = this;
    const floats = (shape: readonly number[]) => new Float32Array(shape.reduce((a, b) => a * b, size));
    return {
      images: Array.from({ length: this.views }, () => floats(this.exampleShape)),
      original: this.#original && floats(this.originalShape),
      labels: dataset.labels && new Int32Array(size),
      indexes: new Int32Array(size),
    };
  }

  /** A batch with all that is copied here, and the native calls that fill the rest. */
  #plan(
    epoch: number,
    position: number,
    given: Buffers | undefined,
  ): { batch: Batch; calls: [Uint8Array | Float32Array, AugmentOptions][] } {
    const order = this.order(epoch);
    checkCount('position', position, 0);
    if (position >= this.batches) invalidArgument('position', `0 to ${this.batches - 1}`, position);
    const { dataset, batchSize } = this;
    const chosen = order.subarray(position * batchSize, (position + 1) * batchSize);
    const size = chosen.length;
    const buffers = given ? shortened(given, size, batchSize) : this.#allocate(size);
    buffers.indexes.set(chosen);
    if (dataset.labels && buffers.labels)
      for (let i = 0; i < size; i++) buffers.labels[i] = dataset.labels[chosen[i]!]!;
    const batch: Batch = { epoch, position, size, ...buffers };
    if (dataset.kind === 'vectors') {
      const sources = [dataset.vectors, dataset.pairs];
      for (const [v, rows] of buffers.images.entries())
        gatherRows(sources[v]!, dataset.channels, chosen, rows);
      return { batch, calls: [] };
    }
    const { count, height, width, channels, images } = dataset;
    const shared = {
      shape: [count, height, width, channels],
      indexes: buffers.indexes,
      seed: this.#seed,
      epoch,
    } as const;
    const calls = buffers.images.map((out, view): [typeof images, AugmentOptions] => [
      images,
      { ...shared, steps: this.#steps, view, out },
    ]);
    if (buffers.original && this.#original)
      calls.push([images, { ...shared, steps: this.#original, out: buffers.original }]);
    return { batch, calls };
  }
}

function checkEpoch(epoch: number): void {
  if (!Number.isInteger(epoch) || epoch < 0 || epoch >= 2 ** 32)
    invalidArgument('epoch', 'a whole number from 0 to 4294967295', epoch);
}

function checkViews(
  dataset: Dataset,
  options: DataLoaderOptions,
  original: Augmentation | undefined,
): number {
  const paired = dataset.kind === 'vectors' && dataset.pairs !== undefined;
  const views = checkCount('views', options.views ?? (paired ? 2 : 1), 0);
  if (views === 0 && !original) invalidArgument('views', 'at least 1, or the original images', views);
  if (dataset.kind === 'images') return views;
  if (options.augmentation?.length || original)
    invalidArgument('augmentation', `images, as ${dataset.name} holds vectors`, options.augmentation);
  if (views > (paired ? 2 : 1))
    invalidArgument('views', paired ? '1 or 2' : '1 for vectors without pairs', views);
  return views;
}

function exampleShape(dataset: Dataset, steps: Augmentation): readonly number[] {
  if (dataset.kind === 'vectors') return [dataset.channels];
  const { count, height, width, channels } = dataset;
  return augmentedShape([count, height, width, channels], steps).slice(1);
}

/** The first `size` examples of buffers for `capacity`. */
function shortened(buffers: Buffers, size: number, capacity: number): Buffers {
  if (size === capacity) return buffers;
  const floats = (array: Float32Array) => array.subarray(0, (array.length / capacity) * size);
  return {
    images: buffers.images.map(floats),
    original: buffers.original && floats(buffers.original),
    labels: buffers.labels?.subarray(0, size),
    indexes: buffers.indexes.subarray(0, size),
  };
}

function gatherRows(rows: Float32Array, width: number, indexes: Int32Array, out: Float32Array): void {
  for (let i = 0; i < indexes.length; i++) {
    const from = indexes[i]! * width;
    out.set(rows.subarray(from, from + width), i * width);
  }
}
