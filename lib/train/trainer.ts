/** The training loop: steps, schedules, logs, checkpoints, and the ways in which it ends. */
import { setImmediate } from 'node:timers/promises';
import { BinceError } from '../errors.js';
import { gradNorm, type Optimizer } from '../optim/index.js';
import {
  defaultGenerator,
  Generator,
  type GeneratorState,
  memory,
  noGrad,
  scope,
  type Tensor,
} from '../tensor/index.js';
import { disposeBatch } from './batch_arrays.js';
import type { CheckpointPart, TrainState } from './checkpoint.js';
import { explainNonFinite } from './non_finite.js';
import { checkOptions, readLoss, readMetrics } from './options.js';
import { beginRun, checkSameConfig, joinStates, parseJson, resumeRun, splitStates } from './run_folder.js';
import { lockRun, type RunLock } from './run_lock.js';
import { RunRecord } from './run_record.js';
import type {
  BatchSource,
  StepPosition,
  TrainCallbacks,
  TrainerOptions,
  TrainProgress,
  TrainSummary,
  TrainTask,
} from './task.js';

/** The event loop gets its turn when this long has passed since the last one. */
const kTurnMs = 2;
/** Within a long epoch a checkpoint is written this often, besides those that are asked for. */
const kCheckpointMs = 120_000;
const kLogEvery = 50;
/** What stands before the names of an evaluation's numbers in the logs. */
const kEvaluation = 'evaluation/';

interface StepResult {
  readonly loss: number;
  readonly gradientNorm: number | undefined;
  readonly metrics: Readonly<Record<string, number>> | undefined;
}

/** Where the run is, as it changes. */
type Place = { -readonly [K in keyof Omit<TrainState, 'training' | 'generator'>]: TrainState[K] };

/**
 * Trains a task on batches. The run it writes can be stopped at any time, also by a kill, and goes on from its last
 * checkpoint to the same numbers bit for bit: weights, moments and random state are saved, and sources give the same
 * batches again.
 *
 *     const trainer = new Trainer(task, source, { epochs: 10, out: 'runs/first', config, seed: 1 });
 *     const summary = await trainer.fit();
 */
export class Trainer<Batch> {
  readonly #task: TrainTask<Batch>;
  readonly #source: BatchSource<Batch>;
  readonly #options: TrainerOptions;
  readonly #callbacks: readonly TrainCallbacks[];
  readonly #steps: number;
  readonly #optimizers: readonly (readonly [string, Optimizer])[];
  readonly #parameters: readonly Tensor[];
  #state: Place = { step: 0, epoch: 0, position: 0, finished: false, seconds: 0, last: {} };
  /** Generator state that belongs to `#state`. */
  #random: GeneratorState = defaultGenerator.state();
  #resumedFrom = 0;
  #began = 0;
  #turn = 0;
  /** When the last checkpoint was written. */
  #saved = 0;
  #record: RunRecord | undefined;
  #lock: RunLock | undefined;
  #progress: TrainProgress | undefined;
  #used = false;

  constructor(task: TrainTask<Batch>, source: BatchSource<Batch>, options: TrainerOptions) {
    this.#task = task;
    this.#source = source;
    this.#options = options;
    this.#callbacks = [options.callbacks ?? []].flat();
    this.#steps = checkOptions(task, source, options);
    this.#optimizers = Object.entries(task.optimizers);
    this.#parameters = this.#optimizers.flatMap(([, { groups }]) => groups.flatMap(({ params }) => params));
  }

