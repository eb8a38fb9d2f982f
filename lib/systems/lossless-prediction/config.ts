/**
 * The settings of an experiment: plain JSON, saved in the run's folder. Every field has a default that depends on the
 * system and the data; {@link resolveConfig} fills and checks them.
 */
import { type Augmentation, augmentations } from '../../data/index.js';
import { BinceError, invalidArgument } from '../../errors.js';

/**
 * `vc`: reconstructs what it is given. `vic`: is given an augmented example, reconstructs the example itself. `bince`:
 * keeps what tells an example's views from those of others. `bottleneck`: a bottleneck over frozen features.
 */
export type SystemName = 'vc' | 'vic' | 'bince' | 'bottleneck';
export const systemNames: readonly SystemName[] = ['vc', 'vic', 'bince', 'bottleneck'];

/** What leaves a point of the banana equivalent. */
export type Invariance = 'rotation' | 'x' | 'y';
export type NetworkName = 'mlp' | 'cnn' | 'resnet18' | 'none';

export interface ExperimentConfig {
  readonly system: SystemName;
  /** `mnist`, `fashion`, `banana`, or a path: images, or vectors for bince over pairs and for the bottleneck. */
  readonly data: string;
  /** Banana only. */
  readonly invariance: Invariance;
  readonly network: NetworkName;
  /** Width of the hidden layers of MLPs; of the CNN's last. */
  readonly hidden: number;
  /** Channels of the CNN's convolutions. */
  readonly convolutions: readonly number[];
  /** Z, the number of latents. */
  readonly z: number;
  readonly rateModel: 'factorized' | 'hyperprior';
  /** Weight of the rate (in nats) in the loss. */
  readonly beta: number;
  /** Share of the steps over which beta rises linearly from 1e-5 beta; 0: constant. */
  readonly betaWarmup: number;
  /** BINCE: the contrastive loss is divided by this. */
  readonly factor: number;
  /** BINCE: the temperature, at the start or throughout; a learned one is kept >= 0.01. */
  readonly temperature: number;
  readonly learnTemperature: boolean;
  /** BINCE: width of the projector's hidden layer; 0: no projector, the loss compares codes themselves. */
  readonly projector: number;
  /** BINCE: negatives weigh as if a batch held this many examples; 0: as many as it has. */
  readonly effectiveExamples: number;
  /** `bce` and `mse` are summed over an image's pixels; for vectors `mse` is a mean, `l1` a sum over dimensions. */
  readonly distortion: 'bce' | 'mse' | 'l1';
  /** What images are seen through, in training and test: what the code is to be invariant to. */
  readonly augmentation: Augmentation;
  /** Further steps in training alone. */
  readonly trainingSteps: Augmentation;
  /** Whether the encoder begins by normalising an image's pose from its own moments (the step `moments`). */
  readonly pose: boolean;
  /** The share of anisotropy that this removes, drawn from this range in training; its mean otherwise. */
  readonly poseAnisotropy: readonly [number, number];
  readonly epochs: number;
  /** Instead of epochs. */
  readonly steps: number;
  readonly batch: number;
  /** Of the banana. */
  readonly examplesPerEpoch: number;
  readonly lr: number;
  /** Learning rate of the bottleneck and the temperature, in multiples of `lr`. */
  readonly bottleneckLr: number;
  readonly weightDecay: number;
  /** `exponential` falls to lr / lrDecay over the steps; `cosine` does along half a cosine. */
  readonly schedule: 'exponential' | 'cosine';
  readonly lrDecay: number;
  /** Share of the steps over which the learning rate rises. */
  readonly warmup: number;
  readonly clipGradNorm: number;
  /** Of parameters, batches, augmentations and noise. */
  readonly seed: number;
  /** Of one example, [H, W, C] or [D]: noted when the data are opened. */
  readonly shape: readonly number[];
}

type Defaults = Omit<ExperimentConfig, 'system' | 'data'>;

const kShared: Defaults = {
  invariance: 'rotation',
  network: 'mlp',
  hidden: 256,
  convolutions: [],
  z: 2,
  rateModel: 'factorized',
  beta: 0.07,
  betaWarmup: 0.1,
  factor: 1,
  temperature: 0.07,
  learnTemperature: true,
  projector: 128,
  effectiveExamples: 0,
  distortion: 'mse',
  augmentation: [],
  trainingSteps: [],
  pose: false,
  poseAnisotropy: [0.7, 0.7],
  epochs: 0,
  steps: 0,
  batch: 1024,
  examplesPerEpoch: 1_024_000,
  lr: 1e-3,
  bottleneckLr: 1,
  weightDecay: 1e-5,
  schedule: 'exponential',
  lrDecay: 100,
  warmup: 0,
  clipGradNorm: 3,
  seed: 1,
  shape: [],
};

