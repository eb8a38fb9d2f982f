/** Checks of the operations' arguments; messages begin with the operation. */
import { BinceError, invalidArgument } from '../errors.js';
import { type DType, Tensor } from '../tensor/tensor.js';

/** A tensor of the given type on the CPU, float32 by default. */
export function checkTensor(operation: string, value: unknown, dtype: DType = 'float32'): Tensor {
  if (!(value instanceof Tensor) || value.dtype !== dtype)
    invalidArgument(operation, `a ${dtype} tensor`, value instanceof Tensor ? value.toString() : value);
  if (value.device !== 'cpu') noKernel(operation, value);
  return value;
}

/** A tensor of any type on the CPU. */
export function checkAnyTensor(operation: string, value: unknown): Tensor {
  const tensor = checkPlacedTensor(operation, value);
  if (tensor.device !== 'cpu') noKernel(operation, tensor);
  return tensor;
}

/** A tensor of any type on any device. */
export function checkPlacedTensor(operation: string, value: unknown): Tensor {
  if (!(value instanceof Tensor)) invalidArgument(operation, 'a tensor', value);
  return value;
}

function noKernel(operation: string, tensor: Tensor): never {
  // The part behind the colon is an argument's name.
  const name = operation.split(':', 1)[0]!;
  throw new BinceError(
    'BINCE_UNSUPPORTED',
    `${name}: no CUDA kernel; move the tensor with .to('cpu') (it is ${tensor.toString()})`,
    { hint: "tensor.to('cpu') copies it and passes the gradient back" },
  );
}

/** Throws unless those of the values that are tensors are all on one device. */
export function checkOneDevice(operation: string, first: Tensor, ...values: readonly unknown[]): void {
  const other = values.find((each) => each instanceof Tensor && each.device !== first.device) as
    | Tensor
    | undefined;
  if (other)
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `${operation}: expected tensors on one device, received ${first.device} (${first.toString()}) and ${other.device} (${other.toString()})`,
      { hint: `move one of them: .to('${first.device}')` },
    );
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
