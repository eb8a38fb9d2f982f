/** `bince fit`: a model from vectors. */
import { Argument, type Command, Option } from 'commander';
import { saveModel } from '../codec/index.js';
import { openVectors, type VectorFile } from '../data/index.js';
import { type FitReport, type FittedModel, fitBottleneck, fitEcsq } from '../fit/index.js';
import { ProgressBar } from '../report/progress_bar.js';
import { createCommand, type Session, setAction } from './command.js';
import { deviceOption, takeTrainingDevice } from './device_option.js';
import { usageError } from './failures.js';
import { checkOutput } from './files.js';
import { fitPairs } from './fit_pairs.js';
import { type CommonOptions, integer, positiveNumber } from './options.js';
import { count, duration, fields, plural, significant } from './terminal.js';

interface FitOptions extends CommonOptions {
  readonly output: string;
  readonly method?: 'ecsq' | 'bottleneck';
  readonly bits?: number;
  readonly step?: number;
  readonly beta?: number;
  readonly distortion?: 'l1' | 'mse';
  readonly steps?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly seed?: number;
  readonly sample?: number;
  readonly name?: string;
  readonly tensor?: string;
  readonly pairs?: string;
  readonly z?: number;
  readonly hidden?: number;
  readonly device?: string;
}

export function fitCommand(): Command {
  const command = createCommand({
    name: 'fit',
    summary: 'make a model from vectors: how fine to quantise, and which values are how likely',
    examples: [
      'fit embeddings.npy -o model.safetensors --bits 1000',
      'fit embeddings.npy -o model.safetensors --step 0.05',
      'fit features.fvecs -o model.safetensors --method bottleneck --beta 0.05',
      'fit views.npy --pairs other-views.npy -o run/',
    ],
  });
  command
    .addArgument(new Argument('<vectors>', 'one vector a row: .npy (f4, f2, f8), .safetensors or .fvecs'))
    .requiredOption('-o, --output <file>', 'the model, .safetensors; with --pairs a run folder')
    .addOption(
      new Option(
        '--method <name>',
        'ecsq: quantise and count; bottleneck: train (default: ecsq, with --beta bottleneck)',
      ).choices(['ecsq', 'bottleneck']),
    )
    .addOption(
      new Option('--bits <b>', 'aim at this many bits a row (default: 2 a channel)')
        .argParser(positiveNumber)
        .conflicts(['step', 'beta']),
    )
    .addOption(
      new Option('--step <s>', 'ecsq: one quantisation step for all channels')
        .argParser(positiveNumber)
        .conflicts(['bits', 'beta']),
    )
    .addOption(
      new Option('--beta <b>', 'bottleneck: what a nat of rate is worth, in distortion of a row')
        .argParser(positiveNumber)
        .conflicts(['bits', 'step']),
    )
    .option('--sample <MiB>', 'memory for rows; larger files are sampled (default: 256)', integer(1, 1 << 20))
    .option('--name <name>', 'name of the model')
    .option('--tensor <name>', 'which tensor of a .safetensors file')
    .addOption(deviceOption());
  command.optionsGroup('Training options (bottleneck):');
  command
    .addOption(new Option('--distortion <kind>', 'what to keep small (default: mse)').choices(['l1', 'mse']))
    .option('--steps <n>', 'training steps (default: 1000)', integer(1, 10_000_000))
    .option('--batch <n>', 'rows of a step (default: 256)', integer(1, 1 << 20))
    .option('--lr <rate>', 'learning rate at the start (default: 0.02; pairs: 0.001)', positiveNumber)
    .option('--seed <n>', 'seed of batches and noise (default: 1)', integer(0, 2 ** 31 - 1));
  command.optionsGroup('Pairs (BINCE: keeps what both views of a thing have in common):');
  command
    .option('--pairs <file>', 'second views: row i of both files are two views of one thing')
    .option('--z <n>', 'latents of a code (default: 32)', integer(1, 65536))
    .option('--hidden <n>', 'width of the hidden layers (default: 256)', integer(1, 65536));
  return setAction<FitOptions>(command, async (session, options, [path]) => {
    takeTrainingDevice(options.device, session.report);
    if (options.pairs !== undefined)
      return await fitPairs(path!, { ...options, pairs: options.pairs }, session);
    const method = chooseMethod(options);
    await checkOutput(options.output, path!);
    const started = performance.now();
    const vectors = await openVectors(path!, options);
    try {
      const fitted = await fitModel(vectors, method, options, session);
      session.signal.throwIfAborted();
      await saveModel(options.output, fitted.model);
      await reportFit(fitted, options.output, (performance.now() - started) / 1000, session);
    } finally {
      await vectors.close();
    }
  });
}

