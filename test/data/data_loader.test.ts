import { describe, expect, it } from 'vitest';
import {
  augmentations,
  augmentSync,
  type Batch,
  DataLoader,
  imageDataset,
  vectorDataset,
} from '../../lib/data/index.js';
import { permutation } from '../../lib/data/permutation.js';

const N = 23;
const images = Uint8Array.from({ length: N * 64 }, (_, i) => (i * 31) & 255);
const labels = Int32Array.from({ length: N }, (_, i) => i % 5);
const dataset = imageDataset({ name: 'x', images, height: 8, width: 8, channels: 1, labels });
const options = { batch: 5, seed: 3, augmentation: augmentations.mnist, views: 2, original: true } as const;

/** The batches of an epoch, copied. */
async function collect(loader: DataLoader, epoch: number, from = 0): Promise<Batch[]> {
  const out: Batch[] = [];
  for await (const batch of loader.epoch(epoch, { from })) out.push(structuredClone(batch));
  return out;
}

describe('DataLoader', () => {
  it('gives every example once an epoch, with its label, views and original', async () => {
    const batches = await collect(new DataLoader(dataset, options), 4);
    expect(batches.map(({ size, position }) => [size, position])).toEqual([
      ...[0, 1, 2, 3].map((position) => [5, position]),
      [3, 4],
    ]);
    const indexes = batches.flatMap((batch) => [...batch.indexes]);
    expect(indexes).not.toEqual([...indexes].sort((a, b) => a - b));
    expect([...indexes].sort((a, b) => a - b)).toEqual(Array.from({ length: N }, (_, i) => i));
    for (const batch of batches) {
      expect([...batch.labels!]).toEqual([...batch.indexes].map((i) => i % 5));
      for (const [view, made] of batch.images.entries()) {
        const call = { shape: [N, 8, 8, 1], steps: augmentations.mnist, seed: 3, epoch: 4, view } as const;
        expect(made).toEqual(augmentSync(images, { ...call, indexes: batch.indexes }));
      }
      const first = batch.indexes[0]! * 64;
      expect(batch.original!.subarray(0, 64)).toEqual(
        Float32Array.from(images.subarray(first, first + 64), (byte) => byte / 255),
      );
    }
  });

  it('gives the same ahead or not, with arrays reused or not, and in another loader', async () => {
    const expected = await collect(new DataLoader(dataset, options), 1);
    for (const more of [{ prefetch: 0 }, { prefetch: 4 }, { reuse: true }, { reuse: true, prefetch: 3 }])
      expect(await collect(new DataLoader(dataset, { ...options, ...more }), 1)).toEqual(expected);
    const loader = new DataLoader(dataset, options);
    for (const batch of expected) {
      expect(loader.batchSync(1, batch.position)).toEqual(batch);
      expect(await loader.batch(1, batch.position)).toEqual(batch);
    }
  });

  it('goes on in the middle of an epoch', async () => {
    const whole = await collect(new DataLoader(dataset, options), 7);
    expect(await collect(new DataLoader(dataset, options), 7, 3)).toEqual(whole.slice(3));
    expect(await collect(new DataLoader(dataset, options), 7, 5)).toEqual([]);
  });

  it('differs by epoch and seed, unless told not to', async () => {
    const first = await collect(new DataLoader(dataset, options), 0);
    expect(await collect(new DataLoader(dataset, options), 1)).not.toEqual(first);
    expect(await collect(new DataLoader(dataset, { ...options, seed: 4 }), 0)).not.toEqual(first);
    const plain = new DataLoader(dataset, { batch: 10, shuffle: false, dropLast: true });
    const batches = await collect(plain, 0);
    expect(plain.batches).toBe(2);
    expect(batches.map(({ indexes }) => indexes[0])).toEqual([0, 10]);
    expect(await collect(plain, 9)).toEqual(batches.map((batch) => ({ ...batch, epoch: 9 })));
  });

  it('reuses arrays only when the next batch is asked for', async () => {
    const loader = new DataLoader(dataset, { ...options, reuse: true });
    let kept: { array: Float32Array; copy: Float32Array } | undefined;
    const seen = new Set<ArrayBufferLike>();
    for await (const { images: views } of loader.epoch(0)) {
      kept = { array: views[0]!, copy: views[0]!.slice() };
      seen.add(views[0]!.buffer);
      await new Promise((resolve) => setTimeout(resolve, 5)); // what is made ahead is ready by now
      expect(kept.array).toEqual(kept.copy);
    }
    expect(seen.size).toBe(2);
  });

  it('can be left early, aborted, and tried again', async () => {
    const loader = new DataLoader(dataset, { ...options, reuse: true });
    for await (const batch of loader.epoch(0)) {
      expect(batch.position).toBe(0);
      break;
    }
    const controller = new AbortController();
    const walk = async () => {
      for await (const batch of loader.epoch(0, { signal: controller.signal }))
        if (batch.position === 1) controller.abort();
    };
    await expect(walk()).rejects.toMatchObject({ name: 'AbortError' });
    expect(await collect(loader, 0)).toHaveLength(5);
  });

  it('tells the shapes', () => {
    const augmentation = [
      { pad: { pixels: 2 } },
      { crop: { size: [6, 7] } },
      { normalise: { mean: 0.5, std: 1 } },
    ] as const;
    const loader = new DataLoader(dataset, { batch: 2, augmentation, original: true });
    expect(loader.exampleShape).toEqual([6, 7, 1]);
    expect(loader.originalShape).toEqual([6, 7, 1]);
    const batch = loader.batchSync(0, 0);
    expect(batch.images[0]!.length).toBe(2 * 42);
    expect(Math.min(...batch.original!)).toBeGreaterThanOrEqual(0);
    const other = new DataLoader(dataset, { batch: 2, views: 0, original: [{ resize: { size: 4 } }] });
    expect(other.batchSync(0, 0)).toMatchObject({ images: [], original: { length: 32 } });
  });

  it('batches vectors and their pairs', async () => {
    const vectors = Float32Array.from({ length: 14 }, (_, i) => i);
    const pairs = vectors.map((x) => -x);
    const loader = new DataLoader(vectorDataset({ name: 'v', vectors, channels: 2, pairs }), { batch: 3 });
    expect(loader.views).toBe(2);
    for (const { indexes, images: views, labels: none } of await collect(loader, 0)) {
      expect([...views[0]!]).toEqual([...indexes].flatMap((i) => [2 * i, 2 * i + 1]));
      expect(views[1]).toEqual(views[0]!.map((x) => -x));
      expect(none).toBeUndefined();
    }
  });

  it('refuses what cannot be', () => {
    const vectors = vectorDataset({ name: 'v', vectors: new Float32Array(4), channels: 2 });
    expect(() => new DataLoader(dataset, { batch: 0 })).toThrow(
      /batch: expected a whole number of at least 1/,
    );
    expect(() => new DataLoader(dataset, { batch: 24, dropLast: true })).toThrow(
      /23 examples do not fill a batch/,
    );
    expect(() => new DataLoader(vectors, { batch: 1, views: 2 })).toThrow(
      /views: expected 1 for vectors without/,
    );
    expect(() => new DataLoader(vectors, { batch: 1, augmentation: [{ flip: {} }] })).toThrow(
      /holds vectors/,
    );
    expect(() => new DataLoader(dataset, { batch: 1, prefetch: 9 })).toThrow(/prefetch/);
    expect(() => new DataLoader(dataset, { batch: 1, seed: -1 })).toThrow(/seed/);
    expect(() => new DataLoader(dataset, { batch: 1, augmentation: [{ flip: { p: 3 } }] })).toThrow(
      /steps\[0\]/,
    );
    const loader = new DataLoader(dataset, { batch: 5 });
    expect(() => loader.batchSync(0, 5)).toThrow(/position: expected 0 to 4/);
    expect(() => loader.batchSync(-1, 0)).toThrow(/epoch/);
  });
});

describe('permutation', () => {
  it('is the same everywhere, for ever', () => {
    // By the same generator written in Python.
    expect([...permutation(10, [1, 0], 0)]).toEqual([9, 8, 1, 4, 6, 3, 0, 5, 7, 2]);
  });

  it('is even', () => {
    const places = Array.from({ length: 5 }, () => new Float64Array(5));
    for (let epoch = 0; epoch < 5000; epoch++)
      for (const [place, value] of permutation(5, [9, 0], epoch).entries()) places[place]![value]!++;
    for (const row of places) for (const seen of row) expect(Math.abs(seen - 1000)).toBeLessThan(140);
  });
});
