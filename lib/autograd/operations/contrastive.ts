/** InfoNCE and its family as differentiable operations: the fused kernel of lib/kernels on tensors. */
import { BinceError, invalidArgument } from '../../errors.js';
import { contrastiveNumbers, type InfoNCEOptions, type LinePair } from '../../kernels/contrastive.js';
import { native } from '../../native.js';
import { describeShape, flatWalk, sameShape } from '../../tensor/shapes.js';
import type { DType, Handle } from '../../tensor/storage.js';
import { emptyTensor, Tensor } from '../../tensor/tensor.js';
import { checkTensor } from '../arguments.js';
import { record, willRecord } from '../tape.js';
import { mul } from './binary.js';
import { normalize } from './normalization.js';
import { expand, multiplied } from './reduce.js';
import { concat } from './shape.js';

type Replaced =
  | 'dim'
  | 'rows'
  | 'columns'
  | 'queue'
  | 'positive'
  | 'groups'
  | 'ids'
  | 'rowWeight'
  | 'columnWeight'
  | 'scale'
  | 'bias'
  | 'gradients'
  | 'gradLoss';

/** Labels of rows and of columns, as in lib/kernels, as arrays or int32 tensors. */
export interface Lines {
  readonly rows: Int32Array | Tensor;
  readonly columns: Int32Array | Tensor;
}

/** The options of lib/kernels' infoNCE; what stands for vectors may be a tensor. */
export interface ContrastiveOptions extends Omit<InfoNCEOptions, Replaced> {
  /** [Q, D] further columns, without a gradient. */
  readonly queue?: Tensor | undefined;
  readonly positive?: Int32Array | Tensor | undefined;
  readonly groups?: Lines | LinePair | undefined;
  readonly ids?: Lines | LinePair | undefined;
  readonly rowWeight?: Float32Array | Tensor | undefined;
  readonly columnWeight?: Float32Array | Tensor | undefined;
  /** The logit scale. A tensor of one element is multiplied into q and gets a gradient. Default 1. */
  readonly scale?: number | Tensor | undefined;
  /** 1 / scale, where that is the habit; not beside `scale`. */
  readonly temperature?: number | undefined;
  /** Added to every score; a tensor of one element gets a gradient. Default 0. */
  readonly bias?: number | Tensor | undefined;
}

type Numbers = Omit<ContrastiveOptions, 'scale' | 'bias' | 'temperature'> & { scale: number; bias: number };

/**
 * InfoNCE of queries q [N, D] against keys k [M, D]: the mean (or sum) over rows of -log softmax of the row's positive,
 * in nats, without the matrix of scores. See lib/kernels' infoNCE for the options. Throws BINCE_INVALID_VALUE, naming
 * the row, for a NaN or infinity.
 */
export function infoNCE(q: Tensor, k: Tensor, options: ContrastiveOptions = {}): Tensor {
  const { temperature, scale: givenScale, bias = 0, ...rest } = options;
  if (temperature !== undefined && !(temperature > 0 && Number.isFinite(temperature)))
    invalidArgument('temperature', 'a positive number', temperature);
  if (temperature !== undefined && givenScale !== undefined)
    invalidArgument('temperature', 'none beside scale', temperature);
  const scale = givenScale ?? (temperature === undefined ? 1 : 1 / temperature);
  checkVectors('q', q);
  checkVectors('k', k);
  if (k.shape[1] !== q.shape[1])
    invalidArgument('infoNCE: k', `rows of ${q.shape[1]} elements as q`, describeShape(k.shape));
  if (!(scale instanceof Tensor) && !(bias instanceof Tensor)) return fused(q, k, { ...rest, scale, bias });
  return folded(q, k, rest, scale, bias);
}

function checkVectors(name: string, value: Tensor): void {
  checkTensor(`infoNCE: ${name}`, value);
  if (value.rank !== 2 || value.size === 0)
    invalidArgument(`infoNCE: ${name}`, 'shape [rows, dim]', describeShape(value.shape));
}

// A scale or bias that is a tensor is never read here: <s q, k> + b = <[s q, b], [k, 1]>.
function folded(
  q: Tensor,
  k: Tensor,
  options: Omit<Numbers, 'scale' | 'bias'>,
  scale: number | Tensor,
  bias: number | Tensor,
): Tensor {
  if (options.threshold !== undefined)
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      'infoNCE: a threshold of similarity needs a scale and a bias that are numbers',
    );
  let [queries, keys, queue] = [q, k, options.queue];
  if (options.cosine) {
    queries = normalize(q);
    keys = k === q ? queries : normalize(k);
    queue = queue && normalize(queue);
  }
  if (scale instanceof Tensor) queries = mul(queries, oneElement('scale', scale));
  if (bias instanceof Tensor) {
    queries = concat([queries, expand(oneElement('bias', bias), [q.shape[0]!, 1])], 1);
    keys = withOnes(keys);
    queue = queue && withOnes(queue);
  }
  return fused(queries, keys, {
    ...options,
    ...(queue && { queue }),
    cosine: false,
    scale: scale instanceof Tensor ? 1 : scale,
    bias: bias instanceof Tensor ? 0 : bias,
  });
}

