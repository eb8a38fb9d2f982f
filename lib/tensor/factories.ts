/** Tensors from numbers, from other arrays and from nothing. */
import { type DeviceChoice, type DeviceName, namedDevice } from '../device/choice.js';
import { invalidArgument } from '../errors.js';
import { native } from '../native.js';
import { toBfloat16 } from './bfloat16.js';
import { defaultGenerator, type Generator } from './generator.js';
import { checkShape, describeShape, elementsOf } from './shapes.js';
import { arrayTypes, type DType, dtypeCodes, type TypedArray } from './storage.js';
import { copyTensor, emptyTensor, type NestedArray, type Shape, type Tensor } from './tensor.js';

export interface TensorOptions {
  /** float32 by default; of tensor() the type of the array. */
  readonly dtype?: DType | undefined;
  /** backward() gives it a gradient; float32 or bfloat16. Default false. */
  readonly requiresGrad?: boolean | undefined;
  /** For messages and state dicts. */
  readonly name?: string | undefined;
  /** Where it is made: 'cpu' (default), 'cuda', 'cuda:1', or 'auto' for a CUDA device where there is one. */
  readonly device?: DeviceChoice | undefined;
}

export interface RandomOptions extends Omit<TensorOptions, 'dtype'> {
  /** The default generator if absent; see manualSeed(). */
  readonly generator?: Generator | undefined;
}

/** What tensor() takes: typed arrays, numbers, and arrays of numbers nested to any depth. */
export type TensorData = TypedArray | Float64Array | number | readonly TensorData[] | NestedArray;

function finish(made: Tensor, options: TensorOptions): Tensor {
  const tensor = placed(made, deviceOf(options));
  if (options.name !== undefined) tensor.name = options.name;
  if (options.requiresGrad) {
    if (tensor.dtype !== 'float32' && tensor.dtype !== 'bfloat16')
      invalidArgument('requiresGrad', 'a float32 tensor', tensor.dtype);
    tensor.requiresGrad = true;
  }
  return tensor;
}

function deviceOf({ device }: TensorOptions): DeviceName {
  return device === undefined ? 'cpu' : namedDevice(device);
}

// What was made on the CPU, on the device instead.
function placed(made: Tensor, device: DeviceName): Tensor {
  if (made.device === device) return made;
  try {
    return copyTensor(made, device, made.operation);
  } finally {
    made.dispose();
  }
}

function checkOptions(options: TensorOptions): void {
  const { dtype } = options;
  if (dtype !== undefined && !Object.hasOwn(dtypeCodes, dtype))
    invalidArgument('dtype', "'float32', 'int32', 'uint8' or 'bfloat16'", dtype);
  deviceOf(options);
}

/**
 * A tensor from a typed array (copied), a number or nested arrays. The shape is that of the nesting unless given; of a
 * typed array it is [length]. Float64Array becomes float32, arrays of numbers too unless `dtype` says otherwise. For
 * bfloat16 floats are rounded; a Uint16Array holds its bits.
 */
export function tensor(data: TensorData, options?: TensorOptions): Tensor;
export function tensor(data: TensorData, shape?: Shape, options?: TensorOptions): Tensor;
export function tensor(
  data: TensorData,
  shapeOrOptions?: Shape | TensorOptions,
  rest: TensorOptions = {},
): Tensor {
  const given = Array.isArray(shapeOrOptions) ? (shapeOrOptions as Shape) : undefined;
  const options = given || !shapeOrOptions ? rest : (shapeOrOptions as TensorOptions);
  checkOptions(options);
  const [values, nesting] = flatten(data);
  const shape = given ? checkShape('shape', given) : nesting;
  if (elementsOf(shape) !== values.length)
    invalidArgument('data', `${elementsOf(shape)} elements for shape ${describeShape(shape)}`, values.length);
  const typed = toType(values, options.dtype);
  const result = emptyTensor(shape, 'tensor', typeOf(typed), deviceOf(options));
  native().storageWrite(result.handle, 0, typed);
  return finish(result, options);
}

function typeOf(typed: TypedArray): DType {
  if (typed instanceof Int32Array) return 'int32';
  if (typed instanceof Uint16Array) return 'bfloat16';
  return typed instanceof Uint8Array ? 'uint8' : 'float32';
}

function toType(values: TypedArray | Float64Array | number[], dtype: DType | undefined): TypedArray {
  const same =
    values instanceof Float32Array ||
    values instanceof Int32Array ||
    values instanceof Uint8Array ||
    values instanceof Uint16Array;
  if (same && (dtype === undefined || values instanceof arrayTypes[dtype])) return values;
  if (values instanceof Uint16Array) invalidArgument('dtype', "'bfloat16' for a Uint16Array of bits", dtype);
  if (dtype === 'bfloat16') return toBfloat16(Float32Array.from(values));
  const typed = arrayTypes[dtype ?? 'float32'].from(values);
  if (dtype === 'int32' || dtype === 'uint8')
    typed.forEach((value, i) => {
      if (value !== values[i]) invalidArgument(`data[${i}]`, `a value of ${dtype}`, values[i]);
    });
  return typed;
}

