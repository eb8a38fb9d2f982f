/**
 * Fused contrastive losses: InfoNCE and its family, forward and backward in one call, without the matrix of scores.
 * The named losses (CLIP, NT-Xent, ...) of contrastive_losses.ts are settings of this one call.
 */
import { invalidArgument } from '../errors.js';
import { native, withCancel } from '../native.js';
import { Tensor } from '../tensor/tensor.js';
import { contrastiveNumbers, wants } from './contrastive_numbers.js';
import {
  infoNCEOfTensors,
  infoNCEOfTensorsSync,
  type TensorInfoNCEOptions,
  type TensorInfoNCEResult,
} from './contrastive_tensors.js';

/** Rows of float32, or of bfloat16 as the upper halves of float32 bits. */
export type Vectors = Float32Array | Uint16Array;

/** What the denominator of a row's softmax holds; `sigmoid` is SigLIP's pairwise loss, without one. */
export type Denominator = 'all' | 'negatives' | 'each' | 'sigmoid';

export type GradientName = 'q' | 'k' | 'scale' | 'bias';

/** Labels of rows and of columns (keys, then queue); pairs with equal labels >= 0 match, negative labels nothing. */
export interface LinePair {
  readonly rows: Int32Array;
  readonly columns: Int32Array;
}

export interface InfoNCEOptions {
  /** D, the length of a row of q and k. */
  readonly dim: number;
  /** N; by default as many rows as q holds. */
  readonly rows?: number;
  /** M, rows of k; by default as many as k holds. */
  readonly columns?: number;
  /** [Q, D] further columns behind those of k, such as MoCo's queue; they get no gradient. */
  readonly queue?: Vectors | undefined;
  /** [N] the positive column of each row, -1 for none; by default row i's is column i. */
  readonly positive?: Int32Array | undefined;
  /** Positives by label instead: every column of a row's group; the loss takes their mean. */
  readonly groups?: LinePair | undefined;
  /** Pairs with equal ids are false negatives and stay out of the denominator. */
  readonly ids?: LinePair | undefined;
  /** Negatives whose similarity <q, k>, before the scale, is above this stay out of the denominator. */
  readonly threshold?: number | undefined;
  /** Log of a weight on every negative, for instance log(effective / actual batch size). Default 0. */
  readonly negativeLogWeight?: number | undefined;
  /** [N] weights >= 0 of the rows' losses. */
  readonly rowWeight?: Float32Array | undefined;
  /** [M + Q] weights of the columns' losses; symmetric only. */
  readonly columnWeight?: Float32Array | undefined;
  /** The logit scale, 1 / temperature. Default 1. */
  readonly scale?: number | undefined;
  /** Added to every score. Default 0. */
  readonly bias?: number | undefined;
  /** c > 0: s becomes c tanh(s / c). */
  readonly clip?: number | undefined;
  /** w: adds w times the mean of squared scores, taken before the clip. */
  readonly regularizer?: number | undefined;
  /**
   * `all` (default): positives and negatives; `negatives`: decoupled contrastive learning; `each`: every positive
   * alone with all negatives (AMDIM); `sigmoid`: SigLIP.
   */
  readonly denominator?: Denominator | undefined;
  /** Half the loss of rows plus half that of columns (CLIP). */
  readonly symmetric?: boolean | undefined;
  /** L2-normalise rows of q and k first; gradients go through the normalisation. */
  readonly cosine?: boolean | undefined;
  /** Pair (i, i) is neither positive nor negative, as when k is q. */
  readonly excludeDiagonal?: boolean | undefined;
  /** MoCo: a row sees its own key and the queue, not other rows' keys. */
  readonly ownKey?: boolean | undefined;
  /** Weighted mean over rows with a positive (default) or weighted sum. */
  readonly reduction?: 'mean' | 'sum' | undefined;
  /** Gradients to compute: all (default), none, or those named. */
  readonly gradients?: boolean | readonly GradientName[] | undefined;
  /** Multiplies every gradient. Default 1. */
  readonly gradLoss?: number | undefined;
  /** false skips the search for NaN and infinity in the inputs. */
  readonly check?: boolean | undefined;
  /** float32 on a CUDA device: products of 10-bit mantissas on the tensor cores. Changes nothing elsewhere. */
  readonly tf32?: boolean | undefined;
}

