/**
 * Schedules: pure functions from the number of finished steps to a factor. Of a learning rate (`optimizer.lrScale`)
 * or of anything else that changes in training, such as the weight of the rate.
 */
import { BinceError, invalidArgument } from '../errors.js';

/** The factor for the step that comes after `step` finished ones. */
export type Schedule = (step: number) => number;

/** Always the same, 1 unless given. */
export function constant(factor = 1): Schedule {
  checkFinite('factor', factor);
  return () => factor;
}

/** In a straight line from `from` at step 0 to `to` at `steps`, and `to` from there on. */
export function linear(options: {
  readonly steps: number;
  readonly from: number;
  readonly to: number;
}): Schedule {
  const { steps, from, to } = options;
  checkSteps('steps', steps);
  checkFinite('from', from);
  checkFinite('to', to);
  return (step) => from + (to - from) * progress(step, steps);
}

/** Rises in equal parts to 1 in the last of `steps` steps: (step + 1) / steps; 1 from there on. */
export function linearWarmup(steps: number): Schedule {
  checkSteps('steps', steps);
  return (step) => progress(step + 1, steps);
}

/** Half a cosine from 1 at step 0 to `final` (0 by default) at `steps` (Loshchilov and Hutter 2017, no restart). */
export function cosine(options: { readonly steps: number; readonly final?: number }): Schedule {
  const { steps, final = 0 } = options;
  checkSteps('steps', steps);
  checkFinite('final', final);
  return (step) => halfCosine(1, final, progress(step, steps));
}

/** Falls by the same ratio in each step, from 1 at step 0 to `final` at `steps`: final^(step / steps). */
export function exponential(options: { readonly steps: number; readonly final: number }): Schedule {
  const { steps, final } = options;
  checkSteps('steps', steps);
  if (!(final > 0 && Number.isFinite(final))) invalidArgument('final', 'a positive number', final);
  return (step) => final ** progress(step, steps);
}

/** Multiplied by `factor` (0.1 by default) at each of the milestones: steps, rising. */
export function multiStep(milestones: readonly number[], factor = 0.1): Schedule {
  checkFinite('factor', factor);
  milestones.forEach((milestone, i) => {
    checkSteps(`milestones[${i}]`, milestone);
    if (i > 0 && !(milestone > milestones[i - 1]!))
      invalidArgument(`milestones[${i}]`, `a step after ${milestones[i - 1]}`, milestone);
  });
  return (step) => factor ** milestones.filter((milestone) => step >= milestone).length;
}

/**
 * One cycle (Smith and Topin 2018): half a cosine up from `start` to 1 in the first `warmup` of the steps, and one
 * down to `final` in the rest.
 * @param options defaults: warmup 0.3, start 1/25, final 1/250000
 */
export function oneCycle(options: {
  readonly steps: number;
  readonly warmup?: number;
  readonly start?: number;
  readonly final?: number;
}): Schedule {
  const { steps, warmup = 0.3, start = 1 / 25, final = 1 / 250_000 } = options;
  checkSteps('steps', steps);
  if (!(warmup > 0 && warmup < 1)) invalidArgument('warmup', 'a share between 0 and 1', warmup);
  checkFinite('start', start);
  checkFinite('final', final);
  const top = warmup * steps;
  return (step) =>
    step < top
      ? halfCosine(start, 1, progress(step, top))
      : halfCosine(1, final, progress(step - top, steps - top));
}

/** Schedules one after the other, each with its own step 0; the last one has no end. */
export function sequential(
  ...parts: readonly [
    ...{ readonly schedule: Schedule; readonly steps: number }[],
    { readonly schedule: Schedule },
  ]
): Schedule {
  if (parts.length === 0)
    throw new BinceError('BINCE_INVALID_ARGUMENT', 'parts: expected at least one schedule, received none');
  const begins = [0];
  for (const part of parts.slice(0, -1)) {
    const steps = checkSteps('steps', (part as { steps: number }).steps);
    begins.push(begins.at(-1)! + steps);
  }
  return (step) => {
    let part = parts.length - 1;
    while (part > 0 && step < begins[part]!) part--;
    return parts[part]!.schedule(step - begins[part]!);
  };
}

/** The product of schedules that run beside each other. */
export function product(...schedules: readonly Schedule[]): Schedule {
  return (step) => schedules.reduce((factor, schedule) => factor * schedule(step), 1);
}

function progress(step: number, steps: number): number {
  return Math.min(1, Math.max(0, step / steps));
}

function halfCosine(from: number, to: number, share: number): number {
  return to + (from - to) * 0.5 * (1 + Math.cos(Math.PI * share));
}

function checkSteps(name: string, value: number): number {
  return Number.isSafeInteger(value) && value > 0
    ? value
    : invalidArgument(name, 'a positive whole number', value);
}

function checkFinite(name: string, value: number): void {
  if (!Number.isFinite(value)) invalidArgument(name, 'a finite number', value);
}
