/**
 * Checkpoints: a pair of files in the run folder, model.safetensors (weights and buffers) and optimizer.safetensors
 * (moments; how far the run is, and its random state, in the metadata). Both carry the id of their pair.
 *
 * A pair is replaced as a whole, whenever the process dies:
 *  1. the new files are written and synced as model.safetensors.next and optimizer.safetensors.next;
 *  2. model.safetensors.next is renamed to model.safetensors, then optimizer.safetensors.next in the same way.
 * Before both .next files are complete the old pair is whole; after that the new one is, and reading finishes the
 * renames that are missing.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from '../codec/file_errors.js';
import { type SafetensorsDtype, SafetensorsFile, type TensorData, writeSafetensors } from '../codec/index.js';
import { BinceError } from '../errors.js';
import type { StateDict } from '../nn/state_dict.js';

/** How far a run is, and what it needs besides tensors to go on to the same numbers. JSON. */
export interface TrainState {
  /** Steps done. */
  readonly step: number;
  readonly epoch: number;
  /** Batches of this epoch that are done; `batchesPerEpoch` where only its evaluation is left. */
  readonly position: number;
  /** Whether the last step and the last evaluation are done. */
  readonly finished: boolean;
  /** Seconds of training so far, over all sessions. */
  readonly seconds: number;
  /** State of the random generator. */
  readonly generator: unknown;
  /** What the numbers of the run depend on besides its configuration. */
  readonly training: Readonly<Record<string, unknown>>;
  /** The last numbers that were logged. */
  readonly last: {
    readonly loss?: number;
    readonly metrics?: Readonly<Record<string, number>>;
    readonly evaluation?: Readonly<Record<string, number>>;
  };
}

/** Tensors by name, and JSON texts by name. */
export interface CheckpointPart {
  readonly tensors: StateDict;
  readonly metadata: Readonly<Record<string, string>>;
}

export const modelFile = 'model.safetensors';
export const optimizerFile = 'optimizer.safetensors';
const kNext = '.next';
const kFormat = 'bince-run';
const kVersion = '1';

const dtypes = { float32: 'F32', int32: 'I32', uint8: 'U8' } as const satisfies Record<
  string,
  SafetensorsDtype
>;

/** Replaces the checkpoint of a run folder, as a whole or not at all. */
export async function writeCheckpoint(
  folder: string,
  model: CheckpointPart,
  optimizer: CheckpointPart,
): Promise<void> {
  const pair = randomUUID();
  await writePart(join(folder, modelFile + kNext), model, pair);
  await writePart(join(folder, optimizerFile + kNext), optimizer, pair);
  await putInPlace(folder, modelFile);
  await putInPlace(folder, optimizerFile);
}

async function putInPlace(folder: string, name: string): Promise<void> {
  const path = join(folder, name);
  await rename(path + kNext, path).catch((cause: unknown) => {
    throw fileError('write', path, cause);
  });
}

async function writePart(path: string, part: CheckpointPart, pair: string): Promise<void> {
  const tensors: Record<string, TensorData> = {};
  for (const [name, { dtype, shape, data }] of part.tensors)
    tensors[name] = { dtype: dtypes[dtype], shape, data };
  const metadata = { ...part.metadata, format: kFormat, version: kVersion, pair };
  const arrays = Object.entries(tensors).map(([name, { dtype, shape, data }]) => ({
    ...{ name, dtype, shape, bytes: data },
  }));
  await writeSafetensors(path, tensors, { ...metadata, sha256: digestOf(arrays, metadata) });
}

/** Reads the pair of a run folder; undefined where there is none yet. Everything in it is checked. */
export async function readCheckpoint(
  folder: string,
): Promise<{ readonly model: CheckpointPart; readonly optimizer: CheckpointPart } | undefined> {
  await settle(folder);
  const [model, optimizer] = [join(folder, modelFile), join(folder, optimizerFile)];
  const pairs = [await pairOf(model), await pairOf(optimizer)];
  if (pairs.every((pair) => pair === undefined)) return undefined;
  if (pairs[0] !== pairs[1]) {
    const missing = pairs.indexOf(undefined);
    const detail =
      missing < 0
        ? `${modelFile} and ${optimizerFile} are not of one checkpoint`
        : `${[modelFile, optimizerFile][missing]} is missing`;
    throw damaged(folder, detail);
  }
  return { model: await readPart(model), optimizer: await readPart(optimizer) };
}