function oneElement(name: string, value: Tensor): Tensor {
  checkTensor(`infoNCE: ${name}`, value);
  if (value.size !== 1 || value.rank > 1)
    invalidArgument(`infoNCE: ${name}`, 'a number or a tensor of one element', describeShape(value.shape));
  return value;
}

function withOnes(x: Tensor): Tensor {
  const column = emptyTensor([x.shape[0]!, 1], 'ones');
  native().fillSync(column.handle, 1);
  return concat([x, column], 1);
}

function fused(q: Tensor, k: Tensor, options: Numbers): Tensor {
  const [rows, dim] = q.shape as [number, number];
  const keys = k.shape[0]!;
  const { queue, groups, ids } = options;
  if (queue !== undefined) {
    checkVectors('queue', queue);
    if (queue.shape[1] !== dim)
      invalidArgument('infoNCE: queue', `rows of ${dim} elements`, describeShape(queue.shape));
  }
  const columns = keys + (queue?.shape[0] ?? 0);
  const symmetric = options.symmetric === true;
  const [recordQ, recordK] = [willRecord(q), willRecord(k)];
  const dq = recordQ ? emptyTensor(q.shape, 'infoNCE') : undefined;
  const dk = recordK ? emptyTensor(k.shape, 'infoNCE') : undefined;
  // loss, regularizer, and the gradients of scale and bias, which are numbers here.
  const scalars = emptyTensor([4], 'infoNCE');
  const lines = [rows, rows, columns, columns]
    .slice(0, symmetric ? 4 : 2)
    .map((length) => emptyTensor([length], 'infoNCE'));
  native().contrastiveSync(
    contrastiveNumbers(
      { ...(options as InfoNCEOptions), dim, gradients: false },
      rows,
      keys,
      queue?.shape[0] ?? 0,
    ),
    q.handle,
    k.handle,
    queue?.handle,
    line('positive', options.positive, 'int32', rows),
    line('groups.rows', groups?.rows, 'int32', rows),
    line('groups.columns', groups?.columns, 'int32', columns),
    line('ids.rows', ids?.rows, 'int32', rows),
    line('ids.columns', ids?.columns, 'int32', columns),
    line('rowWeight', options.rowWeight, 'float32', rows),
    line('columnWeight', options.columnWeight, 'float32', columns),
    scalars.handle,
    lines[0]!.handle,
    options.denominator === 'sigmoid' ? undefined : lines[1]!.handle,
    lines[2]?.handle,
    lines[3]?.handle,
    dq?.handle,
    dk?.handle,
  );
  for (const each of lines) each.dispose();
  const loss = firstOf(scalars);
  const saved = [dq, dk].filter((each) => each !== undefined);
  const part = (gradient: Tensor | undefined, dy: Tensor) => gradient && multiplied(gradient, dy, 1, []);
  return record('infoNCE', [q, k], loss, (dy) => [part(dq, dy), part(dk, dy)], saved);
}

// Element 0 as a scalar of its own; frees the rest.
function firstOf(scalars: Tensor): Tensor {
  const loss = emptyTensor([], 'infoNCE');
  const { dims, x, y } = flatWalk(1);
  native().copyStridedSync(scalars.handle, 0, x, loss.handle, 0, y, dims, false);
  scalars.dispose();
  return loss;
}

function line<T extends Int32Array | Float32Array>(
  name: string,
  value: T | Tensor | undefined,
  dtype: Exclude<DType, 'uint8'>,
  length: number,
): T | Handle | undefined {
  if (value === undefined) return undefined;
  if (value instanceof Tensor) {
    if (value.dtype !== dtype || !sameShape(value.shape, [length]))
      invalidArgument(`infoNCE: ${name}`, `${dtype}[${length}]`, value.toString());
    return value.handle;
  }
  const Type = dtype === 'int32' ? Int32Array : Float32Array;
  if (!(value instanceof Type) || value.length !== length)
    invalidArgument(`infoNCE: ${name}`, `${Type.name}(${length}) or a tensor of that type`, value);
  return value;
}
