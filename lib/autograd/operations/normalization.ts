/** Batch and layer normalisation, rows of unit length, dropout. All work on the last axis. */
import { BinceError, invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import { defaultGenerator, type Generator } from '../../tensor/generator.js';
import { describeShape } from '../../tensor/shapes.js';
import { emptyTensor, type Tensor } from '../../tensor/tensor.js';
import { checkFinite, checkTensor } from '../arguments.js';
import { record } from '../tape.js';

export interface BatchNormOptions {
  /** [C] multiplies; 1 if absent. */
  readonly gamma?: Tensor | undefined;
  /** [C] is added; 0 if absent. */
  readonly beta?: Tensor | undefined;
  /** [C] statistics that training updates in place and evaluation uses. */
  readonly runningMean?: Tensor | undefined;
  readonly runningVar?: Tensor | undefined;
  /** True (default): statistics of the batch; false: the running ones. */
  readonly training?: boolean | undefined;
  /** The part of the new statistics in the running ones. Default 0.1. */
  readonly momentum?: number | undefined;
  /** Default 1e-5. */
  readonly eps?: number | undefined;
  /** Done in the same pass. Default 'none'. */
  readonly activation?: 'none' | 'relu' | 'leakyRelu' | 'softplus' | undefined;
  /** Of leakyRelu, default 0.01. */
  readonly slope?: number | undefined;
}

const activations = { none: 0, relu: 1, leakyRelu: 2, softplus: 3 } as const;

function lastAxis(name: string, x: Tensor): number {
  checkTensor(name, x);
  const n = x.shape.at(-1);
  if (n === undefined || n === 0)
    invalidArgument(name, 'a last axis of at least one element', describeShape(x.shape));
  return n;
}

function checkVector(name: string, value: Tensor | undefined, n: number): void {
  if (value === undefined) return;
  checkTensor(name, value);
  if (value.rank !== 1 || value.size !== n) invalidArgument(name, `shape [${n}]`, describeShape(value.shape));
}

function like(x: Tensor | undefined, name: string): Tensor | undefined {
  return x?.requiresGrad ? emptyTensor(x.shape, name) : undefined;
}

/**
 * Batch normalisation over all axes but the last (Ioffe and Szegedy 2015), as PyTorch's: biased variance here, the
 * unbiased one in runningVar. Training needs at least two rows.
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  const C = lastAxis('batchNorm', x);
  const { gamma, beta, runningMean, runningVar, training = true } = options;
  for (const [name, value] of Object.entries({ gamma, beta, runningMean, runningVar }))
    checkVector(`batchNorm: ${name}`, value, C);
  if ((runningMean === undefined) !== (runningVar === undefined) || (!training && !runningMean))
    invalidArgument('batchNorm', 'runningMean and runningVar', training ? 'one of them' : 'none');
  const activation = activations[options.activation ?? 'none'];
  if (activation === undefined)
    invalidArgument('batchNorm: activation', "'none', 'relu', 'leakyRelu' or 'softplus'", options.activation);
  const rows = x.size / C;
  if (rows < (training ? 2 : 1))
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `batchNorm: expected at least ${training ? 'two rows in training' : 'one row'}, received ${describeShape(x.shape)}`,
      training ? { hint: 'use larger batches, or drop the last one if it holds a single example' } : {},
    );
  const { momentum = 0.1, eps = 1e-5, slope = 0.01 } = options;
  const mean = emptyTensor([C], 'batchNorm');
  const rstd = emptyTensor([C], 'batchNorm');
  const y = emptyTensor(x.shape, 'batchNorm');
  native().batchNormSync(
    x.handle,
    rows,
    C,
    training,
    gamma?.handle,
    beta?.handle,
    eps,
    momentum,
    runningMean?.handle,
    runningVar?.handle,
    mean.handle,
    rstd.handle,
    activation,
    slope,
    y.handle,
  );
  const inputs = [x, gamma, beta].filter((each) => each !== undefined);
  const derivative = (dy: Tensor) => {
    const dx = emptyTensor(x.shape, 'batchNorm');
    const dgamma = like(gamma, 'batchNorm');
    const dbeta = like(beta, 'batchNorm');
    native().batchNormBackwardSync(
      x.handle,
      dy.handle,
      rows,
      C,
      training,
      gamma?.handle,
      beta?.handle,
      mean.handle,
      rstd.handle,
      activation,
      slope,
      dx.handle,
      dgamma?.handle,
      dbeta?.handle,
    );
    return [dx, ...(gamma ? [dgamma] : []), ...(beta ? [dbeta] : [])];
  };
  return record('batchNorm', inputs, y, derivative, [mean, rstd]);
}

export interface LayerNormOptions {
  /** [n] multiplies; 1 if absent. */
  readonly gamma?: Tensor | undefined;
  /** [n] is added; 0 if absent. */
  readonly beta?: Tensor | undefined;
  /** Default 1e-5. */
  readonly eps?: number | undefined;
}

