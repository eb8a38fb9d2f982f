/** Training: the loop with checkpoints and logs, and the folders of its runs. */
export { BinceError, type BinceErrorCode } from '../errors.js';
export { readConfig, readRun, type SavedRun, writeJson } from './run_folder.js';
export type {
  BatchSource,
  EpochEvent,
  StepEvent,
  StepPosition,
  TrainCallbacks,
  TrainerOptions,
  TrainProgress,
  TrainSummary,
  TrainTask,
} from './task.js';
export { Trainer } from './trainer.js';
