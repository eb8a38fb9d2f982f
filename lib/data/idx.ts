/**
 * IDX files, the format of MNIST: two zero bytes, the type, the number of dimensions, the sizes as big-endian uint32,
 * then the values. Gzip is undone on the way.
 */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip as gunzipCallback } from 'node:zlib';
import { fileError } from '../codec/file_errors.js';
import { BinceError } from '../errors.js';

const gunzip = promisify(gunzipCallback);

export type IdxDtype = 'uint8' | 'int32' | 'float32';

/** The array of an IDX file, row-major. */
export interface IdxArray {
  readonly dtype: IdxDtype;
  readonly shape: readonly number[];
  readonly data: Uint8Array | Int32Array | Float32Array;
}

const kTypes: Readonly<Record<number, { readonly name: string; readonly bytes: number }>> = {
  8: { name: 'uint8', bytes: 1 },
  9: { name: 'int8', bytes: 1 },
  11: { name: 'int16', bytes: 2 },
  12: { name: 'int32', bytes: 4 },
  13: { name: 'float32', bytes: 4 },
  14: { name: 'float64', bytes: 8 },
};

const kMaxDimensions = 8;
/** Deflate makes at most 1032 bytes of one: a trailer that claims more is a lie. */
const kMostExpansion = 1032;

/**
 * Reads a whole IDX file, gzipped or not. Throws BINCE_CORRUPT_DATA where it is not one, was cut off or is longer than
 * its header says, and BINCE_UNSUPPORTED for types other than uint8, int32 and float32.
 */
export async function readIdx(path: string): Promise<IdxArray> {
  const stored = await readFile(path).catch((cause: unknown) => {
    throw fileError('read', path, cause);
  });
  return parseIdx(await inflated(stored, path), path);
}

function corrupt(path: string, what: string, cause?: unknown): never {
  throw new BinceError('BINCE_CORRUPT_DATA', `${path}: ${what}`, {
    hint: 'the file is damaged or was cut off; get it again',
    cause,
  });
}

/** The bytes behind gzip, no more of them than the trailer tells and the input could hold. */
async function inflated(bytes: Buffer, path: string): Promise<Uint8Array> {
  if (bytes.length < 2 || bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  if (bytes.length < 18) corrupt(path, `only ${bytes.length} bytes, too short for gzip`);
  const claimed = bytes.readUInt32LE(bytes.length - 4);
  if (claimed > bytes.length * kMostExpansion)
    corrupt(path, `its gzip trailer claims ${claimed} bytes, impossible for ${bytes.length}`);
  return gunzip(bytes, { maxOutputLength: Math.max(1, claimed) }).catch((cause: unknown) =>
    corrupt(path, `damaged gzip (${cause instanceof Error ? cause.message : String(cause)})`, cause),
  );
}

/** Parses the bytes of an IDX file; `path` names it in messages. */
export function parseIdx(bytes: Uint8Array, path: string): IdxArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) corrupt(path, `only ${bytes.length} bytes, too short for an IDX file`);
  const magic = view.getUint32(0);
  const type = kTypes[(magic >> 8) & 255];
  const dimensions = magic & 255;
  if (magic >>> 16 !== 0 || !type)
    corrupt(path, `begins with 0x${magic.toString(16).padStart(8, '0')}, not as an IDX file does`);
  if (dimensions < 1 || dimensions > kMaxDimensions)
    corrupt(path, `${dimensions} dimensions, expected 1 to ${kMaxDimensions}`);
  const start = 4 + 4 * dimensions;
  if (bytes.length < start) corrupt(path, `ends in its header, at byte ${bytes.length}`);
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const elements = shape.reduce((product, size) => product * size, 1);
  const expected = start + elements * type.bytes;
  if (!Number.isSafeInteger(expected) || expected !== bytes.length)
    corrupt(
      path,
      `shape [${shape.join(', ')}] of ${type.name} needs ${expected} bytes, the file has ${bytes.length}`,
    );
  return { dtype: checkDtype(type.name, path), shape, data: valuesOf(type.name, bytes.subarray(start)) };
}

function checkDtype(name: string, path: string): IdxDtype {
  if (name === 'uint8' || name === 'int32' || name === 'float32') return name;
  throw new BinceError(
    'BINCE_UNSUPPORTED',
    `${path}: numbers of type ${name}, expected uint8, int32 or float32`,
  );
}

function valuesOf(dtype: string, bytes: Uint8Array): IdxArray['data'] {
  if (dtype === 'uint8') return bytes;
  const swapped = Buffer.from(bytes).swap32();
  const { buffer, byteOffset, length } = new Uint8Array(swapped); // aligned, in memory of its own
  return dtype === 'int32'
    ? new Int32Array(buffer, byteOffset, length / 4)
    : new Float32Array(buffer, byteOffset, length / 4);
}
