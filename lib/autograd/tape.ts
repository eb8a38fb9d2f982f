/** The tape: what operations leave behind for backward(), and backward() itself. */
import { BinceError, invalidArgument } from '../errors.js';
import { native } from '../native.js';
import { currentContext, runSyncIn, ScopeList } from '../tensor/context.js';
import { describeShape, flatWalk, sameShape } from '../tensor/shapes.js';
import { aliasTensor, copyTensor, emptyTensor, type Tensor } from '../tensor/tensor.js';
import { checkOneDevice } from './arguments.js';
import './native_calls.js';

/** The gradients of an operation's inputs, in their order, for the gradient dy of its output; undefined for none. */
export type Derivative = (dy: Tensor) => readonly (Tensor | undefined)[];

/** An operation on the tape. */
export interface TapeNode {
  readonly operation: string;
  /** Rises with every record, so that sorting by it is a topological order. */
  readonly order: number;
  /** Empty once the tape was freed. */
  inputs: readonly Tensor[];
  /** Undefined once the tape was freed. */
  derivative: Derivative | undefined;
  saved: readonly Tensor[];
  /** The sum so far of the output's gradient, during backward(). */
  gradient: Tensor | undefined;
}

let recorded = 0;

/** True if an operation on these inputs goes on the tape. */
export function willRecord(...inputs: readonly (Tensor | undefined)[]): boolean {
  return inputs.some((input) => input?.requiresGrad) && currentContext().recording;
}

/**
 * Puts an operation on the tape, if one of its inputs requires a gradient and nothing forbids it, and returns its
 * output. The derivative may use operations, whose temporaries are freed; it may return dy itself. `saved` are
 * tensors that only the derivative needs: freed with the tape, or at once if nothing is recorded.
 */
export function record(
  operation: string,
  inputs: readonly Tensor[],
  output: Tensor,
  derivative: Derivative,
  saved: readonly Tensor[] = [],
): Tensor {
  let needed = false;
  for (let i = 0; i < inputs.length; i++) if (inputs[i]!.requiresGrad) needed = true;
  if (!needed || !currentContext().recording) {
    for (const tensor of saved) tensor.dispose();
    return output;
  }
  output.requiresGrad = true;
  output.node = { operation, order: ++recorded, inputs, derivative, saved, gradient: undefined };
  return output;
}

/**
 * Adds the gradients of `root` to `.grad` of every leaf that requires one. A root of more than one element needs its
 * own `gradient`. Gradients of intermediate results are freed as soon as they were used, and so is the tape: a second
 * backward through it is an error, as are second derivatives.
 */
export function backward(root: Tensor, gradient?: Tensor): void {
  if (!root.requiresGrad)
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `backward: ${root.toString()} depends on no tensor that requires a gradient`,
      { hint: 'was it made under noGrad(), or from detached tensors?' },
    );
  if (gradient === undefined && root.size !== 1)
    invalidArgument('backward', 'a tensor of one element, or its gradient as argument', root.toString());
  if (gradient && gradient.device !== root.device)
    invalidArgument('gradient', `a tensor on ${root.device}`, gradient.toString());
  if (gradient && (gradient.dtype !== 'float32' || !sameShape(gradient.shape, root.shape)))
    invalidArgument('gradient', `float32${describeShape(root.shape)}`, gradient.toString());
  const nodes = root.node ? collect(root.node) : [];
  const list = new ScopeList();
  runSyncIn({ scope: list, recording: false }, () => {
    try {
      // The caller's gradient stays the caller's.
      const first = gradient ? aliasTensor(gradient, gradient.shape, 'gradient') : unitGradient(root);
      accumulate(root, first, 'backward');
      sweep(list);
      for (const node of nodes) step(node, list);
    } finally {
      for (const node of nodes) free(node);
      sweep(list);
    }
  });
}

function unitGradient(root: Tensor): Tensor {
  const one = emptyTensor(root.shape, 'gradient', 'float32', root.device);
  if (root.device === 'cpu') native().fillSync(one.handle, 1);
  else one.write(new Float32Array(root.size).fill(1));
  one.storage.constant = 1;
  return one;
}

