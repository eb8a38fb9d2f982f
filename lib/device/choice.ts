/** From what a person asks for to a device, and why that one. */
import { BinceError, invalidArgument } from '../errors.js';
import { native } from '../native.js';
import { type CudaDevice, cudaCount } from './cuda.js';

/** Where a tensor is. */
export type DeviceName = 'cpu' | `cuda:${number}`;

/** What may be asked for: `cuda` is `cuda:0`, `auto` the first CUDA device where there is one, else the CPU. */
export type DeviceChoice = DeviceName | 'cuda' | 'auto';

export interface ChosenDevice {
  readonly device: DeviceName;
  /** One line that says which device was taken and why. */
  readonly sentence: string;
}

/**
 * The device for a choice. A CUDA device that cannot be had is BINCE_UNSUPPORTED with the reason; `auto` never fails.
 */
export function chooseDevice(choice: DeviceChoice): ChosenDevice {
  if (choice === 'cpu') return { device: 'cpu', sentence: 'device cpu, as asked' };
  if (choice === 'auto') {
    const found = cudaCount();
    if (typeof found === 'string') return { device: 'cpu', sentence: `device cpu: ${found}` };
    return { device: 'cuda:0', sentence: describeDevice(native().cudaDevice(0)) };
  }
  const device = namedDevice(choice);
  return { device, sentence: describeDevice(native().cudaDevice(deviceIndex(device)!)) };
}

/** The same without the sentence, which opens the device. */
export function namedDevice(choice: DeviceChoice): DeviceName {
  if (choice === 'cpu') return 'cpu';
  const match = /^(?:cuda(?::(\d{1,4}))?|auto)$/.exec(String(choice));
  if (!match) invalidArgument('device', "'cpu', 'cuda', 'cuda:N' or 'auto'", choice);
  const found = cudaCount();
  if (choice === 'auto') return typeof found === 'string' ? 'cpu' : 'cuda:0';
  if (typeof found === 'string')
    throw new BinceError('BINCE_UNSUPPORTED', `device '${choice}': ${found}`, {
      hint: "use device 'cpu', or 'auto' for whichever there is",
    });
  const index = Number(match[1] ?? 0);
  if (index >= found)
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      `device '${choice}': there ${found === 1 ? 'is 1 CUDA device, cuda:0' : `are ${found} CUDA devices, cuda:0 to cuda:${found - 1}`}`,
      { hint: 'CUDA_VISIBLE_DEVICES chooses which devices a process sees' },
    );
  return `cuda:${index}`;
}

/** n of `cuda:n`; undefined for the CPU. */
export function deviceIndex(device: DeviceName): number | undefined {
  return device === 'cpu' ? undefined : Number(device.slice('cuda:'.length));
}

function describeDevice({ index, name, totalBytes }: CudaDevice): string {
  return `device cuda:${index}: ${name}, ${(totalBytes / 2 ** 30).toFixed(1)} GiB`;
}