  /**
   * Trains to the end, once. Rejects with the signal's reason after a stop (a checkpoint is written before) and with a
   * BinceError that names step and layer where the loss is not finite.
   */
  async fit(): Promise<TrainSummary> {
    if (this.#used)
      throw new BinceError('BINCE_INVALID_ARGUMENT', 'this trainer has been used; make another one');
    this.#used = true;
    const { signal, progress } = this.#options;
    signal?.throwIfAborted();
    try {
      await this.#open();
      this.#progress = progress?.(this.#steps, this.#state.step);
      await this.#train();
      const summary = this.#summary();
      await this.#record?.summary(summary);
      for (const { onFinish } of this.#callbacks) await onFinish?.(summary);
      return summary;
    } finally {
      this.#progress?.end();
      this.#record?.close();
      await this.#lock?.release();
    }
  }

  /** Begins the run, or goes back to its last checkpoint. */
  async #open(): Promise<void> {
    const { out, resume, seed, config = {} } = this.#options;
    if (out !== undefined) this.#lock = await lockRun(out, resume ?? false);
    const found = out !== undefined && resume ? await resumeRun(out, config) : undefined;
    if (out !== undefined && !resume) await beginRun(out, config);
    // Not the seed itself: weights that were drawn with it would come again as noise.
    if (seed !== undefined) defaultGenerator.seed(new Generator(seed).nextSeed());
    if (found) this.#restore(out!, found.model, found.optimizer);
    for (const [, optimizer] of this.#optimizers) optimizer.zeroGrad();
    this.#random = defaultGenerator.state();
    this.#resumedFrom = this.#state.step;
    this.#began = performance.now() - 1000 * this.#state.seconds;
    this.#saved = performance.now();
    if (out !== undefined) this.#record = new RunRecord(out, this.#state.step);
  }

  /** What the numbers of the run depend on, besides the configuration of its task. */
  get #training(): Record<string, unknown> {
    const { clipGradNorm, seed } = this.#options;
    const { batchesPerEpoch } = this.#source;
    return { steps: this.#steps, batchesPerEpoch, clipGradNorm: clipGradNorm ?? null, seed: seed ?? null };
  }

  #restore(folder: string, model: CheckpointPart, optimizer: CheckpointPart): void {
    const state = parseJson(folder, 'state', optimizer.metadata) as TrainState;
    checkSameConfig(folder, state.training, this.#training);
    const parts = [
      [this.#task.modules, splitStates(folder, model.tensors)],
      [this.#task.optimizers, splitStates(folder, optimizer.tensors)],
    ] as const;
    try {
      for (const [targets, states] of parts)
        for (const [name, target] of Object.entries(targets)) target.loadStateDict(states[name] ?? new Map());
    } catch (cause) {
      if (!(cause instanceof BinceError)) throw cause;
      const hint = 'build the modules and optimisers with the options that the run was begun with';
      const message = `${folder}: the checkpoint does not fit: ${cause.message}`;
      throw new BinceError(cause.code, message, { cause, hint });
    }
    defaultGenerator.setState(state.generator as GeneratorState);
    const { step, epoch, position, finished, seconds, last } = state;
    this.#state = { step, epoch, position, finished, seconds, last };
  }

  async #train(): Promise<void> {
    const { signal } = this.#options;
    while (!this.#state.finished) {
      if (!signal?.aborted && (await this.#trainEpoch()) && (await this.#endEpoch())) continue;
      // Stopped after a step or an epoch, or in the evaluation, which a resumed run begins anew.
      await this.#checkpoint();
      await this.#record?.summary(this.#summary());
      signal?.throwIfAborted();
    }
  }

  /** The steps that are left of the epoch. Returns false where it was stopped. */
  async #trainEpoch(): Promise<boolean> {
    const { batchesPerEpoch } = this.#source;
    const state = this.#state;
    const atEnd = () => state.position >= batchesPerEpoch || state.step >= this.#steps;
    if (atEnd()) return true;
    for (const module of Object.values(this.#task.modules)) module.train();
    for await (const batch of this.#source.epoch(state.epoch, state.position)) {
      const at = this.#position();
      const result = this.#step(batch, at);
      state.step += 1;
      state.position += 1;
      this.#random = defaultGenerator.state();
      await this.#afterStep(at, result);
      if (atEnd()) return true;
      if (this.#isCheckpointDue()) await this.#checkpoint();
      await this.#giveTurn();
      if (this.#options.signal?.aborted) return false;
    }
    throw new BinceError(
      'BINCE_INVALID_VALUE',
      `source: epoch ${state.epoch} ended after ${state.position} of ${batchesPerEpoch} batches`,
    );
  }

  #position(): StepPosition {
    const { step, epoch } = this.#state;
    return { step, epoch, progress: step / this.#steps };
  }

  /** Forward, backward, update. */
  #step(batch: Batch, at: StepPosition): StepResult {
    const done = at.step + 1;
    const { logEvery = kLogEvery } = this.#options;
    const logs = done % logEvery === 0 || done === 1 || done === this.#steps;
    this.#setLearningRates(at.step);
    try {
      return scope(() => {
        const { loss, metrics = {} } = this.#task.step(batch, at);
        const value = readLoss(loss);
        if (!Number.isFinite(value)) throw this.#nonFinite(`the loss is ${value}`, batch, at);
        const read = logs ? readMetrics(metrics) : undefined;
        loss.backward();
        const gradientNorm = this.#update(batch, at);
        return { loss: value, gradientNorm, metrics: read };
      });
    } finally {
      disposeBatch(batch);
    }
  }

  #setLearningRates(step: number): void {
    const { schedule } = this.#options;
    for (const [name, optimizer] of this.#optimizers) {
      const own = typeof schedule === 'function' ? schedule : schedule?.[name];
      optimizer.lrScale = own?.(step) ?? 1;
    }
  }

  /** The optimisers' steps, with gradients scaled down where they are clipped. Returns their norm, if it is needed. */
  #update(batch: Batch, at: StepPosition): number | undefined {
    const limit = this.#options.clipGradNorm;
    const norm = limit === undefined ? undefined : gradNorm(this.#parameters);
    if (norm !== undefined && !Number.isFinite(norm))
      throw this.#nonFinite(`the norm of the gradients is ${norm}`, batch, at);
    const gradScale = norm !== undefined && norm > limit! ? limit! / norm : 1;
    for (const [, optimizer] of this.#optimizers) optimizer.step({ gradScale });
    for (const [, optimizer] of this.#optimizers) optimizer.zeroGrad();
    return norm;
  }

  /** The error for a step whose loss or gradients are not finite; it does the forward pass again to find out where. */
  #nonFinite(what: string, batch: Batch, at: StepPosition): BinceError {
    const { modules } = this.#task;
    const where = explainNonFinite({ modules, batch }, () => {
      defaultGenerator.setState(this.#random);
      return this.#task.step(batch, at);
    });
    const name = `step ${at.step + 1} (epoch ${at.epoch})`;
    return new BinceError('BINCE_INVALID_VALUE', `${name}: ${what}${where ? `; ${where}` : ''}`, {
      hint: 'lower the learning rate, or clip the gradients (clipGradNorm)',
    });
  }

  async #afterStep(at: StepPosition, { loss, gradientNorm, metrics }: StepResult): Promise<void> {
    const state = this.#state;
    if (metrics) {
      state.last = { ...state.last, loss, metrics };
      const norm = gradientNorm === undefined ? {} : { gradientNorm };
      this.#log({ loss, ...metrics, ...norm });
    }
    this.#progress?.update(state.step, { loss, ...state.last.metrics });
    for (const { onStepEnd } of this.#callbacks) await onStepEnd?.({ ...at, loss, gradientNorm, metrics });
  }

  #log(values: Readonly<Record<string, number>>): void {
    const { step, epoch, position } = this.#state;
    const share = position / this.#source.batchesPerEpoch;
    this.#record?.log({ step, epoch: epoch + share, seconds: this.#seconds(), values });
  }

  #seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }

  /** Evaluation and checkpoint. Returns false where it was stopped in the evaluation. */
  async #endEpoch(): Promise<boolean> {
    const state = this.#state;
    const { step, epoch } = state;
    const evaluation = await this.#evaluate();
    if (!evaluation) return false;
    state.last = { ...state.last, evaluation };
    const named = Object.entries(evaluation).map(([name, value]) => [kEvaluation + name, value] as const);
    if (named.length > 0) this.#log(Object.fromEntries(named));
    this.#random = defaultGenerator.state();
    if (state.position >= this.#source.batchesPerEpoch) {
      state.epoch += 1;
      state.position = 0;
    }
    state.finished = state.step >= this.#steps;
    await this.#checkpoint();
    for (const { onEpochEnd } of this.#callbacks) await onEpochEnd?.({ step, epoch, evaluation });
    return true;
  }

  /** The task's evaluation; undefined where it was stopped, and the random state is as before. */
  async #evaluate(): Promise<Readonly<Record<string, number>> | undefined> {
    const { signal } = this.#options;
    for (const module of Object.values(this.#task.modules)) module.eval();
    try {
      const at = { ...this.#position(), signal };
      return (await scope(() => noGrad(() => this.#task.evaluate?.(at)))) ?? {};
    } catch (error) {
      if (!signal?.aborted) throw error;
      defaultGenerator.setState(this.#random);
      return undefined;
    }
  }

  #isCheckpointDue(): boolean {
    const { checkpointEvery } = this.#options;
    if (!this.#record) return false;
    if (checkpointEvery !== undefined && this.#state.step % checkpointEvery === 0) return true;
    return performance.now() - this.#saved > kCheckpointMs;
  }

  async #checkpoint(): Promise<void> {
    if (!this.#record) return;
    const state: TrainState = {
      ...this.#state,
      ...{ seconds: this.#seconds(), generator: this.#random, training: this.#training },
    };
    const metadata = { state: JSON.stringify(state), config: JSON.stringify(this.#options.config ?? {}) };
    await this.#record.checkpoint(
      { tensors: joinStates(this.#task.modules), metadata },
      { tensors: joinStates(this.#task.optimizers), metadata },
    );
    this.#saved = performance.now();
    const { folder } = this.#record;
    for (const { onCheckpoint } of this.#callbacks) await onCheckpoint?.({ step: state.step, folder });
  }

  async #giveTurn(): Promise<void> {
    if (performance.now() - this.#turn < kTurnMs) return;
    await setImmediate();
    this.#turn = performance.now();
  }

  #summary(): TrainSummary {
    const { step, epoch, position, finished, seconds, last } = this.#state;
    const now = this.#seconds();
    const spent = now - seconds;
    return {
      ...{ finished, step, steps: this.#steps, epochs: epoch + position / this.#source.batchesPerEpoch },
      ...{ seconds: now, resumedFrom: this.#resumedFrom },
      stepsPerSecond: spent > 0 ? (step - this.#resumedFrom) / spent : 0,
      parameters: this.#parameters.reduce((sum, { size }) => sum + size, 0),
      ...{ loss: last.loss, metrics: last.metrics ?? {}, evaluation: last.evaluation ?? {} },
      peakBytes: memory().peak,
    };
  }
}
