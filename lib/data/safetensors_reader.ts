import { SafetensorsFile, type TensorEntry } from '../codec/safetensors.js';
import { BinceError } from '../errors.js';
import { matrixShape } from './npy_reader.js';
import type { RowLayout, VectorDtype } from './row_file.js';

/** Dtypes of floats; undefined for the others. */
const dtypeOf: Readonly<Record<string, VectorDtype | undefined>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F64: 'float64',
};

/** Finds the rows in a .safetensors file: the tensor named, else the only matrix of floats in it. */
export async function readSafetensorsLayout(path: string, tensor: string | undefined): Promise<RowLayout> {
  await using file = await SafetensorsFile.open(path);
  const name = tensor ?? onlyMatrix(file.tensors, path);
  const entry = file.tensors.get(name);
  if (!entry) {
    throw new BinceError('BINCE_NOT_FOUND', `${path}: no tensor '${name}'`, {
      hint: `it has: ${listNames([...file.tensors.keys()])}`,
    });
  }
  const dtype = dtypeOf[entry.dtype];
  if (!dtype) {
    throw new BinceError('BINCE_UNSUPPORTED', `${path}: tensor '${name}' is ${entry.dtype}, expected F32`, {
      hint: 'save it as float32: {name: x.float()}',
    });
  }
  const [rows, channels] = matrixShape(entry.shape, `${path}, tensor '${name}'`);
  return { format: 'safetensors', rows, channels, dtype, offset: entry.begin, prefixBytes: 0 };
}

function onlyMatrix(tensors: ReadonlyMap<string, TensorEntry>, path: string): string {
  const matrices = [...tensors].filter(([, entry]) => entry.shape.length === 2 && dtypeOf[entry.dtype]);
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