/** Reads one file of a pair, checking its digest. */
export async function readPart(path: string): Promise<CheckpointPart> {
  await using file = await open(path);
  const tensors: StateDict = new Map();
  const parts: DigestedTensor[] = [];
  for (const { name, dtype, shape } of file.tensors.values()) {
    const bytes = await file.readBytes(name);
    parts.push({ name, dtype, shape, bytes });
    tensors.set(name, { shape, ...typedArray(path, name, dtype, bytes) });
  }
  if (file.metadata['sha256'] !== digestOf(parts, file.metadata))
    throw damaged(path, 'its content is not what was written (the SHA-256 differs)');
  return { tensors, metadata: file.metadata };
}

async function open(path: string): Promise<SafetensorsFile> {
  const file = await SafetensorsFile.open(path).catch((error: unknown) => {
    if (error instanceof BinceError && error.code === 'BINCE_CORRUPT_DATA')
      throw damaged(path, error.message.slice(error.message.indexOf(': ') + 2), error);
    throw error;
  });
  const { format, version } = file.metadata;
  if (format === kFormat && version === kVersion) return file;
  await file.close();
  if (format !== kFormat)
    throw new BinceError('BINCE_INVALID_VALUE', `${path}: not a checkpoint of a training run`, {
      hint: 'name a run folder that `bince train` wrote',
    });
  throw new BinceError('BINCE_UNSUPPORTED', `${path}: checkpoint version ${version}, this reads ${kVersion}`);
}

/** The id of the pair that a file belongs to; undefined where there is no such file. */
async function pairOf(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path);
    return file.metadata['pair'];
  } catch (error) {
    if (error instanceof BinceError && error.code === 'BINCE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Ends a replacement of the pair that was cut short: forward where the new pair is complete, else back. */
async function settle(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [] as string[]);
  const complete = async (name: string) =>
    names.includes(name) ? await pairOf(join(folder, name)).catch(() => undefined) : undefined;
  const nextModel = await complete(modelFile + kNext);
  const nextOptimizer = await complete(optimizerFile + kNext);
  if (nextOptimizer !== undefined) {
    if (nextModel === nextOptimizer) await putInPlace(folder, modelFile);
    if (nextModel === nextOptimizer || nextOptimizer === (await complete(modelFile)))
      await putInPlace(folder, optimizerFile);
  }
  const leftover = (name: string) => /^\.?(model|optimizer)\.safetensors\.next(\..*\.tmp)?$/.test(name);
  for (const name of (await readdir(folder).catch(() => [] as string[])).filter(leftover))
    await unlink(join(folder, name));
}

function damaged(path: string, detail: string, cause?: unknown): BinceError {
  return new BinceError('BINCE_CORRUPT_DATA', `${path}: damaged checkpoint: ${detail}`, {
    hint: 'take the files from a copy, or train again into another folder',
    cause,
  });
}

function typedArray(path: string, name: string, dtype: SafetensorsDtype, bytes: Uint8Array) {
  if (dtype === 'F32') return { dtype: 'float32', data: new Float32Array(bytes.buffer) } as const;
  if (dtype === 'I32') return { dtype: 'int32', data: new Int32Array(bytes.buffer) } as const;
  if (dtype === 'U8') return { dtype: 'uint8', data: bytes } as const;
  throw damaged(path, `'${name}' has the dtype ${dtype}, which no checkpoint has`);
}

interface DigestedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: ArrayBufferView;
}

/** SHA-256 over the metadata, and over names, types, shapes and bytes in the order of the names. */
function digestOf(
  tensors: readonly DigestedTensor[],
  metadata: Readonly<Record<string, string | undefined>>,
): string {
  const hash = createHash('sha256');
  const entries = Object.entries(metadata).filter(([key]) => key !== 'sha256');
  hash.update(JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
  for (const { name, dtype, shape, bytes } of [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(JSON.stringify([name, dtype, shape]));
    hash.update(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }
  return hash.digest('hex');
}
