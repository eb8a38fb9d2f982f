/** The arrays that a batch consists of. */
import { Tensor } from '../tensor/index.js';

/** A tensor or a typed array of a batch, with its place in it: `batch.images[1]`. */
export type BatchArray = readonly [place: string, array: Tensor | ArrayBufferView];

/** Every tensor and typed array in a value: itself, or in arrays, Maps and plain objects. */
export function* arraysIn(value: unknown, place = 'batch'): Generator<BatchArray> {
  if (value instanceof Tensor || ArrayBuffer.isView(value)) yield [place, value];
  else if (Array.isArray(value))
    for (const [i, each] of value.entries()) yield* arraysIn(each, `${place}[${i}]`);
  else if (value instanceof Map)
    for (const [key, each] of value) yield* arraysIn(each, `${place}.${String(key)}`);
  else if (typeof value === 'object' && value !== null)
    for (const [key, each] of Object.entries(value)) yield* arraysIn(each, `${place}.${key}`);
}

/** Frees the tensors of a batch, except those that are kept. */
export function disposeBatch(batch: unknown): void {
  for (const [, array] of arraysIn(batch)) if (array instanceof Tensor && !array.kept) array.dispose();
}
