/** What operations find around them: the scope that owns new tensors, and whether the tape records. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Tensor } from './tensor.js';

/** The tensors made in a scope. */
export class ScopeList {
  made: Tensor[] = [];
  ended = false;
  #compactAt = 4096;

  add(tensor: Tensor): void {
    this.made.push(tensor);
    if (this.made.length < this.#compactAt) return;
    // A scope around a whole training must not grow by tensors that are gone.
    this.made = this.made.filter((each) => !each.disposed);
    this.#compactAt = Math.max(4096, 2 * this.made.length);
  }
}

export interface Context {
  readonly scope: ScopeList | undefined;
  readonly recording: boolean;
}

const outside: Context = { scope: undefined, recording: true };
// Synchronous code finds its context in `active`; what continues after an await finds `active` unset (no other
// code of ours runs in between) and asks the asynchronous storage.
const asynchronous = new AsyncLocalStorage<Context>();
let active: Context | undefined;
let used = false;

export function currentContext(): Context {
  return active ?? (used ? (asynchronous.getStore() ?? outside) : outside);
}

/** Runs fn with the context, also after its awaits; `settle` sees its result, `fail` runs if it throws or rejects. */
export function runIn<T>(
  context: Context,
  fn: () => T,
  settle: (result: unknown) => void,
  fail: () => void,
): T {
  const previous = active;
  active = context;
  used = true;
  let result: T;
  try {
    result = asynchronous.run(context, fn);
  } catch (error) {
    active = previous;
    fail();
    throw error;
  }
  active = previous;
  if (!isPromiseLike(result)) {
    settle(result);
    return result;
  }
  return result.then(
    (value) => {
      settle(value);
      return value;
    },
    (error) => {
      fail();
      throw error;
    },
  ) as T;
}

/** Runs a synchronous fn with the context: the cheap form that the tape uses. */
export function runSyncIn<T>(context: Context, fn: () => T): T {
  const previous = active;
  active = context;
  try {
    return fn();
  } finally {
    active = previous;
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}
