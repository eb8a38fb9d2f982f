/** Checks of what a trainer is given. */
import { BinceError, describe, invalidArgument } from '../errors.js';
import { Tensor } from '../tensor/index.js';
import type { BatchSource, TrainerOptions, TrainTask } from './task.js';

/** Checks options, task and source; returns how many steps there are. */
export function checkOptions<Batch>(
  task: TrainTask<Batch>,
  source: BatchSource<Batch>,
  options: TrainerOptions,
): number {
  const { epochs, steps, clipGradNorm, checkpointEvery, logEvery, resume, out } = options;
  for (const [kind, owners] of Object.entries({ modules: task.modules, optimizers: task.optimizers })) {
    const names = Object.keys(owners);
    if (names.length === 0) invalidArgument(`task.${kind}`, 'at least one', owners);
    const bad = names.find((name) => !name || name.includes('.'));
    if (bad !== undefined) invalidArgument(`task.${kind}`, 'names without dots', bad);
  }
  const { batchesPerEpoch } = source;
  checkCount('source.batchesPerEpoch', batchesPerEpoch);
  for (const [name, value] of Object.entries({ epochs, steps, checkpointEvery, logEvery }))
    if (value !== undefined) checkCount(name, value);
  if (clipGradNorm !== undefined && !(clipGradNorm > 0))
    invalidArgument('clipGradNorm', 'a positive number', clipGradNorm);
  if (resume && out === undefined) invalidArgument('out', 'the folder of the run to resume', out);
  if ((epochs === undefined) === (steps === undefined))
    throw new BinceError('BINCE_INVALID_ARGUMENT', 'expected one of epochs and steps, received both or none');
  return steps ?? epochs! * batchesPerEpoch;
}

function checkCount(name: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    invalidArgument(name, 'a positive integer', value);
}

/** The value of a loss. */
export function readLoss(loss: unknown): number {
  return scalar('the loss', loss);
}

const reservedNames: readonly string[] = ['step', 'epoch', 'seconds', 'loss', 'gradientNorm'];

/** The values of named metrics. */
export function readMetrics(metrics: Readonly<Record<string, Tensor>>): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [name, metric] of Object.entries(metrics)) {
    if (reservedNames.includes(name))
      invalidArgument('metrics', `names other than ${reservedNames.join(', ')}`, name);
    values[name] = scalar(`metric '${name}'`, metric);
  }
  return values;
}

function scalar(name: string, value: unknown): number {
  if (value instanceof Tensor && value.size === 1) return value.item();
  throw new BinceError(
    'BINCE_INVALID_ARGUMENT',
    `${name}: expected a tensor of one element, received ${value instanceof Tensor ? value.toString() : describe(value)}`,
  );
}
