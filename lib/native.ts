/**
 * The only importer of the native addon: finds it, types it, and turns its failures into BinceError.
 *
 * Names ending in `Async` queue the call on the environment's own native thread and return a promise; their last
 * argument is the cancel flag of {@link withCancel}.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BinceError, type BinceErrorCode } from './errors.js';

const require = createRequire(import.meta.url);

/** The package's root folder: the parent of both lib/ and dist/. */
export const packageRoot: string = join(dirname(fileURLToPath(import.meta.url)), '..');

/** What the addon says of itself. */
export interface NativeDescription {
  readonly version: string;
  readonly abi: number;
  /** The backend in use: `avx512`, `avx2`, `neon` or `ref`. */
  readonly backend: string;
  readonly threads: number;
  /** Backends that this machine can run, best first, separated by commas. */
  readonly backends: string;
  /** Processor features, for reports. */
  readonly cpu: string;
}

interface Core {
  setErrorFactory(make: (code: BinceErrorCode, message: string) => Error): void;
  describe(): NativeDescription;
}

/** Each family adds its own calls by declaration merging in lib/kernels/<family>.ts. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface NativeCalls {}

export type Native = Core & NativeCalls;

let loaded: Native | undefined;

/** Loads the addon on first use. Throws BINCE_NO_ADDON with the command that builds it. */
export function native(): Native {
  if (loaded) return loaded;
  let addon: Native;
  try {
    const load = require('node-gyp-build') as (folder: string) => Native;
    addon = load(packageRoot);
  } catch (cause) {
    throw new BinceError(
      'BINCE_NO_ADDON',
      `the native addon of bince could not be loaded for ${process.platform}-${process.arch}: ${firstLine(cause)}`,
      { hint: 'build it with: npx bince build', cause },
    );
  }
  addon.setErrorFactory((code, message) => new BinceError(code, message));
  loaded = addon;
  return addon;
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0] ?? '';
}

/**
 * Runs a long native call with an AbortSignal. `start` gets the flag that the call polls, or undefined without a
 * signal; after an abort the promise rejects with the signal's reason.
 */
export async function withCancel<T>(
  signal: AbortSignal | undefined,
  start: (cancel: Int32Array | undefined) => Promise<T>,
): Promise<T> {
  if (!signal) return start(undefined);
  signal.throwIfAborted();
  const flag = new Int32Array(1);
  const abort = () => {
    flag[0] = 1;
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await start(flag);
  } catch (error) {
    if (error instanceof BinceError && error.code === 'BINCE_CANCELLED' && signal.aborted)
      throw signal.reason;
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