function flatten(data: TensorData): [TypedArray | Float64Array | number[], number[]] {
  if (typeof data === 'number') return [[data], []];
  if (ArrayBuffer.isView(data)) {
    const known =
      data instanceof Float32Array ||
      data instanceof Int32Array ||
      data instanceof Uint8Array ||
      data instanceof Uint16Array ||
      data instanceof Float64Array;
    if (!known)
      invalidArgument('data', 'a Float32Array, Int32Array, Uint8Array, Uint16Array or Float64Array', data);
    return [data, [data.length]];
  }
  if (!Array.isArray(data)) invalidArgument('data', 'numbers, a typed array or nested arrays', data);
  const values: number[] = [];
  const shape: number[] = [];
  for (let level: unknown = data; Array.isArray(level) || ArrayBuffer.isView(level); ) {
    const list = level as ArrayLike<unknown>;
    shape.push(list.length);
    level = list[0];
  }
  const walk = (value: unknown, depth: number) => {
    if (typeof value === 'number' && depth === shape.length) {
      values.push(value);
      return;
    }
    const list = value as ArrayLike<unknown>;
    if (!(Array.isArray(value) || ArrayBuffer.isView(value)) || list.length !== shape[depth])
      invalidArgument('data', `arrays nested as ${describeShape(shape)}`, value);
    for (let i = 0; i < list.length; i++) walk(list[i], depth + 1);
  };
  walk(data, 0);
  return [values, shape];
}

/** A tensor with every element `value`. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  checkOptions(options);
  const dtype = options.dtype ?? 'float32';
  if (typeof value !== 'number') invalidArgument('value', 'a number', value);
  const result = emptyTensor(checkShape('shape', shape), 'full', dtype);
  if (dtype === 'float32') native().fillSync(result.handle, value);
  else if (dtype === 'bfloat16') result.write(new Uint16Array(result.size).fill(toBfloat16([value])[0]!));
  else result.write(new arrayTypes[dtype](result.size).fill(value));
  return finish(result, options);
}

/** Zeros. */
export function zeros(shape: Shape, options: TensorOptions = {}): Tensor {
  return full(shape, 0, options);
}

/** Ones. */
export function ones(shape: Shape, options: TensorOptions = {}): Tensor {
  return full(shape, 1, options);
}

function random(kind: 0 | 1, shape: Shape, a: number, b: number, options: RandomOptions): Tensor {
  checkOptions(options);
  const result = emptyTensor(checkShape('shape', shape), kind === 0 ? 'rand' : 'randn');
  const { seedLow, seedHigh, offset } = (options.generator ?? defaultGenerator).next(result.size);
  native().randomSync(result.handle, kind, a, b, seedLow, seedHigh, offset);
  return finish(result, options);
}

/** Uniform in [low, high), by default [0, 1). */
export function rand(
  shape: Shape,
  options: RandomOptions & { readonly low?: number; readonly high?: number } = {},
): Tensor {
  return random(0, shape, options.low ?? 0, options.high ?? 1, options);
}

/** Normal with the given mean and standard deviation, by default 0 and 1. */
export function randn(
  shape: Shape,
  options: RandomOptions & { readonly mean?: number; readonly deviation?: number } = {},
): Tensor {
  return random(1, shape, options.mean ?? 0, options.deviation ?? 1, options);
}

/** start, start + step, ... below stop: [ceil((stop - start) / step)]. One argument is `stop`, from 0. */
export function arange(start: number, stop?: number, step = 1, options: TensorOptions = {}): Tensor {
  const [first, last] = stop === undefined ? [0, start] : [start, stop];
  if (![first, last, step].every(Number.isFinite) || step === 0)
    invalidArgument('arange', 'finite numbers and a step other than 0', `${first}, ${last}, ${step}`);
  const count = Math.max(0, Math.ceil((last - first) / step));
  return tensor(
    Array.from({ length: count }, (_, i) => first + i * step),
    [count],
    options,
  );
}

/** The identity matrix [n, n]. */
export function eye(n: number, options: TensorOptions = {}): Tensor {
  checkShape('n', [n]);
  const values = new Float32Array(n * n);
  for (let i = 0; i < n; i++) values[i * n + i] = 1;
  return tensor(values, [n, n], { dtype: 'float32', ...options });
}
