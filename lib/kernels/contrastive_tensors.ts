/** InfoNCE of tensors with everything that the kernel tells, off the tape; lib/autograd has the differentiable one. */
import { BinceError, invalidArgument } from '../errors.js';
import { native, withCancel } from '../native.js';
import type { Handle } from '../tensor/storage.js';
import { emptyTensor, type Shape, Tensor } from '../tensor/tensor.js';
import type { InfoNCEOptions } from './contrastive.js';
import { contrastiveNumbers, wants } from './contrastive_numbers.js';

/** The options of infoNCE; labels and weights are arrays, also for tensors on a device. */
export interface TensorInfoNCEOptions extends Omit<InfoNCEOptions, 'dim' | 'rows' | 'columns' | 'queue'> {
  readonly queue?: Tensor | undefined;
}

/** As InfoNCEResult, with tensors where q is. They belong to the scope around the call. */
export interface TensorInfoNCEResult {
  readonly loss: number;
  readonly regularizer: number;
  readonly rowLoss: Tensor;
  readonly rowLse?: Tensor;
  readonly columnLoss?: Tensor;
  readonly columnLse?: Tensor;
  readonly dq?: Tensor;
  readonly dk?: Tensor;
  readonly dscale?: number;
  readonly dbias?: number;
}

type Vectors = Handle | undefined;
type Labels = Int32Array | undefined;
type Weights = Float32Array | undefined;
type Arguments = [
  numbers: Float64Array,
  ...vectors: [Handle, Handle, Vectors],
  ...labels: [Labels, Labels, Labels, Labels, Labels, Weights, Weights],
  scalars: Float32Array,
  ...results: [Handle, Vectors, Vectors, Vectors, Vectors, Vectors],
];

declare module '../native.js' {
  interface NativeCalls {
    contrastiveSync(...call: Arguments): void;
    contrastiveAsync(...call: [...Arguments, cancel: Int32Array | undefined]): Promise<void>;
  }
}

interface Call {
  readonly arguments: Arguments;
  readonly scalars: Float32Array;
  readonly results: { readonly [name: string]: Tensor | undefined };
}

export function infoNCEOfTensorsSync(
  q: Tensor,
  k: Tensor,
  options: TensorInfoNCEOptions,
): TensorInfoNCEResult {
  const call = prepare(q, k, options);
  try {
    native().contrastiveSync(...call.arguments);
    return collect(call, options);
  } catch (error) {
    dispose(call);
    throw error;
  }
}

export function infoNCEOfTensors(
  q: Tensor,
  k: Tensor,
  options: TensorInfoNCEOptions & { readonly signal?: AbortSignal | undefined },
): Promise<TensorInfoNCEResult> {
  return withCancel(options?.signal, async (cancel) => {
    const call = prepare(q, k, options);
    try {
      await native().contrastiveAsync(...call.arguments, cancel);
      return collect(call, options);
    } catch (error) {
      dispose(call);
      throw error;
    }
  });
}

function checkVectors(name: string, value: unknown, like?: Tensor): Tensor {
  if (!(value instanceof Tensor) || (value.dtype !== 'float32' && value.dtype !== 'bfloat16'))
    invalidArgument(name, 'a float32 or bfloat16 tensor', value instanceof Tensor ? value.toString() : value);
  if (value.rank !== 2 || value.size === 0)
    invalidArgument(name, 'a tensor of shape [rows, dim]', value.toString());
  if (like && (value.dtype !== like.dtype || value.shape[1] !== like.shape[1]))
    invalidArgument(name, `rows of ${like.shape[1]} elements of ${like.dtype} as q`, value.toString());
  if (like && value.device !== like.device)
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `infoNCE: expected tensors on one device, received q on ${like.device} and ${name} on ${value.device}`,
      { hint: `move one of them: .to('${like.device}')` },
    );
  return value;
}

function prepare(q: Tensor, k: Tensor, options: TensorInfoNCEOptions): Call {
  if (typeof options !== 'object' || options === null) invalidArgument('options', 'an object', options);
  checkVectors('q', q);
  checkVectors('k', k, q);
  const { queue, groups, ids } = options;
  if (queue !== undefined) checkVectors('queue', queue, q);
  const [rows, dim] = q.shape as [number, number];
  const keys = k.shape[0]!;
  const queued = queue?.shape[0] ?? 0;
  const numbers = contrastiveNumbers({ ...options, dim, queue: undefined }, rows, keys, queued);
  const make = (shape: Shape, wanted = true) =>
    wanted ? emptyTensor(shape, 'infoNCE', 'float32', q.device) : undefined;
  const symmetric = options.symmetric === true;
  const columns = keys + queued;
  const results = {
    rowLoss: make([rows])!,
    rowLse: make([rows], options.denominator !== 'sigmoid'),
    columnLoss: make([columns], symmetric),
    columnLse: make([columns], symmetric),
    dq: make(q.shape, wants(options, 'q')),
    dk: make(k.shape, wants(options, 'k')),
  };
  const scalars = new Float32Array(4);
  const { rowLoss, rowLse, columnLoss, columnLse, dq, dk } = results;
  return {
    arguments: [
      numbers,
      ...([q.handle, k.handle, queue?.handle] as const),
      ...([options.positive, groups?.rows, groups?.columns, ids?.rows, ids?.columns] as const),
      ...([options.rowWeight, options.columnWeight] as const),
      scalars,
      ...([rowLoss.handle, rowLse?.handle, columnLoss?.handle, columnLse?.handle] as const),
      ...([dq?.handle, dk?.handle] as const),
    ],
    scalars,
    results,
  };
}

function collect({ scalars, results }: Call, options: TensorInfoNCEOptions): TensorInfoNCEResult {
  const tensors = Object.fromEntries(Object.entries(results).filter(([, each]) => each !== undefined));
  return {
    loss: scalars[0]!,
    regularizer: scalars[1]!,
    ...(tensors as unknown as { rowLoss: Tensor }),
    ...(wants(options, 'scale') && { dscale: scalars[2]! }),
    ...(wants(options, 'bias') && { dbias: scalars[3]! }),
  };
}

function dispose({ results }: Call): void {
  for (const each of Object.values(results)) each?.dispose();
}
