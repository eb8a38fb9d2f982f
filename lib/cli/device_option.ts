/** `--device`: where a command computes, said before it begins. */
import { InvalidArgumentError, Option } from 'commander';
import { BinceError } from '../errors.js';
import type { Reporter } from './terminal.js';

/** Layers, optimisers and quantisers have kernels for the CPU alone. */
const reason = 'training has no CUDA kernels in this version and runs on the CPU';

function deviceName(text: string): string {
  if (!/^(auto|cpu|cuda(:\d{1,4})?)$/.test(text))
    throw new InvalidArgumentError('expected auto, cpu, cuda or cuda:N.');
  return text;
}

export function deviceOption(): Option {
  return new Option('--device <name>', 'auto, cpu, cuda or cuda:N; training runs on the CPU (default: cpu)')
    .argParser(deviceName)
    .env('BINCE_DEVICE');
}

/** Refuses a device that cannot be had with the reason; for `auto` tells which one is taken and why. */
export function takeTrainingDevice(choice: string | undefined, report: Reporter): void {
  if (choice === 'auto') report.note(`device cpu: ${reason}`);
  if (choice?.startsWith('cuda'))
    throw new BinceError('BINCE_UNSUPPORTED', `device '${choice}': ${reason}`, {
      hint: 'say --device cpu, or auto',
    });
}
