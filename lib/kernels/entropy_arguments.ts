/** Checks of the entropy family's arguments; messages name the argument, what was expected and what came. */
import { invalidArgument } from '../errors.js';

/** How values are made of x: as they are, with noise U(-1/2, 1/2), or rounded (half to even) about the median or mean. */
export type Quantize = 'none' | 'noise' | 'round';

/** An output: `true` asks for a new array, an array is filled. */
export type Output = boolean | Float32Array;

export const quantizeCodes = { none: 0, noise: 1, round: 2 } as const;

export function checkQuantize(value: Quantize | undefined): number {
  if (value === undefined) return quantizeCodes.none;
  const code = quantizeCodes[value];
  if (code === undefined) invalidArgument('quantize', "'none', 'noise' or 'round'", value);
  return code;
}

export function checkFloats(name: string, value: unknown, length?: number): Float32Array {
  if (!(value instanceof Float32Array) || (length !== undefined && value.length !== length))
    invalidArgument(name, length === undefined ? 'a Float32Array' : `Float32Array(${length})`, value);
  return value;
}

export function checkOptionalFloats(name: string, value: unknown, length: number): Float32Array | undefined {
  return value === undefined ? undefined : checkFloats(name, value, length);
}

/** A whole number of at least `least`. */
export function checkCount(name: string, value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least)
    invalidArgument(name, `a whole number of at least ${least}`, value);
  return value as number;
}

export function checkNumber(name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) invalidArgument(name, 'a finite number', value);
  return value;
}

/** A positive number, or 0 (the native default) when absent. */
export function checkPositive(name: string, value: number | undefined): number {
  if (value === undefined) return 0;
  if (!(checkNumber(name, value) > 0)) invalidArgument(name, 'a positive number', value);
  return value;
}

/** A lower bound that the kernels take logarithms and reciprocals of, 0 (their default) where none is given. */
export function checkBound(name: string, value: number | undefined): number {
  if (value === undefined) return 0;
  if (!(value >= 1e-30 && value <= 1)) invalidArgument(name, 'a number from 1e-30 to 1', value);
  return value;
}

/** A seed as its low and high 32 bits: a whole number below 2^53, or a bigint of at most 64 bits. */
export function splitSeed(seed: number | bigint | undefined): [number, number] {
  if (seed === undefined) return [0, 0];
  if (typeof seed === 'number' ? !Number.isSafeInteger(seed) || seed < 0 : typeof seed !== 'bigint')
    invalidArgument('seed', 'a whole number of at least 0 or a bigint', seed);
  if (typeof seed === 'number') return [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
  if (seed < 0n || seed >= 1n << 64n) invalidArgument('seed', 'a bigint of 64 bits', seed);
  return [Number(seed & 0xffffffffn), Number(seed >> 32n)];
}

export function makeOutput(name: string, output: unknown, length: number): Float32Array | undefined {
  if (output === undefined || output === false) return undefined;
  return output === true ? new Float32Array(length) : checkFloats(name, output, length);
}

/** The rows of an array whose rows have `width` elements. */
export function rowsOf(name: string, data: Float32Array, width: number): number {
  if (data.length % width !== 0) invalidArgument(name, `a multiple of ${width} elements`, data);
  return data.length / width;
}
