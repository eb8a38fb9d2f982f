/** The tensors that a batch consists of. */
import { Tensor } from '../tensor/index.js';

/** Every tensor in a value: a tensor, or arrays, Maps and plain objects of them, with its place. */
export function* tensorsIn(value: unknown, place = 'the batch'): Generator<readonly [string, Tensor]> {
  if (value instanceof Tensor) yield [place, value];
  else if (Array.isArray(value))
    for (const [i, each] of value.entries()) yield* tensorsIn(each, `${place}[${i}]`);
  else if (value instanceof Map)
    for (const [key, each] of value) yield* tensorsIn(each, `${place}.${String(key)}`);
  else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
    for (const [key, each] of Object.entries(value)) yield* tensorsIn(each, `${place}.${key}`);
}
