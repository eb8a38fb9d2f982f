/** What a trainer is given: a task, its batches, and who listens. */
import type { Module } from '../nn/module.js';
import type { Optimizer, Schedule } from '../optim/index.js';
import type { Tensor } from '../tensor/index.js';

/** Where a step stands in the run. */
export interface StepPosition {
  /** Steps done before this one. */
  readonly step: number;
  readonly epoch: number;
  /** Share of all steps that are done, 0 to 1. */
  readonly progress: number;
}

/** A loss to minimise, with the modules and optimisers that it is for. */
export interface TrainTask<Batch> {
  /** By name; the names, without dots, stand before those of the weights in a checkpoint. */
  readonly modules: Readonly<Record<string, Module>>;
  readonly optimizers: Readonly<Record<string, Optimizer>>;
  /**
   * The loss of one batch and named numbers to log, as tensors of one element. It runs inside a scope, with the
   * modules in training mode. Random numbers come from the trainer's generator, or a resumed run has other numbers.
   */
  step(
    batch: Batch,
    at: StepPosition,
  ): { readonly loss: Tensor; readonly metrics?: Readonly<Record<string, Tensor>> };
  /**
   * Numbers to log after each epoch, and after the last step. It runs inside a scope, without recording, with the
   * modules in evaluation mode.
   */
  evaluate?(
    at: StepPosition & { readonly signal: AbortSignal | undefined },
  ): Promise<Readonly<Record<string, number>>> | Readonly<Record<string, number>>;
}

/** Batches, the same ones for the same epoch and position: a resumed run asks for the rest of an epoch. */
export interface BatchSource<Batch> {
  readonly batchesPerEpoch: number;
  /** The batches of an epoch from number `from` on. */
  epoch(epoch: number, from: number): AsyncIterable<Batch>;
}

/** After a step. */
export interface StepEvent extends StepPosition {
  readonly loss: number;
  /** Norm of all gradients before they were clipped, where they are clipped. */
  readonly gradientNorm: number | undefined;
  /** The step's metrics, every `logEvery` steps. */
  readonly metrics: Readonly<Record<string, number>> | undefined;
}

/** After the evaluation of an epoch. */
export interface EpochEvent {
  readonly step: number;
  readonly epoch: number;
  readonly evaluation: Readonly<Record<string, number>>;
}

/** Called, and awaited, as the run goes on. */
export interface TrainCallbacks {
  onStepEnd?(event: StepEvent): void | Promise<void>;
  onEpochEnd?(event: EpochEvent): void | Promise<void>;
  onCheckpoint?(event: { readonly step: number; readonly folder: string }): void | Promise<void>;
  onFinish?(summary: TrainSummary): void | Promise<void>;
}

/** Shows how far the run is; `ProgressBar` of bince/report is one. */
export interface TrainProgress {
  update(step: number, numbers: Readonly<Record<string, number>>): void;
  end(): void;
}

export interface TrainerOptions {
  /** How long to train: one of the two. */
  readonly epochs?: number | undefined;
  readonly steps?: number | undefined;
  /** Factor on the learning rates at a step; one for all optimisers or one by name. Default: 1. */
  readonly schedule?: Schedule | Readonly<Record<string, Schedule>> | undefined;
  /** Scales the gradients of a step down to this norm, over all parameters together. */
  readonly clipGradNorm?: number | undefined;
  /** The run folder. Without it nothing is written. */
  readonly out?: string | undefined;
  /** Goes on with the run in the folder, to the same numbers bit for bit. Default: begins one. */
  readonly resume?: boolean | undefined;
  /** Saved as config.json; a resume must name the same one. JSON. */
  readonly config?: unknown;
  /** Steps from one checkpoint to the next, besides those after each epoch. */
  readonly checkpointEvery?: number | undefined;
  /** Steps from one line of metrics to the next. Default 50. */
  readonly logEvery?: number | undefined;
  /** Seeds the generator when a run begins. Default: it is left as it is. */
  readonly seed?: number | undefined;
  readonly callbacks?: TrainCallbacks | readonly TrainCallbacks[] | undefined;
  /** Makes what shows the progress, once it is known how many steps there are and how many are done. */
  readonly progress?: ((total: number, done: number) => TrainProgress) | undefined;
  /** Ends the training after the step that is being done: a checkpoint, then its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** What became of a run; summary.json. */
export interface TrainSummary {
  /** False: it was stopped before its last step. */
  readonly finished: boolean;
  /** Steps done, of how many. */
  readonly step: number;
  readonly steps: number;
  /** Epochs done; a fraction within one. */
  readonly epochs: number;
  /** Seconds of training, over all sessions. */
  readonly seconds: number;
  /** The step that this session began with. */
  readonly resumedFrom: number;
  readonly stepsPerSecond: number;
  /** Trained numbers. */
  readonly parameters: number;
  /** Loss and metrics of the last step that was logged. */
  readonly loss: number | undefined;
  readonly metrics: Readonly<Record<string, number>>;
  /** Numbers of the last evaluation. */
  readonly evaluation: Readonly<Record<string, number>>;
  /** Most bytes that tensors held at a time. */
  readonly peakBytes: number;
}
