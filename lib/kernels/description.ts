import { native } from '../native.js';

/** The native half as this process uses it. */
export interface Description {
  readonly version: string;
  /** The version of the C ABI. */
  readonly abi: number;
  /** The backend in use, by speed or by BINCE_BACKEND. */
  readonly backend: string;
  /** Backends of the CPU that this machine can run, best first. `device.cuda` tells of CUDA. */
  readonly backends: readonly string[];
  /** Threads of a call, by the processors allowed or by BINCE_THREADS. */
  readonly threads: number;
  /** Processor features that the choice looked at. */
  readonly cpuFeatures: readonly string[];
}

/** Tells which backend and how many threads the kernels use here. Loads the addon. */
export function describe(): Description {
  const { version, abi, backend, backends, threads, cpu } = native().describe();
  return {
    version,
    abi,
    backend,
    threads,
    backends: backends.split(','),
    cpuFeatures: cpu ? cpu.split(' ') : [],
  };
}
