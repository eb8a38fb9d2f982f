/** `bince train`: a compressor from images, points or features, into a run folder. */
import { readFile } from 'node:fs/promises';
import { Argument, type Command, Option } from 'commander';
import { fileError } from '../codec/file_errors.js';
import { BinceError } from '../errors.js';
import { ProgressBar } from '../report/index.js';
import {
  type ExperimentConfig,
  resolveConfig,
  systemNames,
  trainRun,
} from '../systems/lossless-prediction/index.js';
import { readConfig, type TrainSummary } from '../train/index.js';
import { createCommand, type Session, setAction } from './command.js';
import { deviceOption, takeTrainingDevice } from './device_option.js';
import { usageError } from './failures.js';
import { type CommonOptions, integer, positiveNumber } from './options.js';
import { bytes, count, duration, fields, plural, significant } from './terminal.js';

interface TrainOptions extends CommonOptions {
  readonly out?: string;
  readonly config?: string;
  readonly resume?: boolean;
  readonly device?: string;
}

/** Options that are settings of the experiment, by the names of their settings. */
const settingNames = [
  ...['data', 'beta', 'epochs', 'steps', 'batch', 'lr', 'seed'],
  ...['network', 'hidden', 'z', 'invariance', 'rateModel'],
] as const;

export function trainCommand(): Command {
  const command = createCommand({
    name: 'train',
    summary: 'train a compressor that keeps what later tasks need',
    examples: [
      'train bince --data mnist',
      'train vic --data banana --beta 0.07 --out runs/banana',
      'train vic --data fashion --epochs 20 --config settings.json',
      'train --resume --out runs/banana',
    ],
  });
  command.addArgument(
    new Argument(
      '[system]',
      'vc: reconstructs; vic: reconstructs without the augmentation; bince: contrastive; bottleneck: of frozen features',
    ).choices(systemNames),
  );
  command
    .option('-o, --out <folder>', 'the run folder (default: runs/<system>-<data>)')
    .option('--resume', 'go on with the run in the folder, to the same numbers')
    .option('--config <file>', 'settings as JSON, as a config.json of a run; flags outdo it')
    .addOption(deviceOption());
  command.optionsGroup('Settings (also from the environment: BINCE_BETA=0.1 ...):');
  const setting = (flags: string, text: string, parse?: (text: string) => unknown) => {
    const option = new Option(flags, text);
    if (parse) option.argParser(parse);
    return option.env(`BINCE_${option.name().replaceAll('-', '_').toUpperCase()}`);
  };
  const settings = [
    setting('--data <name>', 'mnist, fashion, banana, or a file or folder (default: mnist)'),
    setting('--beta <b>', 'what a nat of rate is worth, in distortion', positiveNumber),
    setting('--epochs <n>', 'how often all data is seen', integer(1, 1_000_000)),
    setting('--steps <n>', 'training steps, instead of epochs', integer(1, 1_000_000_000)),
    setting('--batch <n>', 'examples of a step', integer(2, 1 << 20)),
    setting('--lr <rate>', 'learning rate at its highest', positiveNumber),
    setting('--seed <n>', 'seed of weights, batches, augmentations and noise', integer(0, 2 ** 31 - 1)),
    setting('--network <name>', 'mlp, cnn or resnet18'),
    setting('--hidden <n>', 'width of the hidden layers', integer(1, 65536)),
    setting('--z <n>', 'latents of an example', integer(1, 65536)),
    setting('--invariance <name>', 'banana: rotation, x or y'),
    setting('--rate-model <name>', 'factorized or hyperprior'),
  ];
  for (const option of settings) command.addOption(option);
  return setAction<TrainOptions>(command, async (session, options, [system]) => {
    takeTrainingDevice(options.device, session.report);
    const { config, out } = await resolve(command, options, system);
    await train(config, out, options.resume ?? false, session);
  });
}

type Settings = Partial<ExperimentConfig>;

/** Flags before the environment before the config file before, in a resume, what the run has, before the defaults. */
async function resolve(
  command: Command,
  options: TrainOptions,
  system: string | undefined,
): Promise<{ config: ExperimentConfig; out: string }> {
  if (options.resume && !options.out)
    usageError('--resume needs the folder of the run', 'bince train --resume --out runs/NAME');
  const saved = options.resume ? ((await readConfig(options.out!)) as Settings) : {};
  const file = options.config ? await readSettings(options.config) : {};
  const layer = (source: string) => settingsFrom(command, source);
  const named = system === undefined ? {} : { system: system as ExperimentConfig['system'] };
  const { epochs, steps } = layer('cli');
  if (epochs && steps) usageError('--epochs and --steps both say how long to train', 'choose one of them');
  const given = [saved, file, layer('env'), { ...layer('cli'), ...named }].reduce(overlay);
  if (given.system === undefined)
    usageError(`no system is named: one of ${systemNames.join(', ')}`, 'bince train bince --data mnist');
  const config = checkedConfig(given);
  return { config, out: options.out ?? defaultFolder(config) };
}

