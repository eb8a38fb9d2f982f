/** Tensors of the native layer by hand, for tests of its calls. */
import { native } from '../../lib/native.js';

export type Handle = object;

// The calls by name: these tests pass wrong arguments too, which the typed interface would refuse.
const calls = native() as unknown as Record<string, (...args: unknown[]) => unknown>;

export function call(name: string, ...args: unknown[]): unknown {
  const found = calls[name];
  if (!found) throw new Error(`the addon lacks ${name}`);
  return found(...args);
}

export function empty(elements: number, type = 0): Handle {
  return call('storageCreate', type, elements) as Handle;
}

/** A tensor with these values: float32, or the type of the given array. */
export function tensor(values: number[] | Float32Array | Int32Array | Uint8Array): Handle {
  const data = Array.isArray(values) ? Float32Array.from(values) : values;
  const type = data instanceof Int32Array ? 1 : data instanceof Uint8Array ? 2 : 0;
  const handle = empty(data.length, type);
  call('storageWrite', handle, 0, data);
  return handle;
}

export function read(handle: Handle, elements: number): number[] {
  const out = new Float32Array(elements);
  call('storageRead', handle, 0, out);
  return [...out];
}

export function readIntegers(handle: Handle, elements: number): number[] {
  const out = new Int32Array(elements);
  call('storageRead', handle, 0, out);
  return [...out];
}
