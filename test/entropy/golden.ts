/** Golden files as typed arrays. */
import { readFileSync } from 'node:fs';
import type { FactorizedArrays } from '../../lib/kernels/index.js';

export interface GoldenArray {
  readonly shape: number[];
  readonly data: number[];
}

export interface GoldenCase {
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  readonly expected: Record<string, unknown>;
}

export function goldenCases(file: string): GoldenCase[] {
  const url = new URL(`../golden/${file}.json`, import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { cases: GoldenCase[] }).cases;
}

export function array(value: unknown): GoldenArray {
  return value as GoldenArray;
}

export function floats(value: unknown): Float32Array {
  return Float32Array.from(array(value).data);
}

/** The arrays named `matrices`, `biases` and `factors`, with a prefix: `d` for gradients. */
export function layerArrays(values: Record<string, unknown>, prefix = ''): FactorizedArrays {
  const list = (name: string) => (values[prefix + name] as GoldenArray[]).map(floats);
  return { matrices: list('matrices'), biases: list('biases'), factors: list('factors') };
}
