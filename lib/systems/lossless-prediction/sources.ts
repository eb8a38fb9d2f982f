/** Where batches come from: the banana, images and their views, vectors and their pairs. */
import {
  DataLoader,
  type Dataset,
  type ImageDataset,
  openDataset,
  type VectorDataset,
} from '../../data/index.js';
import { BinceError } from '../../errors.js';
import type { BatchSource } from '../../train/index.js';
import { bananaBatch } from './banana.js';
import type { ExperimentConfig } from './config.js';
import type { ExampleShape } from './networks.js';
import type { ExampleBatch } from './objectives.js';
import { originalSteps, trainingSteps } from './views.js';

/** Training data of an experiment. */
export interface TrainingData {
  readonly shape: ExampleShape;
  readonly source: BatchSource<ExampleBatch>;
  /** Absent for the banana. */
  readonly dataset?: Dataset;
}

/** Opens the data that a configuration names. Throws BINCE_NOT_FOUND with what to install or type. */
export async function openTrainingData(config: ExperimentConfig): Promise<TrainingData> {
  if (config.data === 'banana') return { shape: [2], source: bananaSource(config) };
  return trainingDataOf(config, await openDataset(config.data, 'train'));
}

/** Training data over a data set that is in memory. */
export function trainingDataOf(config: ExperimentConfig, dataset: Dataset): TrainingData {
  if (config.system === 'bottleneck' && dataset.kind === 'images')
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `${dataset.name}: images, and the bottleneck is for vectors`,
      {
        hint: 'give a file of features: --data features.npy; for images there are vc, vic and bince',
      },
    );
  const shape = shapeOf(dataset);
  const source = dataset.kind === 'images' ? imageSource(config, dataset) : vectorSource(config, dataset);
  return { shape, source, dataset };
}

/** [H, W, C] of images, [D] of vectors. */
export function shapeOf(dataset: Dataset): ExampleShape {
  return dataset.kind === 'images' ? [dataset.height, dataset.width, dataset.channels] : [dataset.channels];
}

/** Fresh points in every epoch, as many as the configuration says. */
function bananaSource(config: ExperimentConfig): BatchSource<ExampleBatch> {
  const { batch, system } = config;
  const batchesPerEpoch = Math.max(1, Math.floor(config.examplesPerEpoch / batch));
  const make = (first: number): ExampleBatch => {
    const { points, equivalent, representative } = bananaBatch(
      BigInt(config.seed),
      first,
      batch,
      config.invariance,
    );
    if (system === 'vic') return { inputs: [equivalent], target: representative };
    return system === 'bince' ? { inputs: [points, equivalent] } : { inputs: [points], target: points };
  };
  return {
    batchesPerEpoch,
    async *epoch(epoch, from) {
      for (let i = from; i < batchesPerEpoch; i++) yield make((epoch * batchesPerEpoch + i) * batch);
    },
  };
}

function imageSource(config: ExperimentConfig, dataset: ImageDataset): BatchSource<ExampleBatch> {
  const { system } = config;
  const loader = new DataLoader(dataset, {
    ...{ batch: config.batch, seed: config.seed, augmentation: trainingSteps(config), dropLast: true },
    views: system === 'bince' ? 2 : 1,
    original: system === 'vic' && originalSteps(config),
    reuse: true,
  });
  return {
    batchesPerEpoch: loader.batches,
    async *epoch(epoch, from) {
      for await (const { images, original } of loader.epoch(epoch, { from })) {
        if (system === 'bince') yield { inputs: images };
        else yield { inputs: images, target: original ?? images[0]! };
      }
    },
  };
}

function vectorSource(config: ExperimentConfig, dataset: VectorDataset): BatchSource<ExampleBatch> {
  const { system } = config;
  if ((system === 'bince' || system === 'vic') && !dataset.pairs)
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `${system} over vectors needs pairs: a second view of every row`,
      { hint: 'bince fit VECTORS --pairs OTHERS, both with the same number of rows' },
    );
  const loader = new DataLoader(dataset, {
    ...{ batch: Math.min(config.batch, dataset.count), seed: config.seed, dropLast: true },
    views: dataset.pairs && system !== 'bottleneck' && system !== 'vc' ? 2 : 1,
  });
  return {
    batchesPerEpoch: loader.batches,
    async *epoch(epoch, from) {
      for await (const { images } of loader.epoch(epoch, { from })) {
        if (system === 'bince') yield { inputs: images };
        else yield { inputs: [images.at(-1)!], target: images[0]! };
      }
    },
  };
}
