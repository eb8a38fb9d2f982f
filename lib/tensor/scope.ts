/** Who frees what: scopes, keep(), and the counts of memory in use. */
import { native } from '../native.js';
import { currentContext, runIn, ScopeList } from './context.js';
import { type BlockCounts, releaseKept } from './storage.js';
import { Tensor } from './tensor.js';

/**
 * Runs fn and frees every tensor that was made inside, except those in its result (a Tensor, or arrays, plain
 * objects, Maps and Sets of them), kept ones (parameters, buffers, optimiser state) and gradients of leaves. What
 * survives belongs to the scope outside, if there is one. fn may be asynchronous; scopes nest. If fn throws,
 * everything made inside is freed.
 */
export function scope<T>(fn: () => T): T {
  const parent = currentContext();
  const list = new ScopeList();
  const free = (result: unknown) => {
    const survivors = new Set<Tensor>();
    collectTensors(result, survivors, new Set());
    list.ended = true;
    for (const tensor of list.made) {
      if (tensor.disposed || tensor.kept) continue;
      if (!survivors.has(tensor)) tensor.dispose();
      else if (parent.scope && !parent.scope.ended) parent.scope.add(tensor);
    }
    list.made = [];
  };
  return runIn({ scope: list, recording: parent.recording }, fn, free, () => free(undefined));
}

function collectTensors(value: unknown, into: Set<Tensor>, seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value) || ArrayBuffer.isView(value)) return;
  if (value instanceof Tensor) {
    into.add(value);
    return;
  }
  seen.add(value);
  if (Array.isArray(value) || value instanceof Set) {
    for (const each of value) collectTensors(each, into, seen);
  } else if (value instanceof Map) {
    for (const each of value.values()) collectTensors(each, into, seen);
  } else {
    for (const each of Object.values(value)) collectTensors(each, into, seen);
  }
}

/** Takes a tensor out of every scope: it lives until dispose(). */
export function keep<T extends Tensor>(tensor: T): T {
  tensor.kept = true;
  return tensor;
}

/** Runs fn, which may be asynchronous, without recording operations for backward(). */
export function noGrad<T>(fn: () => T): T {
  const nothing = () => {};
  return runIn({ scope: currentContext().scope, recording: false }, fn, nothing, nothing);
}

/** Memory of one kind. */
export interface MemoryCounts {
  /** Blocks in use; tensors that share one count once. */
  readonly tensors: number;
  /** Bytes in use, as allocated. */
  readonly bytes: number;
  /** The most bytes in use at a time; up to 8 MB of it may have been small blocks kept for reuse. */
  readonly peak: number;
  /** Bytes kept for reuse. */
  readonly cached: number;
}

/** Memory on the CPU, and apart from it that of all CUDA devices together. Borrowed memory does not count. */
export interface Memory extends MemoryCounts {
  readonly cuda: MemoryCounts;
}

/** Native memory of tensors, exactly, at the cost of a few microseconds. */
export function memory(): Memory {
  releaseKept();
  const { devices, ...cpu } = native().storageCounts();
  const sum = (key: keyof BlockCounts) => devices.reduce((total, each) => total + each[key], 0);
  const cuda = { blocks: sum('blocks'), bytes: sum('bytes'), peak: sum('peak'), cached: sum('cached') };
  return { ...counts(cpu), cuda: counts(cuda) };
}

function counts({ blocks, bytes, peak, cached }: BlockCounts): MemoryCounts {
  return { tensors: blocks, bytes, peak, cached };
}

/** Gives memory that is kept for reuse back to the system and the devices, and starts `peak` anew. */
export function trimMemory(): void {
  releaseKept();
  native().storageTrim();
}
