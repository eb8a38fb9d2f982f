/** Devices: what there is, and which one to take. */
import { chooseDevice } from './choice.js';
import { type Cuda, cuda } from './cuda.js';

export type { ChosenDevice, DeviceChoice, DeviceName } from './choice.js';
export type { Cuda, CudaDevice } from './cuda.js';

/** `device.cuda` tells what CUDA offers here, `device.choose('auto')` takes a device and says why. */
export const device: { readonly cuda: Cuda; readonly choose: typeof chooseDevice } = {
  cuda,
  choose: chooseDevice,
};
