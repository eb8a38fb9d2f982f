import type { FileHandle } from 'node:fs/promises';
import { BinceError } from '../errors.js';
import { npyPrefixBytes, parseNpyHeader } from './npy_header.js';
import { dtypeBytes, type RowLayout, readFully, type VectorDtype } from './row_file.js';

const kMaxHeaderBytes = 1 << 20;

const dtypeOf: Readonly<Record<string, VectorDtype>> = {
  '<f4': 'float32',
  '<f2': 'float16',
  '<f8': 'float64',
};

/** Reads the header of a .npy file and checks that it describes rows of floats and fits the file. */
export async function readNpyLayout(file: FileHandle, fileBytes: number, path: string): Promise<RowLayout> {
  const damaged = (what: string): never => {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: ${what}`, {
      hint: 'the file is damaged or was cut off; write it again with numpy.save',
    });
  };
  if (fileBytes < 12) damaged(`only ${fileBytes} bytes, too short for a .npy file`);
  const start = new Uint8Array(12);
  await readFully(file, start, 0, path);
  const major = start[6]!;
  if (major < 1 || major > 3) damaged(`.npy version ${major}.${start[7]} is not known`);
  const prefix = npyPrefixBytes(major);
  const view = new DataView(start.buffer);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > kMaxHeaderBytes || prefix + length > fileBytes)
    damaged(`its header claims ${length} bytes, the file has ${fileBytes}`);
  const bytes = new Uint8Array(length);
  await readFully(file, bytes, prefix, path);
  const header = parseNpyHeader(new TextDecoder(major === 3 ? 'utf-8' : 'latin1').decode(bytes), path);
  const dtype = floatDtype(header.descr, path);
  const [rows, channels] = matrixShape(header.shape, path);
  if (header.fortranOrder && rows > 1 && channels > 1) {
    throw new BinceError('BINCE_UNSUPPORTED', `${path}: the array is in Fortran (column) order`, {
      hint: "save it by rows: np.save('x.npy', np.ascontiguousarray(x))",
    });
  }
  const offset = prefix + length;
  const expected = offset + rows * channels * dtypeBytes[dtype];
  if (expected !== fileBytes)
    damaged(
      `shape (${header.shape.join(', ')}) of ${dtype} needs ${expected} bytes, the file has ${fileBytes}`,
    );
  return { format: 'npy', rows, channels, dtype, offset, prefixBytes: 0 };
}

function floatDtype(descr: string, path: string): VectorDtype {
  const dtype = Object.hasOwn(dtypeOf, descr) ? dtypeOf[descr] : undefined;
  if (dtype) return dtype;
  throw new BinceError('BINCE_UNSUPPORTED', `${path}: numbers of type '${descr}', expected float32 ('<f4')`, {
    hint: "convert them: np.save('x.npy', x.astype(np.float32))",
  });
}

/** The two sizes of a matrix; errors that say how to reshape anything else. */
export function matrixShape(shape: readonly number[], path: string): [rows: number, channels: number] {
  if (shape.length !== 2) {
    const hint =
      shape.length === 1
        ? 'one vector is x.reshape(1, -1); a column of numbers is x.reshape(-1, 1)'
        : 'make every row one vector: x.reshape(len(x), -1)';
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      `${path}: an array of ${shape.length} dimensions, shape (${shape.join(', ')}${shape.length === 1 ? ',' : ''}); expected rows and channels`,
      { hint },
    );
  }
  const [rows, channels] = shape as [number, number];
  if (rows === 0 || channels === 0) {
    throw new BinceError('BINCE_INVALID_VALUE', `${path}: an empty array, shape (${rows}, ${channels})`, {
      hint: 'there is nothing to compress; check how the file was made',
    });
  }
  if (channels > 1 << 20) {
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      `${path}: ${channels} channels, at most ${1 << 20} are possible`,
    );
  }
  if (!Number.isSafeInteger(rows * channels * 8)) {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: impossible shape (${rows}, ${channels})`);
  }
  return [rows, channels];
}
