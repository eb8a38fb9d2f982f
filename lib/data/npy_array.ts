/** Whole .npy arrays of any number of dimensions, for images and labels. */
import { readFile } from 'node:fs/promises';
import { fileError } from '../codec/file_errors.js';
import { BinceError } from '../errors.js';
import { float16ToFloat32 } from './half_floats.js';
import { npyPrefixBytes, parseNpyHeader } from './npy_header.js';

export interface NpyArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array | Int32Array | Float32Array;
}

/** Bytes of an element, and the values of aligned little-endian bytes. */
interface Reader {
  readonly bytes: number;
  readonly read: (bytes: Uint8Array<ArrayBuffer>, path: string) => NpyArray['data'];
}

const readers: Readonly<Record<string, Reader>> = {
  '|u1': { bytes: 1, read: (bytes) => bytes },
  '|b1': { bytes: 1, read: (bytes) => bytes },
  '<i4': { bytes: 4, read: (bytes) => new Int32Array(bytes.buffer) },
  '<i8': { bytes: 8, read: (bytes, path) => narrowed(new BigInt64Array(bytes.buffer), path) },
  '<f2': {
    bytes: 2,
    read: (bytes) => {
      const out = new Float32Array(bytes.length / 2);
      float16ToFloat32(new Uint16Array(bytes.buffer), out);
      return out;
    },
  },
  '<f4': { bytes: 4, read: (bytes) => new Float32Array(bytes.buffer) },
};

function narrowed(values: BigInt64Array, path: string): Int32Array {
  const out = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    out[i] = Number(values[i]);
    if (BigInt(out[i]!) !== values[i])
      throw new BinceError('BINCE_INVALID_VALUE', `${path}: element ${i} is ${values[i]}, beyond int32`);
  }
  return out;
}

/** Reads a C-ordered array of uint8, bool, int32, int64, float16 or float32. */
export async function readNpyArray(path: string): Promise<NpyArray> {
  const file = await readFile(path).catch((cause: unknown) => {
    throw fileError('read', path, cause);
  });
  const corrupt = (what: string): never => {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: ${what}`, {
      hint: 'the file is damaged or was cut off; write it again with numpy.save',
    });
  };
  if (file.length < 12 || file.toString('latin1', 0, 6) !== '\u0093NUMPY')
    corrupt('does not begin as a .npy file does');
  const major = file[6]!;
  if (major < 1 || major > 3) corrupt(`.npy version ${major} is not known`);
  const prefix = npyPrefixBytes(major);
  const length = major === 1 ? file.readUInt16LE(8) : file.readUInt32LE(8);
  const start = prefix + length;
  if (start > file.length) corrupt(`its header claims ${length} bytes, the file has ${file.length}`);
  const header = parseNpyHeader(file.toString(major === 3 ? 'utf8' : 'latin1', prefix, start), path);
  const reader = Object.hasOwn(readers, header.descr) ? readers[header.descr] : undefined;
  if (!reader) {
    const known = Object.keys(readers).join(', ');
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      `${path}: numbers of type '${header.descr}', expected ${known}`,
      {
        hint: "convert them: np.save('x.npy', x.astype(np.uint8)), or np.float32",
      },
    );
  }
  if (header.fortranOrder && header.shape.filter((size) => size > 1).length > 1) {
    throw new BinceError('BINCE_UNSUPPORTED', `${path}: the array is in Fortran (column) order`, {
      hint: "save it by rows: np.save('x.npy', np.ascontiguousarray(x))",
    });
  }
  const expected = start + header.shape.reduce((product, size) => product * size, reader.bytes);
  if (expected !== file.length)
    corrupt(
      `shape (${header.shape.join(', ')}) of '${header.descr}' needs ${expected} bytes, the file has ${file.length}`,
    );
  return { shape: header.shape, data: reader.read(new Uint8Array(file.subarray(start)), path) };
}
