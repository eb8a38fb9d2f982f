/** Tensors: contiguous arrays in native memory, freed by name or by scope. */
import type { TapeNode } from '../autograd/tape.js';
import type { DeviceChoice, DeviceName } from '../device/choice.js';
import { BinceError, invalidArgument } from '../errors.js';
import { native } from '../native.js';
import { fromBfloat16 } from './bfloat16.js';
import { currentContext } from './context.js';
import { forgetTensor, rememberTensor } from './leaks.js';
import { checkShape, describeShape, elementsOf } from './shapes.js';
import {
  type ArrayOf,
  arrayTypes,
  borrowStorage,
  createStorage,
  type DLPackCapsule,
  type DType,
  type Handle,
  releaseStorage,
  type Storage,
  shareStorage,
  type TypedArray,
  takeDLPack,
} from './storage.js';

export type Shape = readonly number[];
export type NestedArray = number | NestedArray[];

/**
 * An n-dimensional array of float32, int32, uint8 or bfloat16, always contiguous, last axis fastest, on the CPU or on a
 * CUDA device. Its memory lies outside the JavaScript heap: free it with `dispose()`, `using`, or a {@link scope} around
 * the code that makes it.
 */
export class Tensor {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Where the elements are: `cpu` or `cuda:0`. */
  readonly device: DeviceName;
  /** The number of elements. */
  readonly size: number;
  /** True if backward() gives this tensor a gradient, or passes one through it. */
  requiresGrad = false;
  /** What backward() added up, for a tensor that is no operation's result. It lives as long as this tensor. */
  grad: Tensor | undefined = undefined;
  name: string | undefined = undefined;
  /** The operation that made it. */
  readonly operation: string;
  /** The tape's record of that operation; undefined for a leaf. */
  node: TapeNode | undefined = undefined;
  /** True if no scope frees it: parameters, buffers, optimiser state, what keep() was called on. */
  kept = false;
  #storage: Storage | undefined;

  /** Takes over one reference to the storage. Made by the factories and by operations. */
  constructor(storage: Storage, shape: Shape, operation: string) {
    this.#storage = storage;
    this.shape = shape;
    this.dtype = storage.dtype;
    this.device = storage.device;
    this.size = storage.elements;
    this.operation = operation;
    currentContext().scope?.add(this);
    rememberTensor(this);
  }

  /** The number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** True if no operation on the tape made this tensor. */
  get isLeaf(): boolean {
    return this.node === undefined;
  }

  get disposed(): boolean {
    return this.#storage === undefined;
  }

  /** The block. Throws if the tensor was disposed of, naming the operation that made it. */
  get storage(): Storage {
    return this.#storage ?? usedAfterDispose(this);
  }

  /** What native calls take. */
  get handle(): Handle {
    return (this.#storage ?? usedAfterDispose(this)).handle;
  }

  /** A copy of the elements; of bfloat16 their bits. Waits for the device. */
  dataSync(): TypedArray {
    const data = new arrayTypes[this.dtype](this.size);
    native().storageRead(this.handle, 0, data);
    return data;
  }

  /** The same for a tensor on a device without blocking the event loop meanwhile. */
  async data(): Promise<TypedArray> {
    if (this.device === 'cpu') return this.dataSync();
    const data = new arrayTypes[this.dtype](this.size);
    await native().storageReadAsync(this.handle, 0, data, undefined);
    return data;
  }

  /** A copy of the elements of a float32 or bfloat16 tensor. */
  floats(): Float32Array {
    if (this.dtype === 'bfloat16') return fromBfloat16(this.dataSync() as Uint16Array);
    if (this.dtype !== 'float32') invalidArgument('floats', 'a float32 tensor', this.toString());
    return this.dataSync() as Float32Array;
  }

  /** A copy of the elements as nested arrays; a number for a scalar. */
  toArray(): NestedArray {
    const data = this.#values();
    const nest = (axis: number, first: number, size: number): NestedArray => {
      if (axis === this.rank) return data[first]!;
      const inner = this.shape[axis] === 0 ? 0 : size / this.shape[axis]!;
      return Array.from({ length: this.shape[axis]! }, (_, i) => nest(axis + 1, first + i * inner, inner));
    };
    return nest(0, 0, this.size);
  }

  /** The value of a tensor of one element. */
  item(): number {
    if (this.size !== 1) invalidArgument('item', 'a tensor of one element', this.toString());
    return this.#values()[0]!;
  }

  #values(): Exclude<TypedArray, Uint16Array> {
    return this.dtype === 'bfloat16' ? this.floats() : (this.dataSync() as Exclude<TypedArray, Uint16Array>);
  }

