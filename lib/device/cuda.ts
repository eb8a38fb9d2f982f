/** CUDA devices: whether there are any, which, and why not. */
import { native } from '../native.js';

/** A CUDA device as its driver describes it. */
export interface CudaDevice {
  /** n of `cuda:n`. */
  readonly index: number;
  readonly name: string;
  /** As `9.0`. */
  readonly computeCapability: string;
  readonly multiprocessors: number;
  readonly totalBytes: number;
  /** When it was asked for; other processes count. */
  readonly freeBytes: number;
  /** The CUDA version that the driver serves, and that of the library, as `13.0`. */
  readonly driver: string;
  readonly runtime: string;
}

declare module '../native.js' {
  interface NativeCalls {
    /** The number of devices, or why there are none. */
    cudaCount(): number | string;
    cudaDevice(index: number): CudaDevice;
  }
}

/** What CUDA offers here. Nothing is looked for before it is asked. */
export interface Cuda {
  readonly available: boolean;
  /** Why it is not available, in words that say what to do. */
  readonly reason: string | undefined;
  /** Looked at anew each time, as the free memory changes. Opens each device, which takes some of its memory. */
  readonly devices: readonly CudaDevice[];
}

/** The number of devices without opening any: the first call opens the library and the driver. */
export function cudaCount(): number | string {
  return native().cudaCount();
}

export const cuda: Cuda = {
  get available() {
    return typeof cudaCount() === 'number';
  },
  get reason() {
    const found = cudaCount();
    return typeof found === 'string' ? found : undefined;
  },
  get devices() {
    const found = cudaCount();
    const count = typeof found === 'number' ? found : 0;
    return Array.from({ length: count }, (_, index) => native().cudaDevice(index));
  },
};
