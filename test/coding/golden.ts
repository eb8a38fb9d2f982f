// Readers of the golden files that the coding tests use.
import { readFileSync } from 'node:fs';
import type { CdfTables } from '../../lib/kernels/tables.js';

const folder = new URL('../golden/', import.meta.url);

export interface GoldenArray {
  shape: number[];
  data: number[];
}

/** One golden JSON file's cases. */
export function goldenCases<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8')).cases;
}

/** A golden file's bytes. */
export function goldenBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, folder)));
}

/** A version 1 .npy file of little-endian int32. */
export function readNpy(name: string): { shape: number[]; data: Int32Array } {
  const bytes = goldenBytes(name);
  const headerBytes = new DataView(bytes.buffer).getUint16(8, true);
  const header = Buffer.from(bytes.subarray(10, 10 + headerBytes)).toString('latin1');
  if (!header.includes("'<i4'")) throw new Error(`${name}: expected int32, the header is ${header}`);
  const shape = /'shape': \(([^)]*)\)/
    .exec(header)![1]!
    .split(',')
    .filter((s) => s.trim())
    .map(Number);
  return { shape, data: new Int32Array(bytes.slice(10 + headerBytes).buffer) };
}

/** Tables from CompressAI's padded rows. */
export function unpadTables(
  cdf: ArrayLike<number>,
  width: number,
  length: ArrayLike<number>,
  offset: ArrayLike<number>,
): CdfTables {
  const start = new Int32Array(length.length + 1);
  const numbers: number[] = [];
  for (let t = 0; t < length.length; ++t) {
    for (let i = 0; i < length[t]!; ++i) numbers.push(cdf[t * width + i]!);
    start[t + 1] = numbers.length;
  }
  return { cdf: Int32Array.from(numbers), start, offset: Int32Array.from(Array.from(offset)) };
}

/** Tables from lists of frequencies. */
export function tablesOf(frequencies: number[][], offset: number[]): CdfTables {
  const start = [0];
  const cdf: number[] = [];
  for (const list of frequencies) {
    let sum = 0;
    cdf.push(0);
    for (const f of list) {
      sum += f;
      cdf.push(sum);
    }
    start.push(cdf.length);
  }
  return { cdf: Int32Array.from(cdf), start: Int32Array.from(start), offset: Int32Array.from(offset) };
}

/** n frequencies that fall away from the middle and sum to 65536; the last is the escape. */
export function bellFrequencies(n: number, spread: number): number[] {
  const weights = Array.from({ length: n }, (_, i) => Math.exp(-0.5 * ((i - (n - 2) / 2) / spread) ** 2));
  weights[n - 1] = 1e-6;
  const total = weights.reduce((a, b) => a + b, 0);
  const frequencies = weights.map((w) => 1 + Math.floor((w / total) * (65536 - n)));
  const middle = Math.floor((n - 1) / 2);
  frequencies[middle]! += 65536 - frequencies.reduce((a, b) => a + b, 0);
  return frequencies;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
