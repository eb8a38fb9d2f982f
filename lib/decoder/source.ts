/**
 * Where bytes come from. The readers of the format are generators that yield the byte ranges they need, so that the
 * same code serves bytes in memory (at once) and files and Blobs (asynchronously).
 */
import { BinceError } from '../errors.js';

/** A range of the file, always inside its size. */
export interface Request {
  readonly offset: number;
  readonly length: number;
}

/** Bytes with random access: a file, a Blob, a range-request client. */
export interface ByteSource {
  readonly size: number;
  /** Exactly `length` bytes from `offset` on. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** The part of a Blob (or File) that is used. */
export interface BlobLike {
  readonly size: number;
  slice(begin: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

export function blobSource(blob: BlobLike): ByteSource {
  return {
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/** Runs a reader on bytes in memory. */
export function runSync<T>(reader: Generator<Request, T, Uint8Array>, bytes: Uint8Array): T {
  let step = reader.next();
  while (!step.done) {
    const { offset, length } = step.value;
    step = reader.next(bytes.subarray(offset, offset + length));
  }
  return step.value;
}

/** Runs a reader on a source. */
export async function run<T>(
  reader: Generator<Request, T, Uint8Array>,
  source: ByteSource,
  signal?: AbortSignal,
): Promise<T> {
  let step = reader.next();
  while (!step.done) {
    signal?.throwIfAborted();
    const { offset, length } = step.value;
    const bytes = await source.read(offset, length);
    if (bytes.length !== length) {
      throw new BinceError('BINCE_IO', `the source gave ${bytes.length} of ${length} bytes at ${offset}`);
    }
    step = reader.next(bytes);
  }
  return step.value;
}
