/** Images that a small network tells apart at once: a bright bar at one of four places, with noise. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { uniformNoise } from '../../lib/kernels/index.js';
import { npyBytes } from '../data/files.js';

export const kSide = 12;
export const kClasses = 4;

/** Writes bars_train.npy and bars_test.npy with their labels; returns the path with {split}. */
export function writeBars(folder: string, counts: { train: number; test: number }): string {
  for (const [split, count] of Object.entries(counts)) {
    const noise = uniformNoise(count, kSide * kSide, { seed: split === 'train' ? 1 : 2 });
    const labels = Uint8Array.from({ length: count }, (_, i) => i % kClasses);
    const pixels = Uint8Array.from(noise, (u, i) => {
      const row = Math.floor((i % (kSide * kSide)) / kSide);
      const label = labels[Math.floor(i / (kSide * kSide))]!;
      return Math.floor(row / 3) === label ? 220 + 60 * u : 15 + 30 * u;
    });
    const header = (shape: string, dtype: string) =>
      `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${shape}), }`;
    writeFileSync(
      join(folder, `bars_${split}.npy`),
      npyBytes(header(`${count}, ${kSide}, ${kSide}`, '|u1'), pixels),
    );
    writeFileSync(join(folder, `bars_${split}_labels.npy`), npyBytes(header(`${count},`, '|u1'), labels));
  }
  return join(folder, 'bars_{split}.npy');
}
