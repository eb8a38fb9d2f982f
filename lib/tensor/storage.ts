/** The memory of tensors: native blocks behind handles, counted by the tensors that share them. */
import { type DeviceChoice, type DeviceName, deviceIndex, namedDevice } from '../device/choice.js';
import { BinceError, invalidArgument } from '../errors.js';
import { native } from '../native.js';

declare const handleOfTensor: unique symbol;
/** A block of native memory; every native call takes it where it takes a typed array of the element type. */
export interface Handle {
  readonly [handleOfTensor]: true;
}

/**
 * float32 is what is computed and differentiated; int32 and uint8 hold labels, indexes and images; bfloat16 is for the
 * inputs of kernels that take it, with gradients of float32.
 */
export type DType = 'float32' | 'int32' | 'uint8' | 'bfloat16';
/** The elements of a tensor in JavaScript; of bfloat16 they are bits, in a Uint16Array. */
export type TypedArray = Float32Array | Int32Array | Uint8Array | Uint16Array;
export interface ArrayOf {
  float32: Float32Array;
  int32: Int32Array;
  uint8: Uint8Array;
  bfloat16: Uint16Array;
}
export const arrayTypes = {
  float32: Float32Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bfloat16: Uint16Array,
} as const;

declare const capsuleOfDLPack: unique symbol;
/** A tensor for another framework; see Tensor.toDLPack(). */
export interface DLPackCapsule {
  readonly [capsuleOfDLPack]: true;
}

export interface BlockCounts {
  blocks: number;
  bytes: number;
  peak: number;
  cached: number;
}

declare module '../native.js' {
  interface NativeCalls {
    /** On the CPU, or on the CUDA device of an index. */
    storageCreate(type: number, elements: number, device?: number): Handle;
    storageRelease(handle: Handle): void;
    storageWrite(handle: Handle, first: number, data: TypedArray): void;
    storageRead(handle: Handle, first: number, data: TypedArray): void;
    storageReadAsync(
      handle: Handle,
      first: number,
      data: TypedArray,
      cancel: Int32Array | undefined,
    ): Promise<void>;
    /** Elements of one type, from and to the CPU or any device. */
    storageCopy(from: Handle, fromFirst: number, to: Handle, toFirst: number, count: number): void;
    storagePointer(handle: Handle): bigint;
    storageBorrow(type: number, elements: number, device: number, pointer: bigint): Handle;
    storageCounts(): BlockCounts & { devices: BlockCounts[] };
    storageTrim(): void;
    dlpackExport(handle: Handle, shape: Float64Array): DLPackCapsule;
    dlpackImport(capsule: DLPackCapsule): {
      handle: Handle;
      type: number;
      shape: number[];
      device?: number;
    };
  }
}

export const dtypeCodes: Readonly<Record<DType, number>> = { float32: 0, int32: 1, uint8: 2, bfloat16: 3 };
export const dtypeNames: readonly DType[] = ['float32', 'int32', 'uint8', 'bfloat16'];
export const elementBytes: Readonly<Record<DType, number>> = { float32: 4, int32: 4, uint8: 1, bfloat16: 2 };

/** A block and the number of tensors that share it. */
export class Storage {
  readonly handle: Handle;
  readonly dtype: DType;
  readonly elements: number;
  readonly device: DeviceName;
  references = 1;
  /** False where the memory is another's, or another framework may still read it: the handle is not used again. */
  reusable: boolean;
  /** What owns borrowed memory: alive as long as a tensor uses the block. */
  readonly owner: unknown;
  /**
   * The value of all elements, where it is known without reading them: gradients of sums and means are constant, and
   * what multiplies by them can do without. Set by who fills the block.
   */
  constant: number | undefined = undefined;

  constructor(
    handle: Handle,
    dtype: DType,
    elements: number,
    device: DeviceName = 'cpu',
    reusable = true,
    owner?: unknown,
  ) {
    this.handle = handle;
    this.dtype = dtype;
    this.elements = elements;
    this.device = device;
    this.reusable = reusable;
    this.owner = owner;
  }
}