  /** Overwrites the elements, in place and unseen by the tape: for parameters, buffers and input that is reused. */
  write(data: TypedArray): this {
    if (data.length !== this.size) invalidArgument('write', `${this.size} elements`, data);
    native().storageWrite(this.handle, 0, data);
    this.storage.constant = undefined;
    return this;
  }

  /**
   * The address of the elements on their device, for other frameworks, good until the tensor is disposed of. What is
   * queued for the tensor has been done when this returns. Throws for a tensor on the CPU.
   */
  get devicePointer(): bigint {
    return native().storagePointer(this.handle);
  }

  /**
   * A tensor on device memory of another framework, without a copy: `shape` and `dtype` tell what lies at the address,
   * dense and row-major. Work on it must have been done (its stream synchronised) before the tensor is used. `owner` is
   * kept alive as long as a tensor uses the memory; dispose() never frees it. Throws BINCE_INVALID_ARGUMENT for an
   * address that is no memory of the device or is not aligned to elements.
   */
  static fromDevicePointer(
    pointer: bigint,
    shape: Shape,
    dtype: DType = 'float32',
    options: { readonly device?: DeviceChoice; readonly owner?: unknown } = {},
  ): Tensor {
    if (typeof pointer !== 'bigint') invalidArgument('pointer', 'a bigint', pointer);
    const storage = borrowStorage(pointer, dtype, elementsOf(checkShape('shape', shape)), options);
    return new Tensor(storage, [...shape], 'fromDevicePointer');
  }

  /**
   * The tensor as a DLPack capsule, without a copy: a native external that points to a slot, which holds a
   * DLManagedTensor (the unversioned struct; the versioned one of DLPack 1.0 is not made). Another addon takes the
   * pointer out of the slot, sets the slot to null and calls the deleter when it is done. The memory lives as long as
   * either side uses it; a capsule that nobody takes frees its part when it is collected. No gradient goes along.
   */
  toDLPack(): DLPackCapsule {
    // The memory may outlive the tensor now: its handle must not serve another one.
    this.storage.reusable = false;
    return native().dlpackExport(this.handle, Float64Array.from(this.shape));
  }

  /**
   * A tensor on the memory of a DLPack capsule, without a copy, on the CPU or a CUDA device; the capsule's deleter runs
   * when the last tensor on it is disposed of. A capsule can be taken over once. Throws BINCE_INVALID_ARGUMENT for a
   * used one and for what no tensor can be: another dtype, lanes, gaps between elements, no memory, too many axes; such
   * a capsule can still be given to others.
   */
  static fromDLPack(capsule: DLPackCapsule): Tensor {
    const { storage, shape } = takeDLPack(capsule);
    return new Tensor(storage, shape, 'fromDLPack');
  }

  /** The same elements, in the same memory, without a history. */
  detach(): Tensor {
    return new Tensor(shareStorage(this.storage), this.shape, 'detach');
  }

  /** Frees the memory unless another tensor shares it, and the gradient. Doing it twice does nothing. */
  dispose(): void {
    const storage = this.#storage;
    if (!storage) return;
    this.#storage = undefined;
    forgetTensor(this);
    releaseStorage(storage);
    this.grad?.dispose();
    this.grad = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** `float32[2, 3] of matmul`, for messages; `float32[2, 3] of matmul on cuda:0` on a device. */
  toString(): string {
    const place = this.device === 'cpu' ? '' : ` on ${this.device}`;
    return `${this.dtype}${describeShape(this.shape)} of ${this.name ?? this.operation}${place}`;
  }
}

function usedAfterDispose(tensor: Tensor): never {
  throw new BinceError(
    'BINCE_INVALID_ARGUMENT',
    `the tensor ${tensor.toString()} was used after it was disposed of`,
    { hint: 'return it from the scope that made it, or call keep() on it' },
  );
}

/** A tensor of undefined content, for an operation to fill. */
export function emptyTensor(
  shape: Shape,
  operation: string,
  dtype: DType = 'float32',
  device: DeviceName = 'cpu',
): Tensor {
  return new Tensor(createStorage(dtype, elementsOf(shape), device), shape, operation);
}

/** A copy on a device, or on the same one; off the tape. */
export function copyTensor(tensor: Tensor, device: DeviceName, operation: string): Tensor {
  const copy = emptyTensor(tensor.shape, operation, tensor.dtype, device);
  native().storageCopy(tensor.handle, 0, copy.handle, 0, tensor.size);
  copy.storage.constant = tensor.storage.constant;
  return copy;
}

/** A tensor on the same memory with another shape of the same size. */
export function aliasTensor(tensor: Tensor, shape: Shape, operation: string): Tensor {
  return new Tensor(shareStorage(tensor.storage), shape, operation);
}

export type { ArrayOf, DType, Handle, TypedArray };
