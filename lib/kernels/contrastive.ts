/**
 * Fused contrastive losses: InfoNCE and its family, forward and backward in one call, without the matrix of scores.
 * The named losses (CLIP, NT-Xent, ...) of contrastive_losses.ts are settings of this one call.
 */
import { markAsUntransferable } from 'node:worker_threads';
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

/**
 * The arrays of a small result (32 KiB) are views of an ArrayBuffer that other results share, and that cannot be
 * transferred to another thread: copy an array (`slice`) to send it alone.
 */
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

type Inputs = [
  queue: Vectors | undefined,
  positive: Int32Array | undefined,
  rowGroup: Int32Array | undefined,
  columnGroup: Int32Array | undefined,
  rowId: Int32Array | undefined,
  columnId: Int32Array | undefined,
  rowWeight: Float32Array | undefined,
  columnWeight: Float32Array | undefined,
];

type Results = [
  scalars: Float32Array,
  rowLoss: Float32Array,
  rowLse: Float32Array | undefined,
  columnLoss: Float32Array | undefined,
  columnLse: Float32Array | undefined,
  dq: Float32Array | undefined,
  dk: Float32Array | undefined,
];

type Arguments = [numbers: Float64Array, q: Vectors, k: Vectors, ...Inputs, ...Results];

declare module '../native.js' {
  interface NativeCalls {
    contrastiveSync(...call: Arguments): void;
    contrastiveAsync(...call: [...Arguments, cancel: Int32Array | undefined]): Promise<void>;
    contrastivePackedSync(
      numbers: Float64Array,
      q: Vectors,
      k: Vectors,
      results: Float32Array,
      ...inputs: Inputs | []
    ): void;
  }
}

/**
 * Results of up to so many floats are views of a common ArrayBuffer: to make one for each array takes longer than all
 * else between JavaScript and a small call.
 */
const mostShared = 8192;
const sharedBytes = 16 * mostShared;
let shared = new ArrayBuffer(0);
let sharedAt = 0;

/** Floats that nothing was written to, and that no other result holds. */
function sharedFloats(count: number): Float32Array {
  if (sharedAt + 4 * count > shared.byteLength) {
    shared = Buffer.allocUnsafeSlow(sharedBytes).buffer;
    markAsUntransferable(shared); // it would be gone from all other results
    sharedAt = 0;
  }
  const floats = new Float32Array(shared, sharedAt, count);
  sharedAt += 4 * count;
  return floats;
}

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
  const sizes = checkSizes(q, k, options);
  const inputs = checkInputs(sizes, options);
  const numbers = contrastiveNumbers(options, sizes.rows, sizes.keys, sizes.queued);
  const lengths = resultLengths(sizes, options);
  const floats = 4 + sizes.rows + lengths.rowLse + 2 * lengths.columns + lengths.dq + lengths.dk;
  if (floats > mostShared) {
    const results = makeResults(sizes.rows, lengths);
    native().contrastiveSync(numbers, q, k, ...(inputs ?? noInputs), ...results);
    return collect(results, options);
  }
  const room = sharedFloats(floats); // the call writes them all
  if (inputs) native().contrastivePackedSync(numbers, q, k, room, ...inputs);
  else native().contrastivePackedSync(numbers, q, k, room);
  return collect(partsOf(room, sizes.rows, lengths), options);
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
    const sizes = checkSizes(q, k, options);
    const inputs = checkInputs(sizes, options) ?? noInputs;
    const results = makeResults(sizes.rows, resultLengths(sizes, options));
    const numbers = contrastiveNumbers(options, sizes.rows, sizes.keys, sizes.queued);
    await native().contrastiveAsync(numbers, q, k, ...inputs, ...results, cancel);
    return collect(results, options);
  });
}

interface Sizes {
  readonly rows: number;
  readonly keys: number;
  readonly queued: number;
  readonly dim: number;
}

function checkSizes(q: Vectors, k: Vectors, options: InfoNCEOptions): Sizes {
  if (typeof options !== 'object' || options === null) invalidArgument('options', 'an object', options);
  const { dim, queue } = options;
  if (!Number.isInteger(dim) || dim < 1) invalidArgument('dim', 'a positive integer', dim);
  const rows = countRows('q', q, dim, 'rows', options.rows);
  const keys = countRows('k', k, dim, 'columns', options.columns);
  const queued = queue === undefined ? 0 : countRows('queue', queue, dim, 'queue rows', undefined);
  if (k.constructor !== q.constructor) invalidArgument('k', `a ${q.constructor.name} as q`, k);
  return { rows, keys, queued, dim };
}

