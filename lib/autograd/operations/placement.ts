/** Moves between devices, and what a tape needs of tensors that stay on one. */
import { type DeviceChoice, type DeviceName, namedDevice } from '../../device/choice.js';
import { aliasTensor, copyTensor, type Tensor } from '../../tensor/tensor.js';
import { checkPlacedTensor } from '../arguments.js';
import { record } from '../tape.js';

/**
 * The same elements on another device: 'cpu', 'cuda' (the first), 'cuda:1', or 'auto' for a CUDA device where there is
 * one. The gradient goes back the same way. A tensor that is there already shares its memory with the result. Throws
 * BINCE_UNSUPPORTED with the reason for a device that cannot be had, and BINCE_OUT_OF_MEMORY with the sizes.
 */
export function to(x: Tensor, device: DeviceChoice): Tensor {
  checkPlacedTensor('to', x);
  const target = x.device === device ? device : namedDevice(device);
  return record('to', [x], moved(x, target), (dy) => [moved(dy, x.device)]);
}

function moved(x: Tensor, device: DeviceName): Tensor {
  return x.device === device ? aliasTensor(x, x.shape, 'to') : copyTensor(x, device, 'to');
}