/** Layer normalisation of each row of the last axis (Ba et al. 2016). */
export function layerNorm(x: Tensor, options: LayerNormOptions = {}): Tensor {
  const n = lastAxis('layerNorm', x);
  const { gamma, beta, eps = 1e-5 } = options;
  checkVector('layerNorm: gamma', gamma, n);
  checkVector('layerNorm: beta', beta, n);
  const rows = x.size / n;
  const mean = emptyTensor([rows], 'layerNorm');
  const rstd = emptyTensor([rows], 'layerNorm');
  const y = emptyTensor(x.shape, 'layerNorm');
  native().layerNormSync(
    x.handle,
    rows,
    n,
    gamma?.handle,
    beta?.handle,
    eps,
    mean.handle,
    rstd.handle,
    y.handle,
  );
  const inputs = [x, gamma, beta].filter((each) => each !== undefined);
  const derivative = (dy: Tensor) => {
    const dx = emptyTensor(x.shape, 'layerNorm');
    const dgamma = like(gamma, 'layerNorm');
    const dbeta = like(beta, 'layerNorm');
    native().layerNormBackwardSync(
      x.handle,
      dy.handle,
      rows,
      n,
      gamma?.handle,
      mean.handle,
      rstd.handle,
      dx.handle,
      dgamma?.handle,
      dbeta?.handle,
    );
    return [dx, ...(gamma ? [dgamma] : []), ...(beta ? [dbeta] : [])];
  };
  return record('layerNorm', inputs, y, derivative, [mean, rstd]);
}

/** Each row of the last axis divided by its length, or by eps (default 1e-12) where it is shorter. */
export function normalize(x: Tensor, eps = 1e-12): Tensor {
  const n = lastAxis('normalize', x);
  if (!(checkFinite('normalize: eps', eps) > 0)) invalidArgument('normalize: eps', 'a positive number', eps);
  const rows = x.size / n;
  const y = emptyTensor(x.shape, 'normalize');
  const inverseNorm = emptyTensor([rows], 'normalize');
  native().normalizeSync(x.handle, rows, n, eps, y.handle, inverseNorm.handle);
  const derivative = (dy: Tensor) => {
    const dx = emptyTensor(x.shape, 'normalize');
    native().normalizeBackwardSync(y.handle, inverseNorm.handle, dy.handle, rows, n, dx.handle);
    return [dx];
  };
  return record('normalize', [x], y, derivative, [inverseNorm]);
}

export interface DropoutOptions {
  /** false returns x. Default true. */
  readonly training?: boolean | undefined;
  /** The default generator if absent. */
  readonly generator?: Generator | undefined;
}

/** Each element 0 with probability p, else x / (1 - p) (Srivastava et al. 2014). */
export function dropout(x: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  checkTensor('dropout', x);
  if (!(p >= 0 && p < 1)) invalidArgument('dropout: p', 'a number from 0 to below 1', p);
  if (options.training === false || p === 0) return x;
  const { seedLow, seedHigh, offset } = (options.generator ?? defaultGenerator).next(x.size);
  const masked = (from: Tensor) => {
    const y = emptyTensor(x.shape, 'dropout');
    native().dropoutSync(from.handle, p, seedLow, seedHigh, offset, y.handle);
    return y;
  };
  return record('dropout', [x], masked(x), (dy) => [masked(dy)]);
}
