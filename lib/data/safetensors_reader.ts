import type { FileHandle } from 'node:fs/promises';
import { BinceError } from '../errors.js';
import { matrixShape } from './npy_reader.js';
import { dtypeBytes, type RowLayout, readFully, type VectorDtype } from './row_file.js';

const kMaxHeaderBytes = 100 << 20;

const dtypeOf: Readonly<Record<string, VectorDtype>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F64: 'float64',
};

interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Finds the rows in a .safetensors file: the tensor named, else the only matrix of floats in it.
 */
export async function readSafetensorsLayout(
  file: FileHandle,
  fileBytes: number,
  path: string,
  tensor: string | undefined,
): Promise<RowLayout> {
  const { tensors, dataOffset } = await readTensorTable(file, fileBytes, path);
  const name = tensor ?? onlyMatrix(tensors, path);
  const entry = tensors.get(name);
  if (!entry) {
    throw new BinceError('BINCE_NOT_FOUND', `${path}: no tensor '${name}'`, {
      hint: `it has: ${listNames([...tensors.keys()])}`,
    });
  }
  const dtype = Object.hasOwn(dtypeOf, entry.dtype) ? dtypeOf[entry.dtype] : undefined;
  if (!dtype) {
    throw new BinceError('BINCE_UNSUPPORTED', `${path}: tensor '${name}' is ${entry.dtype}, expected F32`, {
      hint: 'save it as float32: {name: x.float()}',
    });
  }
  const [rows, channels] = matrixShape(entry.shape, `${path}, tensor '${name}'`);
  if (entry.end - entry.begin !== rows * channels * dtypeBytes[dtype]) {
    throw new BinceError(
      'BINCE_CORRUPT_DATA',
      `${path}: tensor '${name}' of shape (${rows}, ${channels}) has ${entry.end - entry.begin} bytes`,
      { hint: 'the file is damaged; write it again' },
    );
  }
  return { format: 'safetensors', rows, channels, dtype, offset: dataOffset + entry.begin, prefixBytes: 0 };
}

async function readTensorTable(file: FileHandle, fileBytes: number, path: string) {
  const damaged = (what: string): never => {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: ${what}`, {
      hint: 'the file is damaged or was cut off, or is no .safetensors file',
    });
  };
  if (fileBytes < 10) damaged(`only ${fileBytes} bytes, too short for a .safetensors file`);
  const prefix = new Uint8Array(8);
  await readFully(file, prefix, 0, path);
  const view = new DataView(prefix.buffer);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > kMaxHeaderBytes || 8 + length > fileBytes)
    damaged(`its header claims ${length} bytes, the file has ${fileBytes}`);
  const bytes = new Uint8Array(length);
  await readFully(file, bytes, 8, path);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    damaged('its header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    damaged('its header is no object');
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header as object)) {
    if (name === '__metadata__') continue;
    const entry = tensorEntry(value);
    if (!entry || entry.end > fileBytes - 8 - length)
      return damaged(`the entry of tensor '${name}' is not valid`);
    tensors.set(name, entry);
  }
  return { tensors, dataOffset: 8 + length };
}

function tensorEntry(value: unknown): TensorEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  const isSize = (n: unknown): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;
  if (typeof dtype !== 'string' || !Array.isArray(shape) || !shape.every(isSize)) return undefined;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) return undefined;
  const [begin, end] = offsets as [number, number];
  return begin <= end ? { dtype, shape, begin, end } : undefined;
}

function onlyMatrix(tensors: ReadonlyMap<string, TensorEntry>, path: string): string {
  const matrices = [...tensors].filter(
    ([, entry]) => entry.shape.length === 2 && Object.hasOwn(dtypeOf, entry.dtype),
  );
  if (matrices.length === 1) return matrices[0]![0];
  const names = listNames((matrices.length ? matrices : [...tensors]).map(([name]) => name));
  throw new BinceError(
    'BINCE_NOT_FOUND',
    `${path}: ${matrices.length ? `${matrices.length} matrices` : 'no matrix of floats'} among its ${tensors.size} tensors`,
    { hint: matrices.length ? `choose one with --tensor NAME: ${names}` : `it has: ${names || 'nothing'}` },
  );
}

function listNames(names: readonly string[]): string {
  return names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ');
}
