/** The numbers and flags of a contrastive call, as the addon reads them. */
import { invalidArgument } from '../errors.js';
import type { Denominator, GradientName, InfoNCEOptions } from './contrastive.js';

const denominators: ReadonlyMap<string, number> = new Map<Denominator, number>([
  ['all', 0],
  ['negatives', 1],
  ['each', 2],
  ['sigmoid', 3],
]);
const flags = { symmetric: 1, cosine: 2, excludeDiagonal: 4, ownKey: 8, sum: 16, unchecked: 32, tf32: 64 };

/** The numbers of a call, in the order that native/addon/contrastive_addon.cc reads; copied there at once. */
const numbers = new Float64Array(17);

/** The numbers of a call, checked; the array is reused by the next call. */
export function contrastiveNumbers(
  options: InfoNCEOptions,
  rows: number,
  keys: number,
  queued: number,
): Float64Array {
  const denominator = denominators.get(options.denominator ?? 'all');
  if (denominator === undefined)
    invalidArgument('denominator', "'all', 'negatives', 'each' or 'sigmoid'", options.denominator);
  const reduction = options.reduction ?? 'mean';
  if (reduction !== 'mean' && reduction !== 'sum') invalidArgument('reduction', "'mean' or 'sum'", reduction);
  numbers[0] = denominator;
  numbers[1] =
    (options.symmetric ? flags.symmetric : 0) |
    (options.cosine ? flags.cosine : 0) |
    (options.excludeDiagonal ? flags.excludeDiagonal : 0) |
    (options.ownKey ? flags.ownKey : 0) |
    (reduction === 'sum' ? flags.sum : 0) |
    (options.check === false ? flags.unchecked : 0) |
    (options.tf32 ? flags.tf32 : 0);
  numbers[2] = finite('scale', options.scale, 1);
  numbers[3] = finite('bias', options.bias, 0);
  numbers[4] = finite('clip', options.clip, 0);
  numbers[5] = finite('regularizer', options.regularizer, 0);
  numbers[6] = finite('negativeLogWeight', options.negativeLogWeight, 0);
  numbers[7] =
    options.threshold === Number.POSITIVE_INFINITY
      ? options.threshold
      : finite('threshold', options.threshold, Number.POSITIVE_INFINITY);
  numbers[8] = finite('gradLoss', options.gradLoss, 1);
  numbers[9] = rows;
  numbers[10] = keys;
  numbers[11] = queued;
  numbers[12] = options.dim;
  numbers[13] = wants(options, 'scale') ? 1 : 0;
  numbers[14] = wants(options, 'bias') ? 1 : 0;
  numbers[15] = wants(options, 'q') ? 1 : 0;
  numbers[16] = wants(options, 'k') ? 1 : 0;
  return numbers;
}

function finite(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!Number.isFinite(value)) invalidArgument(name, 'a finite number', value);
  return value;
}

/** True if the options ask for the gradient. */
export function wants(options: Pick<InfoNCEOptions, 'gradients'>, name: GradientName): boolean {
  const { gradients } = options;
  if (gradients === undefined || gradients === true) return true;
  return gradients !== false && gradients.includes(name);
}