/** Which method the options ask for; a usage error where they do not go together. */
function chooseMethod(options: FitOptions): 'ecsq' | 'bottleneck' {
  for (const name of ['z', 'hidden'] as const)
    if (options[name] !== undefined)
      usageError(`--${name} goes with --pairs`, 'add --pairs FILE, or leave it out');
  const method = options.method ?? (options.beta === undefined ? 'ecsq' : 'bottleneck');
  if (method === 'bottleneck' && options.step !== undefined)
    usageError('--step is an option of --method ecsq', 'a bottleneck learns its steps; say --bits or --beta');
  if (method === 'ecsq') {
    for (const name of ['beta', 'distortion', 'steps', 'batch', 'lr', 'seed'] as const)
      if (options[name] !== undefined)
        usageError(`--${name} is an option of --method bottleneck`, `add --method bottleneck`);
  }
  return method;
}

async function fitModel(
  vectors: VectorFile,
  method: 'ecsq' | 'bottleneck',
  options: FitOptions,
  { signal, report }: Session,
): Promise<FittedModel> {
  const { bits, name } = options;
  const sampleBytes = options.sample === undefined ? undefined : options.sample * 2 ** 20;
  if (method === 'ecsq') {
    const progress = new ProgressBar({ label: 'fitting', total: 1, unit: 'model', quiet: report.quiet });
    progress.update(0, 'searching the step');
    return fitEcsq(vectors, { bits, step: options.step, name, sampleBytes, signal }).finally(() =>
      progress.end(),
    );
  }
  const { beta, distortion, steps, batch, lr, seed } = options;
  let progress: ProgressBar | undefined;
  return fitBottleneck(vectors, {
    ...{ bits, beta, distortion, steps, batch, lr, seed, name, sampleBytes, signal },
    onProgress: ({ step, steps: total, bitsPerRow }) => {
      progress ??= new ProgressBar({ label: 'training', total: total, unit: 'steps', quiet: report.quiet });
      progress.update(step, `${significant(bitsPerRow)} bits a row`);
    },
  }).finally(() => progress?.end());
}

async function reportFit(
  { model, report }: FittedModel<FitReport>,
  output: string,
  seconds: number,
  session: Session,
): Promise<void> {
  if (report.rowsUsed < report.rows)
    session.report.note(`used ${count(report.rowsUsed)} of ${count(report.rows)} rows; --sample raises this`);
  const { method, channels, bitsPerRow, meanSquaredError, signalToNoise } = report;
  await session.report.result({ event: 'fitted', model: output, name: model.name, ...report, seconds }, () =>
    fields([
      ['model', `${output} (${method}, ${plural(channels, 'channel')})`],
      ['bits a row', `${significant(bitsPerRow)} (${significant(bitsPerRow / channels)} a channel)`],
      ['error', describeError(meanSquaredError, signalToNoise)],
      ['rows used', `${count(report.rowsUsed)} of ${count(report.rows)}`],
      ['time', duration(seconds)],
    ]),
  );
}

function describeError(meanSquaredError: number, signalToNoise: number): string {
  if (meanSquaredError === 0) return 'none: the rows come back as they are';
  return `${significant(meanSquaredError)} mean square, ${significant(signalToNoise)} dB below the signal`;
}
