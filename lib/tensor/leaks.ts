/** The debug mode that names tensors which nobody freed. */
import type { Tensor } from './tensor.js';

export interface Leak {
  /** The operation that made the tensor, or its name. */
  readonly operation: string;
  readonly shape: readonly number[];
  /** Where its memory is. */
  readonly device: string;
  /** Where it was made. */
  readonly stack: string;
}

let remembered: Map<Tensor, string> | undefined;

/** Begins (or ends) to remember where tensors are made. Slow: for finding leaks only. Starts with none. */
export function debugLeaks(on: boolean): void {
  remembered = on ? new Map() : undefined;
}

/** The tensors made since debugLeaks(true) that live and are not kept: no parameters, buffers or gradients. */
export function leaks(): Leak[] {
  const list: Leak[] = [];
  for (const [tensor, stack] of remembered ?? [])
    if (!tensor.kept) {
      const { name, operation, shape, device } = tensor;
      list.push({ operation: name ?? operation, shape, device, stack });
    }
  return list;
}

export function rememberTensor(tensor: Tensor): void {
  if (!remembered) return;
  const stack = new Error().stack ?? '';
  // Without the lines of the message, of this function and of the constructor.
  remembered.set(tensor, stack.split('\n').slice(3).join('\n'));
}

export function forgetTensor(tensor: Tensor): void {
  remembered?.delete(tensor);
}
