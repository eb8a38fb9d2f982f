/** Matrix products. */
import { BinceError, invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import { broadcastShape, describeShape, elementsOf, sameShape } from '../../tensor/shapes.js';
import { emptyTensor, type Shape, type Tensor } from '../../tensor/tensor.js';
import { checkTensor } from '../arguments.js';
import { record } from '../tape.js';
import { expand } from './reduce.js';

export interface MatmulOptions {
  /** Read a as [..., K, M]. Default false. */
  readonly transposeA?: boolean | undefined;
  /** Read b as [..., N, K]. Default false. */
  readonly transposeB?: boolean | undefined;
  /** [N] added to every row of the product. */
  readonly bias?: Tensor | undefined;
}

interface Product {
  readonly batch: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/**
 * a [..., M, K] times b [..., K, N]: [..., M, N]. Axes before the last two broadcast. A b of two axes is shared by all
 * matrices of a at no cost.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkTensor('matmul', a);
  checkTensor('matmul', b);
  const { transposeA = false, transposeB = false, bias } = options;
  if (a.rank < 2 || b.rank < 2)
    invalidArgument(
      'matmul',
      'tensors of at least two axes',
      `${describeShape(a.shape)} and ${describeShape(b.shape)}`,
    );
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number];
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number];
  const [M, K] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [inner, N] = transposeB ? [bColumns, bRows] : [bRows, bColumns];
  if (K !== inner)
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `matmul: expected equal inner sizes, received ${describeShape(a.shape)}${transposeA ? ' transposed' : ''} and ${describeShape(b.shape)}${transposeB ? ' transposed' : ''}: ${K} and ${inner}`,
    );
  if (K === 0 || N === 0)
    invalidArgument('matmul', 'inner and outer sizes of at least 1', describeShape(b.shape));
  if (bias !== undefined) {
    checkTensor('matmul: bias', bias);
    if (bias.size !== N || bias.rank !== 1)
      invalidArgument('matmul: bias', `shape [${N}]`, describeShape(bias.shape));
  }
  if (b.rank === 2 && !transposeA) {
    const shape = [...a.shape.slice(0, -1), N];
    return product({ batch: 1, M: a.size / K, N, K }, a, false, b, transposeB, bias, shape);
  }
  const leading = broadcastShape('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const batch = elementsOf(leading);
  const full = (x: Tensor) => {
    const shape = [...leading, ...x.shape.slice(-2)];
    return sameShape(shape, x.shape) ? x : expand(x, shape);
  };
  const [fullA, fullB] = [full(a), full(b)];
  const c = product({ batch, M, N, K }, fullA, transposeA, fullB, transposeB, bias, [...leading, M, N]);
  if (!c.requiresGrad) for (const each of [fullA, fullB]) if (each !== a && each !== b) each.dispose();
  return c;
}

function product(
  { batch, M, N, K }: Product,
  a: Tensor,
  transA: boolean,
  b: Tensor,
  transB: boolean,
  bias: Tensor | undefined,
  shape: Shape,
): Tensor {
  const c = emptyTensor(shape, 'matmul');
  multiply({ batch, M, N, K }, a, transA, b, transB, bias, c);
  return record('matmul', bias ? [a, b, bias] : [a, b], c, (dc) => {
    let [da, db, dbias]: (Tensor | undefined)[] = [];
    if (a.requiresGrad) {
      da = emptyTensor(a.shape, 'matmul');
      if (transA) multiply({ batch, M: K, N: M, K: N }, b, transB, dc, true, undefined, da);
      else multiply({ batch, M, N: K, K: N }, dc, false, b, !transB, undefined, da);
    }
    if (b.requiresGrad) {
      db = emptyTensor(b.shape, 'matmul');
      if (transB) multiply({ batch, M: N, N: K, K: M }, dc, true, a, transA, undefined, db);
      else multiply({ batch, M: K, N, K: M }, a, !transA, dc, false, undefined, db);
    }
    if (bias?.requiresGrad) {
      dbias = emptyTensor(bias.shape, 'matmul');
      if (dc.size === 0) native().fillSync(dbias.handle, 0);
      else native().reduceSync(0, dc.handle, 1, batch * M, N, dbias.handle);
    }
    return [da, db, dbias];
  });
}

function multiply(
  { batch, M, N, K }: Product,
  a: Tensor,
  transA: boolean,
  b: Tensor,
  transB: boolean,
  bias: Tensor | undefined,
  c: Tensor,
): void {
  if (c.size === 0) return;
  // The derivative of a product of no rows.
  if (K === 0) {
    native().fillSync(c.handle, 0);
    return;
  }
  native().matmulSync(
    batch,
    M,
    N,
    K,
    a.handle,
    transA,
    M * K,
    b.handle,
    transB,
    K * N,
    bias?.handle,
    c.handle,
    false,
  );
}

/** x [..., in] times weight [in, out], plus bias [out]: [..., out]. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  checkTensor('linear', x);
  checkTensor('linear: weight', weight);
  if (x.rank < 1 || weight.rank !== 2 || x.shape.at(-1) !== weight.shape[0])
    invalidArgument(
      'linear',
      `x [..., in] and weight [in, out]`,
      `${describeShape(x.shape)} and ${describeShape(weight.shape)}`,
    );
  const [inputs, outputs] = weight.shape as [number, number];
  if (weight.size === 0)
    invalidArgument('linear: weight', 'at least one input and output', describeShape(weight.shape));
  if (bias !== undefined && (checkTensor('linear: bias', bias).rank !== 1 || bias.size !== outputs))
    invalidArgument('linear: bias', `shape [${outputs}]`, describeShape(bias.shape));
  const shape = [...x.shape.slice(0, -1), outputs];
  const rows = elementsOf(x.shape.slice(0, -1));
  return product({ batch: 1, M: rows, N: outputs, K: inputs }, x, false, weight, false, bias, shape);
}
