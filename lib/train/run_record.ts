/** What a trainer writes into its run folder while it runs; without a folder, nothing. */
import { join } from 'node:path';
import { MetricsLog } from '../report/metrics_log.js';
import { EventWriter } from '../report/tensorboard.js';
import { type CheckpointPart, writeCheckpoint } from './checkpoint.js';
import { metricsFile, summaryFile, writeJson } from './run_folder.js';
import type { TrainSummary } from './task.js';

/** The numbers of one step or one evaluation. */
export interface Line {
  readonly step: number;
  /** With a fraction within an epoch. */
  readonly epoch: number;
  readonly seconds: number;
  readonly values: Readonly<Record<string, number>>;
}

/** metrics.jsonl, TensorBoard's events, checkpoints and summary.json of a run. */
export class RunRecord {
  readonly folder: string;
  readonly #metrics: MetricsLog;
  readonly #events: EventWriter;

  /** Goes on after `step`: what was logged of later steps is cut off. */
  constructor(folder: string, step: number) {
    this.folder = folder;
    this.#metrics = MetricsLog.resume(join(folder, metricsFile), step);
    this.#events = new EventWriter(folder, step > 0 ? { resumeStep: step } : {});
  }

  log({ step, epoch, seconds, values }: Line): void {
    this.#metrics.append({ step, epoch, seconds, ...values });
    this.#events.scalars(step, values);
  }

  /** Replaces the checkpoint; the metrics up to it are on the disk before. */
  async checkpoint(model: CheckpointPart, optimizer: CheckpointPart): Promise<void> {
    this.#metrics.flush();
    this.#events.flush();
    await writeCheckpoint(this.folder, model, optimizer);
  }

  async summary(summary: TrainSummary): Promise<void> {
    await writeJson(join(this.folder, summaryFile), summary);
  }

  close(): void {
    this.#metrics.close();
    this.#events.close();
  }
}