const noInputs: Inputs = [
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
];

/** What there is beside q and k, checked; undefined for nothing. */
function checkInputs({ rows, keys, queued }: Sizes, options: InfoNCEOptions): Inputs | undefined {
  const { queue, positive, groups, ids, rowWeight, columnWeight } = options;
  if ((queue ?? positive ?? groups ?? ids ?? rowWeight ?? columnWeight) === undefined) return undefined;
  const columns = keys + queued;
  return [
    queue,
    checkArray('positive', positive, Int32Array, rows),
    checkArray('groups.rows', groups?.rows, Int32Array, rows),
    checkArray('groups.columns', groups?.columns, Int32Array, columns),
    checkArray('ids.rows', ids?.rows, Int32Array, rows),
    checkArray('ids.columns', ids?.columns, Int32Array, columns),
    checkArray('rowWeight', rowWeight, Float32Array, rows),
    checkArray('columnWeight', columnWeight, Float32Array, columns),
  ];
}

/** Elements of the results that not every call has, 0 where they are not wanted. */
interface Lengths {
  readonly rowLse: number;
  readonly columns: number;
  readonly dq: number;
  readonly dk: number;
}

function resultLengths({ rows, keys, queued, dim }: Sizes, options: InfoNCEOptions): Lengths {
  return {
    rowLse: options.denominator === 'sigmoid' ? 0 : rows,
    columns: options.symmetric === true ? keys + queued : 0,
    dq: wants(options, 'q') ? rows * dim : 0,
    dk: wants(options, 'k') ? keys * dim : 0,
  };
}

function makeResults(rows: number, { rowLse, columns, dq, dk }: Lengths): Results {
  return [
    new Float32Array(4),
    new Float32Array(rows),
    rowLse ? new Float32Array(rowLse) : undefined,
    columns ? new Float32Array(columns) : undefined,
    columns ? new Float32Array(columns) : undefined,
    dq ? new Float32Array(dq) : undefined,
    dk ? new Float32Array(dk) : undefined,
  ];
}

/** The results as a packed call leaves them; the four numbers are the beginning of `room`. */
function partsOf(room: Float32Array, rows: number, { rowLse, columns, dq, dk }: Lengths): Results {
  const { buffer, byteOffset } = room;
  const lse = byteOffset + 4 * (4 + rows);
  const ofColumns = lse + 4 * rowLse;
  const gradients = ofColumns + 8 * columns;
  return [
    room,
    new Float32Array(buffer, byteOffset + 16, rows),
    rowLse ? new Float32Array(buffer, lse, rowLse) : undefined,
    columns ? new Float32Array(buffer, ofColumns, columns) : undefined,
    columns ? new Float32Array(buffer, ofColumns + 4 * columns, columns) : undefined,
    dq ? new Float32Array(buffer, gradients, dq) : undefined,
    dk ? new Float32Array(buffer, gradients + 4 * dq, dk) : undefined,
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

function collect(results: Results, options: InfoNCEOptions): InfoNCEResult {
  const scalars = results[0];
  const loss = scalars[0]!;
  const regularizer = scalars[1]!;
  const rowLoss = results[1];
  const rowLse = results[2];
  const columnLoss = results[3];
  const columnLse = results[4];
  const dq = results[5];
  const dk = results[6];
  const dscale = wants(options, 'scale') ? scalars[2]! : undefined;
  const dbias = wants(options, 'bias') ? scalars[3]! : undefined;
  // The usual results at once: properties that are added one by one take as long as all the rest.
  if (rowLse && !columnLoss && dq && dk && dscale !== undefined && dbias !== undefined)
    return { loss, regularizer, rowLoss, rowLse, dq, dk, dscale, dbias };
  const result: { -readonly [K in keyof InfoNCEResult]: InfoNCEResult[K] } = { loss, regularizer, rowLoss };
  if (rowLse) result.rowLse = rowLse;
  if (columnLoss) result.columnLoss = columnLoss;
  if (columnLse) result.columnLse = columnLse;
  if (dq) result.dq = dq;
  if (dk) result.dk = dk;
  if (dscale !== undefined) result.dscale = dscale;
  if (dbias !== undefined) result.dbias = dbias;
  return result;
}
