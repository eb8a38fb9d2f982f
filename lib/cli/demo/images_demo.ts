/**
 * `bince demo`: compressors that keep what later tasks need. Trains VC, VIC and BINCE on augmented MNIST, writes the
 * 10,000 augmented test images with each to a .bince file, and asks a linear classifier what the files have kept;
 * beside PNG, WebP and the pixels.
 */
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { fileError } from '../../codec/file_errors.js';
import { BinceError } from '../../errors.js';
import { ProgressBar } from '../../report/index.js';
import {
  type EvaluateOptions,
  type ExperimentConfig,
  evaluatePixels,
  evaluateRun,
  openRun,
  resolveConfig,
  trainRun,
} from '../../systems/lossless-prediction/index.js';
import { createCommand, type Session, setAction } from '../command.js';
import { type CommonOptions, integer } from '../options.js';
import { PictureFiles } from '../picture_files.js';
import { modelPictures, ratePicture, readPlottedRun } from '../run_plots.js';
import { type ImagesResult, imagesTable, type TrainedRow } from './images_table.js';

interface ImagesOptions extends CommonOptions {
  readonly quick?: boolean;
  readonly epochs?: number;
  readonly seed?: number;
  readonly out?: string;
}

type DemoSystem = TrainedRow['system'];
const kSystems: readonly DemoSystem[] = ['vc', 'vic', 'bince'];

/** Epochs that together take a few minutes on two cores; the other settings are the systems' own. */
const kEpochs: Readonly<Record<DemoSystem, number>> = { vc: 5, vic: 10, bince: 12 };
const kQuickSteps = 40;
const kEvaluation: EvaluateOptions = { mlpProbe: false, reconstructions: false, losslessImages: 0 };
const kQuickEvaluation: EvaluateOptions = {
  ...kEvaluation,
  ...{ examples: 500, probeExamples: 1000, probeViews: 1, probeEpochs: 5 },
};
/** Images among the reconstructions. */
const kPictures = 12;

/** The command under one of its names. */
export function imagesDemo(name: 'demo' | 'images'): Command {
  const line = name === 'demo' ? 'demo' : 'demo images';
  const command = createCommand({
    name,
    summary:
      name === 'demo'
        ? 'train VC, VIC and BINCE on augmented MNIST, compress the test set, tell what was kept (minutes)'
        : 'what `bince demo` does: compressors of augmented MNIST',
    examples: [
      line,
      `${line} --out mnist-demo`,
      `${line} --quick --json`,
      ...(name === 'demo' ? ['demo vectors'] : []),
    ],
  });
  command
    .option('--out <folder>', 'keep the run folders, the .bince files and plots here')
    .option('--epochs <n>', 'passes over the 60,000 training images, of each system', integer(1, 1000))
    .option('--seed <n>', 'seed of weights, batches, augmentations and noise', integer(0, 2 ** 31 - 1))
    .option('--quick', 'a few steps and small probes: shows that everything works, not what it reaches');
  return setAction<ImagesOptions>(command, async (session, options) => {
    const out = options.out === undefined ? undefined : resolve(options.out);
    if (out !== undefined) await checkFolder(out);
    // The kept folder appears whole at the end, by a rename within its file system.
    const parent = out === undefined ? tmpdir() : dirname(out);
    const folder = await mkdtemp(join(parent, out === undefined ? 'bince-demo-' : '.bince-demo-'));
    try {
      const result = await runDemo(folder, options, session);
      if (out !== undefined) {
        await drawRuns(folder, session);
        await rename(folder, out);
      }
      session.signal.throwIfAborted();
      const kept = out === undefined ? {} : { out: options.out! };
      await session.report.result({ event: 'demo', ...result, ...kept }, () =>
        imagesTable({ ...result, ...kept }),
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** Fails before the work where the folder holds something already. */
async function checkFolder(out: string): Promise<void> {
  const names = await readdir(out).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw fileError('write', out, cause);
  });
  if (names.length > 0)
    throw new BinceError('BINCE_INVALID_ARGUMENT', `${out} holds something already (${names[0]})`, {
      hint: 'name another folder with --out',
    });
  await mkdir(dirname(out), { recursive: true }).catch((cause: unknown) => {
    throw fileError('make the folder', dirname(out), cause);
  });
}

function configOf(system: DemoSystem, { quick, epochs, seed }: ImagesOptions): ExperimentConfig {
  const length =
    quick && epochs === undefined ? { steps: kQuickSteps } : { epochs: epochs ?? kEpochs[system] };
  return resolveConfig({ system, data: 'mnist', ...length, ...(seed !== undefined && { seed }) });
}

async function runDemo(folder: string, options: ImagesOptions, session: Session): Promise<ImagesResult> {
  const { signal, report } = session;
  const started = performance.now();
  const evaluation: EvaluateOptions = {
    ...(options.quick ? kQuickEvaluation : kEvaluation),
    ...{ signal, onProgress: (what) => report.note(`demo: ${what}`) },
  };
  // Two views of all pixels would take much memory, and tell a linear classifier no more.
  const pixels = await evaluatePixels(configOf('vc', options), {
    ...evaluation,
    ...{ losslessImages: options.quick ? 50 : 500, probeViews: 1 },
  });
  const systems: TrainedRow[] = [];
  for (const system of kSystems)
    systems.push(await trainSystem(join(folder, system), configOf(system, options), evaluation, session));
  return {
    ...{ pixels, systems, quick: options.quick ?? false },
    seconds: (performance.now() - started) / 1000,
  };
}

async function trainSystem(
  folder: string,
  config: ExperimentConfig,
  evaluation: EvaluateOptions,
  { signal, report }: Session,
): Promise<TrainedRow> {
  const started = performance.now();
  const system = config.system as DemoSystem;
  report.note(`demo: training ${system}`);
  await trainRun(config, {
    ...{ out: folder, signal },
    progress: (total) =>
      new ProgressBar({ label: `training ${system}`, total, unit: 'steps', quiet: report.quiet }),
  });
  const trainSeconds = (performance.now() - started) / 1000;
  const run = await openRun(folder);
  try {
    const { examples, modelBits, fileBits, fileBytes, linearProbe } = await evaluateRun(run, evaluation);
    return { system, examples, modelBits, fileBits, fileBytes, linearProbe: linearProbe!, trainSeconds };
  } finally {
    run.dispose();
  }
}

/** Reconstructions of the systems that have them, and rate against accuracy of all. */
async function drawRuns(folder: string, session: Session): Promise<void> {
  session.report.note('demo: drawing');
  const files = new PictureFiles(session);
  const runs = [];
  for (const system of kSystems) {
    session.signal.throwIfAborted();
    const run = await readPlottedRun(join(folder, system));
    const pictures = await modelPictures(run, kPictures);
    await files.write(
      join(folder, 'plots'),
      pictures.map(({ name, drawing }) => ({ name: `${system}-${name}`, drawing })),
    );
    runs.push(run);
  }
  const rate = ratePicture(runs);
  if (rate) await files.write(join(folder, 'plots'), [rate]);
}
