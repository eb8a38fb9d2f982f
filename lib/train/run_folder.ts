/**
 * The folder of a training run:
 *
 *     config.json             the resolved configuration
 *     metrics.jsonl           what was measured, a line a logged step and one an evaluation
 *     summary.json            how far the run is and its last numbers
 *     model.safetensors       weights and buffers of the modules   } one checkpoint,
 *     optimizer.safetensors   moments, random state, position      } replaced together
 *     events.out.tfevents.*   the metrics for TensorBoard
 *     plots/                  pictures of `bince plot`
 *     run.lock                the process that trains it, while one does
 */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NewFileSink } from '../codec/byte_sink.js';
import { fileError } from '../codec/file_errors.js';
import { BinceError } from '../errors.js';
import type { StateDict } from '../nn/state_dict.js';
import { type CheckpointPart, modelFile, optimizerFile, readCheckpoint, readPart } from './checkpoint.js';
import { configDifferences, describeDifferences } from './config_difference.js';

export const configFile = 'config.json';
export const metricsFile = 'metrics.jsonl';
export const summaryFile = 'summary.json';

/** Makes the folder of a new run. Throws where one is there already, so that nothing of it is lost. */
export async function beginRun(folder: string, config: unknown): Promise<void> {
  await makeFolder(folder);
  const names = new Set(await readdir(folder));
  const found = [modelFile, optimizerFile, metricsFile, configFile].filter((name) => names.has(name));
  if (found.length > 0) {
    throw new BinceError('BINCE_INVALID_ARGUMENT', `${folder} holds a run already (${found.join(', ')})`, {
      hint: 'go on with it (--resume, or `resume: true`), or name another folder',
    });
  }
  await writeJson(join(folder, configFile), config);
}

/**
 * Opens the folder of a run to go on with it. Returns its checkpoint, or undefined where it ended before the first.
 * Throws BINCE_INVALID_ARGUMENT with the keys that differ where the configuration is another one.
 */
export async function resumeRun(
  folder: string,
  config: unknown,
): Promise<Awaited<ReturnType<typeof readCheckpoint>>> {
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new BinceError('BINCE_NOT_FOUND', `${folder}: there is no run to resume`, {
      hint: 'check the name, or leave out --resume (`resume: true`) to begin one',
    });
  }
  const was = await readConfig(folder);
  checkSameConfig(folder, was, config);
  return await readCheckpoint(folder);
}

/** Throws BINCE_INVALID_ARGUMENT with the keys in which two JSON values differ. */
export function checkSameConfig(folder: string, was: unknown, is: unknown): void {
  const differences = configDifferences(was, JSON.parse(JSON.stringify(is)));
  if (differences.length === 0) return;
  throw new BinceError(
    'BINCE_INVALID_ARGUMENT',
    `${folder}: resumed with another configuration: ${describeDifferences(differences)}`,
    { hint: 'resume with the values of its config.json, or begin a run in another folder' },
  );
}

/** The config.json of a run folder. */
export async function readConfig(folder: string): Promise<unknown> {
  const path = join(folder, configFile);
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw fileError('read', path, cause);
    throw new BinceError('BINCE_NOT_FOUND', `${folder}: no run folder (it has no ${configFile})`, {
      hint: 'name a folder that `bince train --out` wrote',
      cause,
    });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: not JSON: ${(cause as Error).message}`, { cause });
  }
}

/** The trained modules of a run. */
export interface SavedRun {
  /** The configuration it was trained with. */
  readonly config: unknown;
  /** Steps that the weights were trained for. */
  readonly step: number;
  /** Weights and buffers by the name of their module. */
  readonly modules: Readonly<Record<string, StateDict>>;
}

/**
 * Reads the weights of a run: its folder, or a model.safetensors out of one, which is complete in itself. Works
 * also beside a training that goes on.
 */
export async function readRun(path: string): Promise<SavedRun> {
  const found = await stat(path).catch((cause: unknown) => {
    throw fileError('read', path, cause);
  });
  let file = path;
  if (found.isDirectory()) {
    await readConfig(path);
    file = join(path, modelFile);
    if (!(await stat(file).catch(() => undefined))) {
      throw new BinceError('BINCE_NOT_FOUND', `${path}: the run has no checkpoint yet (no ${modelFile})`, {
        hint: 'let it train to its first checkpoint; a run that was cut short goes on with --resume',
      });
    }
  }
  const { tensors, metadata } = await readPart(file);
  const config = parseJson(file, 'config', metadata);
  const { step } = parseJson(file, 'state', metadata) as { step: number };
  return { config, step, modules: splitStates(file, tensors) };
}

/** The JSON of one metadata entry of a checkpoint's file. */
export function parseJson(path: string, key: string, metadata: CheckpointPart['metadata']): unknown {
  try {
    return JSON.parse(metadata[key] ?? '');
  } catch (cause) {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: its metadata has no sound '${key}'`, { cause });
  }
}

/** The state dicts of modules or optimisers as one, each name after that of its owner. */
export function joinStates(owners: Readonly<Record<string, { stateDict(): StateDict }>>): StateDict {
  const joined: StateDict = new Map();
  for (const [name, owner] of Object.entries(owners))
    for (const [key, value] of owner.stateDict()) joined.set(`${name}.${key}`, value);
  return joined;
}

/** The opposite of {@link joinStates}. */
export function splitStates(path: string, tensors: StateDict): Record<string, StateDict> {
  const states: Record<string, StateDict> = {};
  for (const [name, value] of tensors) {
    const dot = name.indexOf('.');
    if (dot < 1) throw new BinceError('BINCE_CORRUPT_DATA', `${path}: '${name}' belongs to no module`);
    const owner = name.slice(0, dot);
    states[owner] ??= new Map();
    states[owner].set(name.slice(dot + 1), value);
  }
  return states;
}

/** Writes a value as indented JSON, whole or not at all. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const sink = await NewFileSink.create(path);
  try {
    await sink.write(Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`));
  } catch (error) {
    await sink.abort();
    throw error;
  }
  await sink.close();
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw fileError('make the folder', folder, cause);
  });
}
