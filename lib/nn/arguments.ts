/** Checks of the layers' arguments. */
import { invalidArgument } from '../errors.js';

export function checkPositiveInteger(name: string, value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) > 0
    ? (value as number)
    : invalidArgument(name, 'a positive whole number', value);
}

/** A size for both axes, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];

/** Both sizes, whole numbers of at least `least`. */
export function checkPair(name: string, value: Pair, least: number): readonly [number, number] {
  const pair = typeof value === 'number' ? ([value, value] as const) : value;
  const good =
    Array.isArray(pair) &&
    pair.length === 2 &&
    pair.every((size) => Number.isSafeInteger(size) && size >= least);
  return good ? pair : invalidArgument(name, `a whole number of at least ${least}, or two of them`, value);
}
