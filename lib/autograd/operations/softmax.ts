/** Softmax and the losses of classification, in nats. */
import { invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import { describeShape, elementsOf, sameShape } from '../../tensor/shapes.js';
import { emptyTensor, type Tensor } from '../../tensor/tensor.js';
import { checkTensor } from '../arguments.js';
import { record, willRecord } from '../tape.js';
import { add, mul, sub } from './binary.js';
import { affine, exp, softplus } from './elementwise.js';
import { mean, multiplied, sum } from './reduce.js';

/** The mean over rows, their sum, or each row's loss. */
export type LossReduction = 'mean' | 'sum' | 'none';

function classesOf(name: string, x: Tensor): number {
  checkTensor(name, x);
  const n = x.shape.at(-1);
  if (n === undefined || n === 0)
    invalidArgument(name, 'a last axis of at least one class', describeShape(x.shape));
  return n;
}

function softmaxOf(name: 'softmax' | 'logSoftmax', x: Tensor): Tensor {
  const n = classesOf(name, x);
  const isLog = name === 'logSoftmax';
  const y = emptyTensor(x.shape, name);
  native().softmaxSync(x.handle, x.size / n, n, isLog, y.handle);
  return record(name, [x], y, (dy) => {
    const dx = emptyTensor(x.shape, name);
    native().softmaxBackwardSync(y.handle, dy.handle, x.size / n, n, isLog, dx.handle);
    return [dx];
  });
}

/** e^x over its sum, along the last axis. */
export const softmax = (x: Tensor): Tensor => softmaxOf('softmax', x);
/** The logarithm of softmax, without its underflow. */
export const logSoftmax = (x: Tensor): Tensor => softmaxOf('logSoftmax', x);

export interface CrossEntropyOptions {
  /** Of the label's probability, the part given to all classes evenly. Default 0. */
  readonly smoothing?: number | undefined;
  /** Default 'mean'. */
  readonly reduction?: LossReduction | undefined;
}

/**
 * -log softmax(logits)[label] of each row of logits [..., classes], labels int32 [...]. A label outside 0 to
 * classes - 1 throws BINCE_INVALID_VALUE with its row.
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const classes = classesOf('crossEntropy', logits);
  checkTensor('crossEntropy: labels', labels, 'int32');
  const leading = logits.shape.slice(0, -1);
  if (!sameShape(leading, labels.shape))
    invalidArgument('crossEntropy: labels', `shape ${describeShape(leading)}`, describeShape(labels.shape));
  const { smoothing = 0, reduction = 'mean' } = options;
  if (!(smoothing >= 0 && smoothing <= 1))
    invalidArgument('crossEntropy: smoothing', 'a number from 0 to 1', smoothing);
  const rowLoss = emptyTensor(leading, 'crossEntropy');
  const dlogits = willRecord(logits) ? emptyTensor(logits.shape, 'crossEntropy') : undefined;
  native().crossEntropySync(
    logits.handle,
    labels.handle,
    labels.size,
    classes,
    smoothing,
    rowLoss.handle,
    dlogits?.handle,
  );
  return rowLosses('crossEntropy', logits, rowLoss, dlogits, reduction, labels.size);
}

export interface BceOptions {
  /** 'none' (default): each row's sum over the last axis; 'mean' over all elements; 'sum' of all. */
  readonly reduction?: LossReduction | undefined;
}

/**
 * Binary cross-entropy of sigmoid(logits) with targets from 0 to 1 of the same shape, which get no gradient: in nats,
 * by default summed over the last axis, [...] for logits [..., n], as distortions are counted an example.
 */
export function bceWithLogits(logits: Tensor, targets: Tensor, options: BceOptions = {}): Tensor {
  const n = classesOf('bceWithLogits', logits);
  checkTensor('bceWithLogits: targets', targets);
  if (!sameShape(logits.shape, targets.shape))
    invalidArgument(
      'bceWithLogits: targets',
      `shape ${describeShape(logits.shape)}`,
      describeShape(targets.shape),
    );
  const leading = logits.shape.slice(0, -1);
  const rowLoss = emptyTensor(leading, 'bceWithLogits');
  const dlogits = willRecord(logits) ? emptyTensor(logits.shape, 'bceWithLogits') : undefined;
  const rows = elementsOf(leading);
  native().bceWithLogitsSync(logits.handle, targets.handle, rows, n, rowLoss.handle, dlogits?.handle);
  return rowLosses('bceWithLogits', logits, rowLoss, dlogits, options.reduction ?? 'none', rows * n);
}

// Reduces the rows' losses. `gradient` is that of their sum, and becomes the input's by multiplication in place.
function rowLosses(
  name: string,
  input: Tensor,
  rowLoss: Tensor,
  gradient: Tensor | undefined,
  reduction: LossReduction,
  count: number,
): Tensor {
  if (reduction !== 'mean' && reduction !== 'sum' && reduction !== 'none')
    invalidArgument(`${name}: reduction`, "'mean', 'sum' or 'none'", reduction);
  if (count === 0) invalidArgument(name, 'at least one row', describeShape(input.shape));
  const factor = reduction === 'mean' ? 1 / count : 1;
  const saved = gradient ? [gradient] : [];
  const { shape } = rowLoss;
  if (reduction === 'none')
    return record(name, [input], rowLoss, (dy) => [multiplied(gradient!, dy, 1, [...shape, 1])], saved);
  const y = emptyTensor([], name);
  native().reduceSync(0, rowLoss.handle, 1, rowLoss.size, 1, y.handle);
  if (factor !== 1) native().unarySync(20, factor, 0, y.handle, y.handle);
  rowLoss.dispose();
  return record(name, [input], y, (dy) => [multiplied(gradient!, dy, factor, [])], saved);
}

function checkPair(name: string, p: Tensor, q: Tensor): void {
  classesOf(name, p);
  classesOf(name, q);
  if (!sameShape(p.shape, q.shape))
    invalidArgument(name, `logits of one shape, ${describeShape(p.shape)}`, describeShape(q.shape));
}

// sum p (log p - log q) over the last axis, mean over the rest.
function divergence(logP: Tensor, logQ: Tensor): Tensor {
  return mean(sum(mul(exp(logP), sub(logP, logQ)), { axis: -1 }));
}

/** KL(P || Q) of P = softmax(p) and Q = softmax(q) over the last axis, mean over rows, in nats. */
export function klDivergence(p: Tensor, q: Tensor): Tensor {
  checkPair('klDivergence', p, q);
  return divergence(logSoftmax(p), logSoftmax(q));
}

/** (KL(P || M) + KL(Q || M)) / 2, M = (P + Q) / 2, of P = softmax(p) and Q = softmax(q): at most ln 2 (Lin 1991). */
export function jsDivergence(p: Tensor, q: Tensor): Tensor {
  checkPair('jsDivergence', p, q);
  const logP = logSoftmax(p);
  const logQ = logSoftmax(q);
  // log((P + Q) / 2) without underflow.
  const logM = affine(add(logP, softplus(sub(logQ, logP))), 1, -Math.LN2);
  return affine(add(divergence(logP, logM), divergence(logQ, logM)), 0.5, 0);
}
