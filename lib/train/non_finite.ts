/** Finds where a loss stopped being a number: the tensor, the operation and the layer that came first. */
import type { Module } from '../nn/module.js';
import { runIn, ScopeList } from '../tensor/context.js';
import { Tensor } from '../tensor/index.js';
import { arraysIn, type BatchArray } from './batch_arrays.js';

/** Remembers the tensors that a forward pass makes, in order, also those that are gone. */
class Recorder extends ScopeList {
  override add(tensor: Tensor): void {
    this.made.push(tensor);
  }
}

/** The tensors that a module's forward made: numbers [begin, end) of the recorder's list. */
interface Span {
  readonly module: string;
  readonly begin: number;
  readonly end: number;
}

/**
 * Tells where a step went wrong: in a parameter that is not finite (an earlier update broke it), in a value of the
 * batch, in an operation of the forward pass, which is done again for it, or in a gradient.
 */
export function explainNonFinite(
  { modules, batch }: { readonly modules: Readonly<Record<string, Module>>; readonly batch: unknown },
  forward: () => unknown,
): string | undefined {
  const parameters = Object.entries(modules).flatMap(([root, module]) =>
    [...module.namedParameters()].map(([path, parameter]) => [`${root}.${path}`, parameter] as const),
  );
  const gradients = parameters.flatMap(([name, { grad }]) =>
    grad ? [[`the gradient of ${name}`, grad] as const] : [],
  );
  return (
    firstNonFinite(parameters, 'since the update before it') ??
    firstNonFinite(arraysIn(batch), 'as it was given') ??
    findOperation(modules, forward) ??
    // The parameters nearest to the loss get their gradients first.
    firstNonFinite(gradients.reverse(), 'first in the backward pass')
  );
}

function firstNonFinite(named: Iterable<BatchArray>, remark: string): string | undefined {
  for (const [name, array] of named) {
    const at = nonFiniteAt(array);
    const shape = array instanceof Tensor ? array.shape : [(array as Float32Array).length];
    if (at) return `${name} [${shape.join(', ')}] is ${at}, ${remark}`;
  }
  return undefined;
}

function nonFiniteAt(array: Tensor | ArrayBufferView): string | undefined {
  const data = array instanceof Tensor ? floatsOf(array) : array;
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return undefined;
  const index = data.findIndex((value) => !Number.isFinite(value));
  return index < 0 ? undefined : `${data[index]} at element ${index}`;
}

function floatsOf(tensor: Tensor): Float32Array | undefined {
  return tensor.disposed || tensor.dtype !== 'float32' ? undefined : tensor.floats();
}

/** Which operation of the forward pass, in which module, first made something that is not finite. */
function findOperation(
  modules: Readonly<Record<string, Module>>,
  forward: () => unknown,
): string | undefined {
  const recorder = new Recorder();
  const spans: Span[] = [];
  const restore = recordForwards(modules, recorder, spans);
  try {
    return runIn(
      { scope: recorder, recording: true },
      () => {
        runAnyway(forward);
        const first = recorder.made.findIndex((tensor) => nonFiniteAt(tensor) !== undefined);
        return first < 0 ? undefined : describe(recorder.made[first]!, first, spans);
      },
      () => undefined,
      () => undefined,
    );
  } finally {
    restore();
    for (const tensor of recorder.made) if (!tensor.kept) tensor.dispose();
  }
}

/** A forward pass may refuse values that are not finite: what it made until then tells where they came from. */
function runAnyway(forward: () => unknown): void {
  try {
    forward();
  } catch {
    // The failure of the pass that is looked into is told by the caller.
  }
}

/** Wraps `forward` of every module so that it notes its span; returns what takes the wrappers off. */
function recordForwards(
  modules: Readonly<Record<string, Module>>,
  recorder: Recorder,
  spans: Span[],
): () => void {
  const wrapped: (() => void)[] = [];
  for (const [root, tree] of Object.entries(modules)) {
    for (const [path, module] of tree.namedModules()) {
      const name = `${path ? `${root}.${path}` : root} (${module.constructor.name})`;
      const target = module as unknown as { forward: (...inputs: unknown[]) => unknown };
      const own = Object.getOwnPropertyDescriptor(target, 'forward');
      const { forward } = target;
      const value = function (this: unknown, ...inputs: unknown[]): unknown {
        const begin = recorder.made.length;
        try {
          return forward.apply(this, inputs);
        } finally {
          spans.push({ module: name, begin, end: recorder.made.length });
        }
      };
      Object.defineProperty(target, 'forward', {
        value,
        configurable: true,
        enumerable: false,
        writable: true,
      });
      wrapped.push(() => {
        if (own) Object.defineProperty(target, 'forward', own);
        else delete (target as { forward?: unknown }).forward;
      });
    }
  }
  return () => {
    for (const undo of wrapped) undo();
  };
}

function describe(tensor: Tensor, index: number, spans: readonly Span[]): string {
  const around = spans.filter(({ begin, end }) => begin <= index && index < end);
  const inner = around.sort((a, b) => a.end - a.begin - (b.end - b.begin))[0];
  const place = inner ? `in the layer ${inner.module}` : 'outside of the layers';
  return `it began ${place}: ${tensor.operation} made ${nonFiniteAt(tensor)} of [${tensor.shape.join(', ')}]`;
}
