/** InfoNCE and its family as differentiable operations: the fused kernel of lib/kernels on tensors. */
import { BinceError, invalidArgument } from '../../errors.js';
import type { InfoNCEOptions, LinePair } from '../../kernels/contrastive.js';
import { contrastiveNumbers } from '../../kernels/contrastive_numbers.js';
import { native } from '../../native.js';
import { describeShape, sameShape } from '../../tensor/shapes.js';
import type { Handle } from '../../tensor/storage.js';
import { emptyTensor, type Shape, Tensor } from '../../tensor/tensor.js';
import { checkOneDevice, checkPlacedTensor, checkTensor } from '../arguments.js';
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
 *
 * q and k are float32 or bfloat16, with gradients of float32. Where they are on a CUDA device, so must be the other
 * tensors (arrays are copied over); gradients of q and k stay there, the loss and a learned scale are on the CPU.
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
  if (k.dtype !== q.dtype) invalidArgument('infoNCE: k', `${q.dtype} as q`, k.toString());
  checkOneDevice('infoNCE', q, k, rest.queue, ...Object.values(linesOf(rest)));
  if (q.device !== 'cpu' || q.dtype === 'bfloat16')
    return direct(q, k, rest, oneElement('scale', scale), oneElement('bias', bias));
  if (!(scale instanceof Tensor) && !(bias instanceof Tensor)) return fused(q, k, { ...rest, scale, bias });
  return folded(q, k, rest, scale, bias);
}

function checkVectors(name: string, value: Tensor): void {
  const { dtype } = checkPlacedTensor(`infoNCE: ${name}`, value);
  if (dtype !== 'float32' && dtype !== 'bfloat16')
    invalidArgument(`infoNCE: ${name}`, 'a float32 or bfloat16 tensor', value.toString());
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

function oneElement<T extends number | Tensor>(name: string, value: T): T {
  if (!(value instanceof Tensor)) return value;
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
  const wanted = { q: willRecord(q), k: willRecord(k), scale: false, bias: false };
  const { scalars, dq, dk } = run(q, k, options, wanted);
  const loss = element(scalars, 0);
  scalars.dispose();
  const saved = [dq, dk].filter((each) => each !== undefined);
  const part = (gradient: Tensor | undefined, dy: Tensor) => gradient && multiplied(gradient, dy, 1, []);
  return record('infoNCE', [q, k], loss, (dy) => [part(dq, dy), part(dk, dy)], saved);
}

// A scale and a bias that are tensors are read, and get the kernel's own gradients. On a device nothing multiplies
// gradients afterwards: they are computed again where the loss is not the root itself.
function direct(
  q: Tensor,
  k: Tensor,
  options: Omit<Numbers, 'scale' | 'bias'>,
  scale: number | Tensor,
  bias: number | Tensor,
): Tensor {
  const value = (x: number | Tensor) => (x instanceof Tensor ? x.item() : x);
  const learned = (x: number | Tensor) => x instanceof Tensor && willRecord(x);
  const wanted = { q: willRecord(q), k: willRecord(k), scale: learned(scale), bias: learned(bias) };
  const numbers = { ...options, scale: value(scale), bias: value(bias) };
  const first = run(q, k, numbers, wanted);
  const loss = element(first.scalars, 0);
  const saved = [first.scalars, first.dq, first.dk].filter((each) => each !== undefined);
  const inputs = [q, k, scale, bias].filter((each) => each instanceof Tensor);
  const derivative = (dy: Tensor) => {
    const gradLoss = dy.item();
    const { scalars, dq, dk } = gradLoss === 1 ? first : run(q, k, { ...numbers, gradLoss }, wanted);
    const at = (x: number | Tensor, index: number) =>
      x instanceof Tensor
        ? [wanted[index === 2 ? 'scale' : 'bias'] ? element(scalars, index, x.shape) : undefined]
        : [];
    return [dq, dk, ...at(scale, 2), ...at(bias, 3)];
  };
  return record('infoNCE', inputs, loss, derivative, saved);
}

type Wanted = Readonly<Record<'q' | 'k' | 'scale' | 'bias', boolean>>;

// One call of the kernel: loss, regularizer, dscale and dbias as a tensor on the CPU, the gradients where q is.
function run(q: Tensor, k: Tensor, options: Numbers & { gradLoss?: number }, wanted: Wanted) {
  const [rows, dim] = q.shape as [number, number];
  const keys = k.shape[0]!;
  const { queue } = options;
  if (queue !== undefined) {
    checkVectors('queue', queue);
    if (queue.shape[1] !== dim)
      invalidArgument('infoNCE: queue', `rows of ${dim} elements`, describeShape(queue.shape));
  }
  const columns = keys + (queue?.shape[0] ?? 0);
  const given = linesOf(options);
  const gradients = (['scale', 'bias'] as const).filter((name) => wanted[name]);
  const numbers = contrastiveNumbers(
    { ...(options as InfoNCEOptions), dim, gradients },
    rows,
    keys,
    queue?.shape[0] ?? 0,
  );
  const dq = wanted.q ? emptyTensor(q.shape, 'infoNCE', 'float32', q.device) : undefined;
  const dk = wanted.k ? emptyTensor(k.shape, 'infoNCE', 'float32', k.device) : undefined;
  const scalars = emptyTensor([4], 'infoNCE');
  const lines = [rows, rows, columns, columns]
    .slice(0, options.symmetric === true ? 4 : 2)
    .map((length) => emptyTensor([length], 'infoNCE', 'float32', q.device));
  try {
    native().contrastiveSync(
      numbers,
      q.handle,
      k.handle,
      queue?.handle,
      line('positive', given.positive, 'int32', rows),
      line('groups.rows', given.groupRows, 'int32', rows),
      line('groups.columns', given.groupColumns, 'int32', columns),
      line('ids.rows', given.idRows, 'int32', rows),
      line('ids.columns', given.idColumns, 'int32', columns),
      line('rowWeight', given.rowWeight, 'float32', rows),
      line('columnWeight', given.columnWeight, 'float32', columns),
      scalars.handle,
      lines[0]!.handle,
      options.denominator === 'sigmoid' ? undefined : lines[1]!.handle,
      lines[2]?.handle,
      lines[3]?.handle,
      dq?.handle,
      dk?.handle,
    );
  } catch (error) {
    for (const each of [scalars, dq, dk]) each?.dispose();
    throw error;
  } finally {
    for (const each of lines) each.dispose();
  }
  return { scalars, dq, dk };
}

function linesOf({ positive, groups, ids, rowWeight, columnWeight }: Omit<Numbers, 'scale' | 'bias'>) {
  return {
    positive,
    groupRows: groups?.rows,
    groupColumns: groups?.columns,
    idRows: ids?.rows,
    idColumns: ids?.columns,
    rowWeight,
    columnWeight,
  };
}

// An element of the scalars as a tensor of its own.
function element(scalars: Tensor, index: number, shape: Shape = []): Tensor {
  const x = emptyTensor(shape, 'infoNCE');
  native().storageCopy(scalars.handle, index, x.handle, 0, 1);
  return x;
}

function line<T extends Int32Array | Float32Array>(
  name: string,
  value: T | Tensor | undefined,
  dtype: 'int32' | 'float32',
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
