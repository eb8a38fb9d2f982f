/** Checks of the operations' arguments; messages begin with the operation. */
import { invalidArgument } from '../errors.js';
import { type DType, Tensor } from '../tensor/tensor.js';

/** A tensor of the given type, float32 by default. */
export function checkTensor(operation: string, value: unknown, dtype: DType = 'float32'): Tensor {
  if (!(value instanceof Tensor) || value.dtype !== dtype)
    invalidArgument(operation, `a ${dtype} tensor`, value instanceof Tensor ? value.toString() : value);
  return value;
}

/** A tensor of any type. */
export function checkAnyTensor(operation: string, value: unknown): Tensor {
  if (!(value instanceof Tensor)) invalidArgument(operation, 'a tensor', value);
  return value;
}

export function checkFinite(name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) invalidArgument(name, 'a finite number', value);
  return value;
}

export function checkWhole(name: string, value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least)
    invalidArgument(name, `a whole number of at least ${least}`, value);
  return value as number;
}
