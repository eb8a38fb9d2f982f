/**
 * Memory for rows and coded bytes between two uses. To touch new memory costs more than to code what goes into it, so
 * readers and writers leave theirs to those that come after them; the garbage collector may take it meanwhile.
 */
import { preferLargePages } from '../kernels/coding.js';

const kUnit = 2 ** 16;
const spare = new Set<WeakRef<ArrayBuffer>>();

/** At least so many bytes, with anything in them. */
export function takeMemory(bytes: number): ArrayBuffer {
  let best: WeakRef<ArrayBuffer> | undefined;
  let bestBytes = 2 * Math.max(bytes, kUnit) + 1;
  for (const reference of spare) {
    const size = reference.deref()?.byteLength ?? 0;
    if (size === 0) spare.delete(reference);
    else if (size >= bytes && size < bestBytes) [best, bestBytes] = [reference, size];
  }
  const found = best?.deref();
  if (found) {
    spare.delete(best!);
    return found;
  }
  const made = new Float32Array((Math.max(1, Math.ceil(bytes / kUnit)) * kUnit) / 4);
  return preferLargePages(made).buffer;
}

/** Hands memory on; nobody may use it any more. */
export function leaveMemory(memory: ArrayBufferLike | undefined): void {
  if (memory instanceof ArrayBuffer && memory.byteLength >= kUnit) spare.add(new WeakRef(memory));
}
