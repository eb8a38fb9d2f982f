/** `bince fit X --pairs Y`: BINCE on pairs of vectors that are given, into a run folder. */
import { openDataset, openVectors, type VectorDataset, vectorDataset } from '../data/index.js';
import { BinceError } from '../errors.js';
import { ProgressBar } from '../report/index.js';
import {
  codecOf,
  type ExperimentConfig,
  openRun,
  resolveConfig,
  trainingDataOf,
  trainRun,
} from '../systems/lossless-prediction/index.js';
import type { Session } from './command.js';
import { usageError } from './failures.js';
import { duration, fields, plural, significant } from './terminal.js';

export interface FitPairsOptions {
  readonly pairs: string;
  readonly output: string;
  readonly z?: number;
  readonly hidden?: number;
  readonly beta?: number;
  readonly steps?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly seed?: number;
}

/** Options of `fit` that mean nothing here. */
const kOthers = ['method', 'bits', 'step', 'distortion', 'sample', 'name', 'tensor'] as const;

/** What an MLP over vectors is trained with, unless said otherwise. */
const kSettings: Partial<ExperimentConfig> = {
  ...{ network: 'mlp', convolutions: [], z: 32, hidden: 256, distortion: 'mse', factor: 1, beta: 0.1 },
  ...{ augmentation: [], trainingSteps: [], pose: false, temperature: 0.1, learnTemperature: false },
  ...{ steps: 2000, batch: 256, lr: 1e-3 },
};

export async function fitPairs(path: string, options: FitPairsOptions, session: Session): Promise<void> {
  const { output, z, hidden, beta, steps, batch, lr, seed } = options;
  for (const name of kOthers)
    if (Object.hasOwn(options, name))
      usageError(
        `--${name} does not go with --pairs`,
        'leave it out; BINCE is trained with --z, --beta, --steps',
      );
  if (batch === 1)
    usageError('--batch 1: a pair is told from others in its batch', 'at least 2 pairs a batch');
  const { signal, report } = session;
  const started = performance.now();
  const dataset = await readPairs(path, options.pairs, signal);
  const given = Object.fromEntries(
    Object.entries({ z, hidden, beta, steps, batch, lr, seed }).filter(([, value]) => value !== undefined),
  );
  const config = resolveConfig({ system: 'bince', data: path, ...kSettings, ...given });
  report.note(`training bince on ${plural(dataset.count, 'pair')} of ${plural(dataset.channels, 'channel')}`);
  const summary = await trainRun(config, {
    ...{ out: output, signal, data: trainingDataOf(config, dataset) },
    progress: (total) => new ProgressBar({ label: 'training', total, unit: 'steps', quiet: report.quiet }),
  });
  const run = await openRun(output);
  try {
    // Made now, while the vectors are there whose symbols it counts.
    await codecOf(run, signal);
  } finally {
    run.dispose();
  }
  const { loss, metrics } = summary;
  const seconds = (performance.now() - started) / 1000;
  const result = { event: 'fitted', run: output, pairs: dataset.count, loss, ...metrics, seconds };
  await report.result(result, () =>
    fields([
      ['run', `${output} (bince, ${plural(dataset.count, 'pair')}, ${plural(config.z, 'latent')})`],
      ['bits a row', `${significant(metrics['bits']!)} in the last step`],
      ['contrastive loss', `${significant(metrics['contrastive']!)} nats`],
      ['time', duration(seconds)],
      ['next', `bince compress ${path} -m ${output} -o codes.bince`],
    ]),
  );
}

/** Both files in memory. Throws where they do not belong together. */
async function readPairs(path: string, pairsPath: string, signal: AbortSignal): Promise<VectorDataset> {
  const dataset = await openDataset(path, 'train', { signal });
  if (dataset.kind !== 'vectors')
    throw new BinceError('BINCE_UNSUPPORTED', `${path}: images, expected rows of numbers`, {
      hint: 'views of images are drawn anew in training: bince train bince --data FILE',
    });
  const { count, channels, vectors } = dataset;
  const file = await openVectors(pairsPath);
  try {
    if (file.channels !== channels || file.rows !== count)
      throw new BinceError(
        'BINCE_INVALID_VALUE',
        `${pairsPath} has ${plural(file.rows, 'row')} of ${plural(file.channels, 'channel')}, ${path} has ${plural(count, 'row')} of ${channels}`,
        { hint: 'row i of the one and row i of the other are two views of one thing' },
      );
    if (count < 2)
      throw new BinceError('BINCE_INVALID_VALUE', `${path}: one pair, expected at least 2`, {
        hint: 'BINCE learns what tells a pair from the others',
      });
    const pairs = new Float32Array(vectors.length);
    let at = 0;
    for await (const batch of file.batches({ signal })) {
      pairs.set(batch, at);
      at += batch.length;
    }
    return vectorDataset({ name: path, vectors, channels, pairs });
  } finally {
    await file.close();
  }
}