// Making and finalising a handle costs more than a small operation, so handles of small blocks are kept and
// handed out again.  Larger blocks go back to the native cache at once.
const keptElements = 4096;
const keptBytes = 8 << 20;
const kept: Readonly<Record<DType, Map<number, Handle[]>>> = {
  float32: new Map(),
  int32: new Map(),
  uint8: new Map(),
  bfloat16: new Map(),
};
let bytesKept = 0;

/** A block of undefined content. Throws BINCE_OUT_OF_MEMORY with the sizes. */
export function createStorage(dtype: DType, elements: number, device: DeviceName = 'cpu'): Storage {
  if (elements > 0x7fffffff) invalidArgument('shape', 'at most 2^31 - 1 elements', elements);
  if (device !== 'cpu') {
    const handle = native().storageCreate(dtypeCodes[dtype], elements, deviceIndex(device));
    return new Storage(handle, dtype, elements, device, false);
  }
  if (elements <= keptElements) {
    const handle = kept[dtype].get(elements)?.pop();
    if (handle !== undefined) {
      bytesKept -= elements * elementBytes[dtype];
      return new Storage(handle, dtype, elements);
    }
  }
  try {
    return new Storage(native().storageCreate(dtypeCodes[dtype], elements), dtype, elements);
  } catch (error) {
    if (!(error instanceof BinceError && error.code === 'BINCE_OUT_OF_MEMORY' && bytesKept > 0)) throw error;
    releaseKept();
    return new Storage(native().storageCreate(dtypeCodes[dtype], elements), dtype, elements);
  }
}

/** A block of another framework's memory on a device. */
export function borrowStorage(
  pointer: bigint,
  dtype: DType,
  elements: number,
  options: { readonly device?: DeviceChoice | undefined; readonly owner?: unknown },
): Storage {
  if (!Object.hasOwn(dtypeCodes, dtype)) invalidArgument('dtype', dtypeNames.join(', '), dtype);
  const device = namedDevice(options.device ?? 'cuda');
  const index = deviceIndex(device);
  if (index === undefined) invalidArgument('device', 'a CUDA device', device);
  const handle = native().storageBorrow(dtypeCodes[dtype], elements, index, pointer);
  return new Storage(handle, dtype, elements, device, false, options.owner);
}

/** The block of a DLPack capsule, which is then used up. */
export function takeDLPack(capsule: DLPackCapsule): { storage: Storage; shape: number[] } {
  const { handle, type, shape, device } = native().dlpackImport(capsule);
  const elements = shape.reduce((product, size) => product * size, 1);
  const place: DeviceName = device === undefined ? 'cpu' : `cuda:${device}`;
  return { storage: new Storage(handle, dtypeNames[type]!, elements, place, false), shape };
}

/** One more tensor uses the block. */
export function shareStorage(storage: Storage): Storage {
  storage.references += 1;
  return storage;
}

/** One tensor less uses the block; the last one gives it back. */
export function releaseStorage(storage: Storage): void {
  storage.references -= 1;
  if (storage.references > 0) return;
  const { dtype, elements, handle } = storage;
  const bytes = elements * elementBytes[dtype];
  if (!storage.reusable || elements > keptElements || bytesKept + bytes > keptBytes) {
    native().storageRelease(handle);
    return;
  }
  bytesKept += bytes;
  const list = kept[dtype].get(elements);
  if (list) list.push(handle);
  else kept[dtype].set(elements, [handle]);
}

/** Gives the kept handles' blocks back to the native cache. */
export function releaseKept(): void {
  for (const lists of Object.values(kept)) {
    for (const list of lists.values()) for (const handle of list) native().storageRelease(handle);
    lists.clear();
  }
  bytesKept = 0;
}