export interface AsyncOptions {
  /** Cancels the call; its promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface InfoNCEResult {
  /** The regulariser included. */
  readonly loss: number;
  readonly regularizer: number;
  /** [N] loss of each row; 0 for a row without a positive. */
  readonly rowLoss: Float32Array;
  /** [N] log of each row's denominator; absent with `sigmoid`. */
  readonly rowLse?: Float32Array;
  /** [M + Q], symmetric only, as the next. */
  readonly columnLoss?: Float32Array;
  readonly columnLse?: Float32Array;
  /** [N, D] */
  readonly dq?: Float32Array;
  /** [M, D] */
  readonly dk?: Float32Array;
  readonly dscale?: number;
  readonly dbias?: number;
}

type Arguments = [
  numbers: Float64Array,
  q: Vectors,
  k: Vectors,
  queue: Vectors | undefined,
  positive: Int32Array | undefined,
  rowGroup: Int32Array | undefined,
  columnGroup: Int32Array | undefined,
  rowId: Int32Array | undefined,
  columnId: Int32Array | undefined,
  rowWeight: Float32Array | undefined,
  columnWeight: Float32Array | undefined,
  scalars: Float32Array,
  rowLoss: Float32Array,
  rowLse: Float32Array | undefined,
  columnLoss: Float32Array | undefined,
  columnLse: Float32Array | undefined,
  dq: Float32Array | undefined,
  dk: Float32Array | undefined,
];

declare module '../native.js' {
  interface NativeCalls {
    contrastiveSync(...call: Arguments): void;
    contrastiveAsync(...call: [...Arguments, cancel: Int32Array | undefined]): Promise<void>;
  }
}

/** loss, regularizer, dscale, dbias of a synchronous call. */
const scalars = new Float32Array(4);

/**
 * InfoNCE of queries q [N, D] against keys k [M, D]: -log softmax of each row's positive over the columns, and the
 * gradients of its mean. Memory stays O((N + M) D).
 *
 * Throws BINCE_INVALID_ARGUMENT for shapes and options that do not fit, and BINCE_INVALID_VALUE, naming the row, for a
 * NaN or infinity in q, k or queue. Source: van den Oord et al. 2018; other settings as named in
 * contrastive_losses.ts.
 */
export function infoNCESync(q: Vectors, k: Vectors, options: InfoNCEOptions): InfoNCEResult;
/** The same of tensors [N, D] and [M, D], on the CPU or on a CUDA device, where the results are then, too. */
export function infoNCESync(q: Tensor, k: Tensor, options?: TensorInfoNCEOptions): TensorInfoNCEResult;
export function infoNCESync(
  q: Vectors | Tensor,
  k: Vectors | Tensor,
  options?: InfoNCEOptions | TensorInfoNCEOptions,
): InfoNCEResult | TensorInfoNCEResult {
  if (q instanceof Tensor)
    return infoNCEOfTensorsSync(q, k as Tensor, (options ?? {}) as TensorInfoNCEOptions);
  return infoNCEOfArraysSync(q, k as Vectors, options as InfoNCEOptions);
}

function infoNCEOfArraysSync(q: Vectors, k: Vectors, options: InfoNCEOptions): InfoNCEResult {
  const call = prepare(q, k, options, scalars);
  native().contrastiveSync(...call);
  return collect(call, options);
}

/** {@link infoNCESync} on bince's own thread. The arrays must not change until the promise settles. */
export function infoNCE(
  q: Vectors,
  k: Vectors,
  options: InfoNCEOptions & AsyncOptions,
): Promise<InfoNCEResult>;
/** The same of tensors, which may be disposed of meanwhile. */
export function infoNCE(
  q: Tensor,
  k: Tensor,
  options?: TensorInfoNCEOptions & AsyncOptions,
): Promise<TensorInfoNCEResult>;
export function infoNCE(
  q: Vectors | Tensor,
  k: Vectors | Tensor,
  options?: (InfoNCEOptions | TensorInfoNCEOptions) & AsyncOptions,
): Promise<InfoNCEResult | TensorInfoNCEResult> {
  if (q instanceof Tensor) return infoNCEOfTensors(q, k as Tensor, (options ?? {}) as TensorInfoNCEOptions);
  return infoNCEOfArrays(q, k as Vectors, options as InfoNCEOptions);
}