/** `over` outdoes `under`; epochs and steps stand for one setting. */
function overlay(under: Settings, over: Settings): Settings {
  const { epochs, steps, ...rest } = under;
  const length = over.epochs || over.steps ? {} : { epochs, steps };
  return Object.fromEntries(
    Object.entries({ ...rest, ...length, ...over }).filter(([, value]) => value !== undefined),
  );
}

/** The settings among a command's options that came from `cli` or `env`. */
function settingsFrom(command: Command, source: string): Settings {
  const values = command.opts<Record<string, unknown>>();
  const names = settingNames.filter((name) => command.getOptionValueSource(name) === source);
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}

/** The settings with their defaults; a value that is not possible is a usage error. */
function checkedConfig(given: Settings): ExperimentConfig {
  try {
    return resolveConfig(given);
  } catch (error) {
    if (!(error instanceof BinceError) || error.code !== 'BINCE_INVALID_ARGUMENT') throw error;
    throw new BinceError('BINCE_USAGE', error.message, {
      hint: error.hint ?? 'bince train --help',
      cause: error,
    });
  }
}

async function readSettings(path: string): Promise<Settings> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError('read', path, cause);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BinceError('BINCE_INVALID_VALUE', `${path}: not JSON: ${(cause as Error).message}`, {
      hint: 'settings look like { "system": "vic", "data": "banana", "beta": 0.07 }',
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new BinceError('BINCE_INVALID_VALUE', `${path}: expected a JSON object of settings`);
  return value;
}

function defaultFolder({ system, data }: ExperimentConfig): string {
  const name = data.split(/[\\/]/).filter(Boolean).at(-1) ?? 'data';
  return `runs/${system}-${name.replace(/\.\w+$/, '')}`;
}

async function train(
  config: ExperimentConfig,
  out: string,
  resume: boolean,
  session: Session,
): Promise<void> {
  const { signal, report } = session;
  const goOn = `bince train --resume --out ${shellWord(out)}`;
  report.note(`${resume ? 'going on with' : 'training'} ${config.system} on ${config.data} in ${out}`);
  let saved: number | undefined;
  try {
    const summary = await trainRun(config, {
      ...{ out, resume, signal },
      progress: (total, done) =>
        new ProgressBar({ label: 'training', total, unit: 'steps', done, quiet: report.quiet }),
      callbacks: {
        onCheckpoint: ({ step }) => {
          saved = step;
        },
        onStepEnd: async ({ step, epoch, loss, metrics }) => {
          if (metrics && report.json)
            await report.result({ event: 'step', step: step + 1, epoch, loss, ...metrics }, () => '');
        },
        onEpochEnd: async ({ step, epoch, evaluation }) => {
          if (report.json) await report.result({ event: 'epoch', step, epoch, evaluation }, () => '');
        },
      },
    });
    await reportTraining(summary, out, session);
  } catch (error) {
    if (signal.aborted && saved !== undefined)
      process.stderr.write(`saved at step ${count(saved)}; go on with: ${goOn}\n`);
    throw error;
  }
}

async function reportTraining(summary: TrainSummary, out: string, { report }: Session): Promise<void> {
  const { step, seconds, stepsPerSecond, parameters, loss, metrics, evaluation, peakBytes } = summary;
  await report.result({ event: 'trained', run: out, ...summary }, () =>
    fields([
      ['run', `${out}: ${plural(step, 'step')}, ${plural(parameters, 'parameter')}`],
      ['last step', numbers({ ...(loss === undefined ? {} : { loss }), ...metrics })],
      ...(Object.keys(evaluation).length > 0 ? [['evaluation', numbers(evaluation)] as const] : []),
      ['time', `${duration(seconds)}, ${significant(stepsPerSecond)} steps/s, ${bytes(peakBytes)} at most`],
      ['next', `bince eval ${shellWord(out)}; bince plot ${shellWord(out)}`],
    ]),
  );
}

function numbers(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${significant(value)}`)
    .join(', ');
}

/** A word as a shell takes it. */
function shellWord(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