/** The defaults of a system on data, before what is given. */
export function defaultConfig(system: SystemName, data: string): ExperimentConfig {
  if (data === 'banana') {
    return {
      ...kShared,
      ...{ system, data, betaWarmup: 0, weightDecay: 0, lrDecay: 1000, steps: 8000 },
      ...{ lr: 1e-2, bottleneckLr: 3, warmup: 0.05 },
    };
  }
  if (system === 'bottleneck') {
    return {
      ...kShared,
      ...{ system, data, network: 'none', z: 0, beta: 0.05, distortion: 'l1', batch: 256, steps: 2000 },
    };
  }
  const images = {
    ...kShared,
    ...{
      system,
      data,
      network: 'cnn' as const,
      convolutions: [16, 32, 64],
      z: 64,
      distortion: 'bce' as const,
    },
    ...{ augmentation: augmentations.mnist, epochs: 10, batch: 128, factor: 0.003, beta: 0.14 },
    ...{ lr: 3e-3, bottleneckLr: 3, schedule: 'cosine' as const, lrDecay: 1000, warmup: 0.05 },
  };
  if (system === 'vc') return images;
  const invariant = {
    ...images,
    ...{ pose: true, poseAnisotropy: [0.4, 1] as const },
    trainingSteps: [{ elastic: { grid: 5, sigma: 0.1 } }],
  };
  if (system === 'vic') return invariant;
  return { ...invariant, ...{ beta: 0.7, temperature: 0.5, learnTemperature: false } };
}

/** Fills in the defaults and checks every field. Throws BINCE_INVALID_ARGUMENT that names the field. */
export function resolveConfig(given: Readonly<Partial<ExperimentConfig>>): ExperimentConfig {
  const { system, data } = given;
  if (!systemNames.includes(system as SystemName)) invalidArgument('system', systemNames.join(', '), system);
  const defaults = defaultConfig(system as SystemName, data ?? 'mnist');
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(defaults, key))
      throw new BinceError('BINCE_INVALID_ARGUMENT', `config: there is no setting '${key}'`, {
        hint: `settings: ${Object.keys(defaults).join(', ')}`,
      });
  }
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const config: ExperimentConfig = { ...defaults, ...present };
  if (given.epochs !== undefined && given.steps === undefined) (config as { steps: number }).steps = 0;
  if (given.steps !== undefined && given.epochs === undefined) (config as { epochs: number }).epochs = 0;
  checkConfig(config);
  return config;
}

const kNames: { readonly [K in keyof ExperimentConfig]?: readonly string[] } = {
  invariance: ['rotation', 'x', 'y'],
  network: ['mlp', 'cnn', 'resnet18', 'none'],
  rateModel: ['factorized', 'hyperprior'],
  distortion: ['bce', 'mse', 'l1'],
  schedule: ['exponential', 'cosine'],
};

const kCounts = ['hidden', 'batch', 'examplesPerEpoch'] as const;
const kPositive = ['beta', 'factor', 'temperature', 'lr', 'bottleneckLr', 'lrDecay'] as const;
const kNonNegative = ['weightDecay', 'clipGradNorm'] as const;
const kShares = ['betaWarmup', 'warmup'] as const;

function checkConfig(config: ExperimentConfig): void {
  if (typeof config.data !== 'string' || !config.data)
    invalidArgument('data', 'a data set or a path', config.data);
  for (const [name, known] of Object.entries(kNames)) {
    const value = config[name as keyof ExperimentConfig];
    if (!known.includes(value as string)) invalidArgument(name, known.join(', '), value);
  }
  for (const name of kCounts) checkNumber(name, config[name], 1, 2 ** 31, true);
  for (const name of kPositive) checkNumber(name, config[name], Number.MIN_VALUE, 1e12, false);
  for (const name of kNonNegative) checkNumber(name, config[name], 0, 1e12, false);
  for (const name of kShares) checkNumber(name, config[name], 0, 1, false);
  for (const name of ['z', 'projector', 'epochs', 'steps', 'effectiveExamples', 'seed'] as const)
    checkNumber(name, config[name], 0, Number.MAX_SAFE_INTEGER, true);
  if (config.network !== 'none') checkNumber('z', config.z, 1, 65536, true);
  if (!config.epochs === !config.steps)
    throw new BinceError('BINCE_INVALID_ARGUMENT', 'expected epochs or steps, one of the two above 0');
  if (config.batch < 2)
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      'batch: expected at least 2, received 1: batch normalisation and contrastive losses need others beside an example',
    );
  if (!Array.isArray(config.convolutions) || !config.convolutions.every((w) => Number.isInteger(w) && w > 0))
    invalidArgument('convolutions', 'a list of positive integers', config.convolutions);
  if (config.network === 'cnn' && config.convolutions.length === 0)
    invalidArgument('convolutions', 'at least one for a cnn', config.convolutions);
  for (const name of ['augmentation', 'trainingSteps'] as const)
    if (!Array.isArray(config[name])) invalidArgument(name, 'a list of steps', config[name]);
  for (const name of ['pose', 'learnTemperature'] as const)
    if (typeof config[name] !== 'boolean') invalidArgument(name, 'a boolean', config[name]);
  const [least, most] = config.poseAnisotropy;
  if (!(least >= 0 && least <= most && most <= 1))
    invalidArgument('poseAnisotropy', 'two numbers from 0 to 1, rising', config.poseAnisotropy);
}

function checkNumber(name: string, value: number, least: number, most: number, whole: boolean): void {
  if (typeof value !== 'number' || !(value >= least && value <= most) || (whole && !Number.isInteger(value)))
    invalidArgument(name, `${whole ? 'an integer' : 'a number'} from ${least} to ${most}`, value);
}