function infoNCEOfArrays(
  q: Vectors,
  k: Vectors,
  options: InfoNCEOptions & AsyncOptions,
): Promise<InfoNCEResult> {
  return withCancel(options?.signal, async (cancel) => {
    const call = prepare(q, k, options, new Float32Array(4));
    await native().contrastiveAsync(...call, cancel);
    return collect(call, options);
  });
}

function prepare(q: Vectors, k: Vectors, options: InfoNCEOptions, four: Float32Array): Arguments {
  if (typeof options !== 'object' || options === null) invalidArgument('options', 'an object', options);
  const { dim, queue, groups, ids } = options;
  if (!Number.isInteger(dim) || dim < 1) invalidArgument('dim', 'a positive integer', dim);
  const rows = countRows('q', q, dim, 'rows', options.rows);
  const keys = countRows('k', k, dim, 'columns', options.columns);
  const queued = queue === undefined ? 0 : countRows('queue', queue, dim, 'queue rows', undefined);
  if (k.constructor !== q.constructor) invalidArgument('k', `a ${q.constructor.name} as q`, k);
  const columns = keys + queued;
  const sigmoid = options.denominator === 'sigmoid';
  const numbers = contrastiveNumbers(options, rows, keys, queued);
  const symmetric = options.symmetric === true;
  return [
    numbers,
    q,
    k,
    queue,
    checkArray('positive', options.positive, Int32Array, rows),
    checkArray('groups.rows', groups?.rows, Int32Array, rows),
    checkArray('groups.columns', groups?.columns, Int32Array, columns),
    checkArray('ids.rows', ids?.rows, Int32Array, rows),
    checkArray('ids.columns', ids?.columns, Int32Array, columns),
    checkArray('rowWeight', options.rowWeight, Float32Array, rows),
    checkArray('columnWeight', options.columnWeight, Float32Array, columns),
    four,
    new Float32Array(rows),
    sigmoid ? undefined : new Float32Array(rows),
    symmetric ? new Float32Array(columns) : undefined,
    symmetric ? new Float32Array(columns) : undefined,
    wants(options, 'q') ? new Float32Array(rows * dim) : undefined,
    wants(options, 'k') ? new Float32Array(keys * dim) : undefined,
  ];
}

function countRows(
  name: string,
  data: Vectors,
  dim: number,
  rowsName: string,
  rows: number | undefined,
): number {
  if (!(data instanceof Float32Array) && !(data instanceof Uint16Array))
    invalidArgument(name, 'a Float32Array, or a Uint16Array of bfloat16', data);
  if (rows !== undefined && (!Number.isInteger(rows) || rows < 1))
    invalidArgument(rowsName, 'a positive integer', rows);
  if (rows !== undefined && rows * dim !== data.length)
    invalidArgument(name, `${rows} x ${dim} elements`, data);
  if (data.length === 0 || data.length % dim !== 0)
    invalidArgument(name, `a positive multiple of dim (${dim}) elements`, data);
  return data.length / dim;
}

function checkArray<T extends Int32Array | Float32Array>(
  name: string,
  data: T | undefined,
  type: new (length: number) => T,
  length: number,
): T | undefined {
  if (data === undefined) return undefined;
  if (!(data instanceof type) || data.length !== length)
    invalidArgument(name, `a ${type.name} of ${length} elements`, data);
  return data;
}

function collect(call: Arguments, options: InfoNCEOptions): InfoNCEResult {
  const four = call[11];
  const [rowLse, columnLoss, columnLse, dq, dk] = [call[13], call[14], call[15], call[16], call[17]];
  const result: { -readonly [K in keyof InfoNCEResult]: InfoNCEResult[K] } = {
    loss: four[0]!,
    regularizer: four[1]!,
    rowLoss: call[12],
  };
  if (rowLse) result.rowLse = rowLse;
  if (columnLoss) result.columnLoss = columnLoss;
  if (columnLse) result.columnLse = columnLse;
  if (dq) result.dq = dq;
  if (dk) result.dk = dk;
  if (wants(options, 'scale')) result.dscale = four[2]!;
  if (wants(options, 'bias')) result.dbias = four[3]!;
  return result;
}
