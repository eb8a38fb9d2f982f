/** The codec of a run: with it rows of z become files. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type CodecModel, loadModel, saveModel } from '../../codec/index.js';
import { type Dataset, openDataset, type Split } from '../../data/index.js';
import { BinceError } from '../../errors.js';
import { EntropyBottleneck } from '../../nn/index.js';
import { scope, tensor } from '../../tensor/index.js';
import { bananaBatch } from './banana.js';
import { type ExampleReader, encodeExamples, writeRows } from './encode.js';
import type { Run } from './run.js';
import { shapeOf } from './sources.js';
import { kTableSeed, plainInputSteps, testSteps, viewsOf } from './views.js';

/** Training examples whose symbols are counted. */
const kExamples = 2 ** 16;

/**
 * The codec of a run, codec.safetensors in its folder; made there on first use, and again when the run was trained
 * further. Its tables count the symbols of training
 * examples, with what the entropy model has learned for symbols too rare to count.
 */
export async function codecOf(run: Run, signal?: AbortSignal): Promise<CodecModel> {
  const path = join(run.folder, 'codec.safetensors');
  const kept = (await stat(path).catch(() => undefined)) && (await loadModel(path));
  if (kept && kept.metadata['step'] === run.step) return { ...kept, metadata: {} };
  const { bottleneck, latents } = run.model;
  if (!(bottleneck instanceof EntropyBottleneck))
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      'files hold factorised codes, and this model has a hyperprior',
      {
        hint: 'Hyperprior.compress() codes its rows to bytes; for files train with rateModel: factorized',
      },
    );
  const { count, read } = await trainingExamples(run);
  const { z } = await encodeExamples(run.model, run.shape, count, read, signal);
  const codec = scope(() =>
    bottleneck.toModel(run.config.system, bottleneck.symbols(tensor(z, [count, latents]))),
  );
  // The step is for this file alone: .bince files repeat a model's metadata.
  await saveModel(path, { ...codec, metadata: { step: run.step } });
  return codec;
}

async function trainingExamples({ config }: Run): Promise<{ count: number; read: ExampleReader }> {
  if (config.data === 'banana') {
    const { points, equivalent } = bananaBatch(kTableSeed, 0, kExamples, config.invariance);
    const inputs = config.system === 'vic' ? equivalent : points;
    return { count: kExamples, read: (first, count) => inputs.subarray(2 * first, 2 * (first + count)) };
  }
  const dataset = await openDataset(config.data, 'train');
  return {
    count: Math.min(kExamples, dataset.count),
    read: viewsOf(dataset, testSteps(config), kTableSeed, 0),
  };
}

export interface CompressImagesOptions {
  /** Which part of a data set that has two. Default `test`. */
  readonly split?: Split;
  readonly signal?: AbortSignal | undefined;
}

export interface CompressedExamples {
  readonly examples: number;
  readonly bytes: number;
  readonly bitsPerExample: number;
}

/**
 * Encodes the examples of a data set as they are, without augmentation, and writes their codes to a .bince file.
 * Throws BINCE_INVALID_ARGUMENT if they are not of the shape that the model was trained on.
 */
export async function compressImages(
  run: Run,
  data: string,
  out: string,
  options: CompressImagesOptions = {},
): Promise<CompressedExamples> {
  const dataset = await openEither(data, options.split);
  const shape = shapeOf(dataset);
  const read = viewsOf(dataset, plainInputSteps(run.config), 0n, 0);
  const expected = run.shape.join(' x ');
  const got = (await read(0, 1)).length;
  if (shape.at(-1) !== run.shape.at(-1) || got !== run.shape.reduce((product, n) => product * n, 1))
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `${data}: examples of ${shape.join(' x ')}, expected ${expected} as the model was trained on`,
    );
  const codec = await codecOf(run, options.signal);
  const { z } = await encodeExamples(run.model, run.shape, dataset.count, read, options.signal);
  const bytes = await writeRows(out, codec, z, options.signal);
  return { examples: dataset.count, bytes, bitsPerExample: (8 * bytes) / dataset.count };
}

/** The split that is asked for; of what has no splits, all. */
async function openEither(data: string, split: Split | undefined): Promise<Dataset> {
  if (split) return openDataset(data, split);
  try {
    return await openDataset(data, 'test');
  } catch (error) {
    if (error instanceof BinceError && /no test split/.test(error.message)) return openDataset(data, 'train');
    throw error;
  }
}
