/** Experiments: from a configuration to a trained model in a run's folder, and back from the folder. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BinceError } from '../../errors.js';
import { constant, cosine, exponential, linearWarmup, product, type Schedule } from '../../optim/index.js';
import { manualSeed } from '../../tensor/index.js';
import {
  type BatchSource,
  readRun,
  Trainer,
  type TrainerOptions,
  type TrainSummary,
  type TrainTask,
} from '../../train/index.js';
import { Compressor } from './compressor.js';
import { type ExperimentConfig, resolveConfig } from './config.js';
import type { ExampleShape } from './networks.js';
import { type ExampleBatch, makeTask } from './objectives.js';
import { openTrainingData, type TrainingData } from './sources.js';

export interface Experiment {
  readonly config: ExperimentConfig;
  /** Of one example. */
  readonly shape: ExampleShape;
  readonly model: Compressor;
  readonly task: TrainTask<ExampleBatch>;
  readonly source: BatchSource<ExampleBatch>;
  readonly data: TrainingData;
  /** What the trainer is told besides. */
  readonly trainer: Pick<TrainerOptions, 'steps' | 'schedule' | 'clipGradNorm' | 'seed'>;
  dispose(): void;
}

/** Opens the data, unless they are given, and makes the model as the seed says. */
export async function createExperiment(given: ExperimentConfig, opened?: TrainingData): Promise<Experiment> {
  const data = opened ?? (await openTrainingData(given));
  const config = { ...given, shape: [...data.shape] };
  manualSeed(config.seed);
  const model = new Compressor(config, data.shape);
  const task = makeTask(config, model, data.shape);
  const steps = config.steps || config.epochs * data.source.batchesPerEpoch;
  const { optimizers } = task;
  return {
    ...{ config, shape: data.shape, model, task, source: data.source, data },
    trainer: {
      steps,
      schedule: scheduleOf(config, steps),
      seed: config.seed,
      ...(config.clipGradNorm > 0 && { clipGradNorm: config.clipGradNorm }),
    },
    dispose() {
      model.dispose();
      for (const optimizer of Object.values(optimizers)) optimizer.dispose();
    },
  };
}

function scheduleOf(config: ExperimentConfig, steps: number): Schedule {
  const final = 1 / config.lrDecay;
  const fall = config.schedule === 'cosine' ? cosine({ steps, final }) : exponential({ steps, final });
  const rise = Math.round(config.warmup * steps);
  return product(rise > 0 ? linearWarmup(rise) : constant(), fall);
}

export type TrainRunOptions = Pick<
  TrainerOptions,
  'out' | 'resume' | 'signal' | 'progress' | 'callbacks' | 'checkpointEvery' | 'logEvery'
> & { readonly data?: TrainingData };

/** Trains what a configuration says, in a run's folder if one is named. */
export async function trainRun(
  config: ExperimentConfig,
  options: TrainRunOptions = {},
): Promise<TrainSummary> {
  const { data, ...rest } = options;
  const experiment = await createExperiment(config, data);
  try {
    const trainer = new Trainer(experiment.task, experiment.source, {
      ...experiment.trainer,
      ...rest,
      config: experiment.config,
    });
    return await trainer.fit();
  } finally {
    experiment.dispose();
  }
}

/** A trained model with its configuration. */
export interface Run {
  readonly folder: string;
  readonly config: ExperimentConfig;
  readonly shape: ExampleShape;
  readonly model: Compressor;
  /** Steps that the model was trained for. */
  readonly step: number;
  dispose(): void;
}

/**
 * The model of a run, named by its folder or by the model.safetensors in it, in evaluation mode. Throws BINCE_NOT_FOUND
 * and BINCE_CORRUPT_DATA.
 */
export async function openRun(path: string): Promise<Run> {
  const saved = await readRun(path);
  const folder = (await stat(path)).isDirectory() ? path : dirname(path);
  const config = resolveConfig(saved.config as Partial<ExperimentConfig>);
  const weights = saved.modules['model'];
  if (!weights) throw new BinceError('BINCE_CORRUPT_DATA', `${folder}: the run has no weights of a model`);
  const { shape } = config;
  const model = new Compressor(config, shape);
  model.loadStateDict(weights, {});
  model.eval();
  return { folder, config, shape, model, step: saved.step, dispose: () => model.dispose() };
}
