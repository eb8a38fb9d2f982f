/** Rows that lie in a tensor. */
import { invalidArgument } from '../errors.js';
import { native } from '../native.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Rows } from './row_check.js';

/** A tensor [.., channels] of values or of symbols. */
export function checkTensor(tensor: Tensor, channels: number): void {
  if (tensor.dtype !== 'float32' && tensor.dtype !== 'int32') {
    invalidArgument('rows', 'a float32 or int32 tensor', tensor.toString());
  }
  if (tensor.shape.at(-1) !== channels) {
    invalidArgument('rows', `a tensor of rows of ${channels} channels`, tensor.toString());
  }
}

/** Values [first, first + count) of a tensor, in host memory. */
export async function readRows(tensor: Tensor, first: number, count: number): Promise<Rows> {
  const values = tensor.dtype === 'int32' ? new Int32Array(count) : new Float32Array(count);
  if (tensor.device === 'cpu') native().storageRead(tensor.handle, first, values);
  else await native().storageReadAsync(tensor.handle, first, values, undefined);
  return values;
}