// Every node that the root depends on, in the order of their derivatives: a node before what it was made of.
function collect(root: TapeNode): TapeNode[] {
  const seen = new Set<TapeNode>([root]);
  for (const node of seen) {
    if (!node.derivative)
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `backward: the tape of '${node.operation}' was already freed by an earlier backward()`,
        { hint: 'add up the losses first, or compute the part that they share again' },
      );
    for (const input of node.inputs) if (input.node) seen.add(input.node);
  }
  return [...seen].sort((a, b) => b.order - a.order);
}

function step(node: TapeNode, list: ScopeList): void {
  const { gradient, derivative, inputs } = node;
  if (!gradient || !derivative) return;
  let gradients: readonly (Tensor | undefined)[];
  try {
    gradients = derivative(gradient);
  } catch (error) {
    if (!(error instanceof BinceError)) throw error;
    throw new BinceError(error.code, `backward of '${node.operation}': ${error.message}`, {
      ...(error.hint !== undefined && { hint: error.hint }),
      cause: error,
    });
  }
  // Aliases first: where the derivative returned dy itself or what it saved, that must outlive the node.
  const taken = gradients.map((each) =>
    each && (each === gradient || node.saved.includes(each))
      ? aliasTensor(each, each.shape, 'gradient')
      : each,
  );
  free(node);
  for (let i = 0; i < inputs.length; i++) {
    const each = taken[i];
    if (each && inputs[i]!.requiresGrad) accumulate(inputs[i]!, each, node.operation);
  }
  sweep(list);
}

// Frees what the derivative made, except the gradients that were taken over: those are kept.
function sweep(list: ScopeList): void {
  const { made } = list;
  for (let i = 0; i < made.length; i++) if (!made[i]!.kept) made[i]!.dispose();
  made.length = 0;
}

function free(node: TapeNode): void {
  node.gradient?.dispose();
  node.gradient = undefined;
  node.derivative = undefined;
  node.inputs = [];
  for (const tensor of node.saved) tensor.dispose();
  node.saved = [];
}

function accumulate(input: Tensor, gradient: Tensor, operation: string): void {
  if (!sameShape(input.shape, gradient.shape))
    throw new BinceError(
      'BINCE_INTERNAL',
      `the derivative of '${operation}' returned ${describeShape(gradient.shape)} for an input of shape ${describeShape(input.shape)}`,
    );
  const { node } = input;
  const sum = node ? node.gradient : input.grad;
  const next = sum ? added(sum, gradient) : owned(gradient, node === undefined);
  next.kept = true;
  if (node) node.gradient = next;
  else input.grad = next;
}

// A leaf's gradient is changed in place later, so that it must not share its memory.
function owned(gradient: Tensor, exclusive: boolean): Tensor {
  if (!gradient.kept && !(exclusive && gradient.storage.references > 1)) {
    if (exclusive) gradient.storage.constant = undefined;
    return gradient;
  }
  if (!exclusive) return aliasTensor(gradient, gradient.shape, 'gradient');
  if (gradient.device !== 'cpu') return copyTensor(gradient, gradient.device, 'gradient');
  const copy = emptyTensor(gradient.shape, 'gradient');
  const { dims, x, y } = flatWalk(gradient.size);
  native().copyStridedSync(gradient.handle, 0, x, copy.handle, 0, y, dims, false);
  return copy;
}

function added(sum: Tensor, gradient: Tensor): Tensor {
  checkOneDevice('gradient', sum, gradient);
  if (sum.device !== 'cpu') return addedOnDevice(sum, gradient);
  if (sum.storage.references === 1) {
    native().binarySync(0, sum.handle, gradient.handle, sum.handle);
    sum.storage.constant = undefined;
    return sum;
  }
  const fresh = emptyTensor(sum.shape, 'gradient');
  native().binarySync(0, sum.handle, gradient.handle, fresh.handle);
  sum.dispose();
  return fresh;
}

// There is no CUDA kernel of sums: they are made on the CPU, in the order in which the gradients came.
function addedOnDevice(sum: Tensor, gradient: Tensor): Tensor {
  const floats = sum.floats();
  const more = gradient.floats();
  for (let i = 0; i < floats.length; i++) floats[i] = floats[i]! + more[i]!;
  const fresh = emptyTensor(sum.shape, 'gradient', 'float32', sum.device);
  fresh.write(floats);
  sum.dispose();
  return fresh;
}
