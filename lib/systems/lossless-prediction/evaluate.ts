/**
 * What a trained compressor costs and what it has kept.
 *
 * The test set goes through encoder and coder into a file; everything said of the test set is measured on what the file
 * gives back. Probes are trained on the codes of training examples, augmented anew a few times.
 */
import { join } from 'node:path';
import { type ImageDataset, openDataset } from '../../data/index.js';
import {
  continuousRateInvariance,
  differentialEntropy,
  discreteRateInvariance,
  type LabelledFeatures,
  labelEntropy,
  type RateInvariance,
  sharedCodes,
  trainProbe,
} from '../../metrics/index.js';
import { writeJson } from '../../train/index.js';
import { bananaBatch, maximalInvariant } from './banana.js';
import { codecOf } from './codec_model.js';
import { decodeLatents, type Encoded, type ExampleReader, encodeExamples, throughFile } from './encode.js';
import { makeClassifier } from './networks.js';
import { losslessNumbers } from './pixels.js';
import type { Run } from './run.js';
import { kProbeSeed, kTestSeed, originalSteps, testSteps, viewsOf } from './views.js';

export interface Evaluation {
  readonly system: string;
  readonly data: string;
  /** Test examples. */
  readonly examples: number;
  /** 8 bits a pixel, or 32 a number. */
  readonly rawBits: number;
  /**
   * A file an image of the augmented test set, bytes rounded, headers and all; the mean of a sample. Of what needs
   * `sharp` (WebP, PNG of colour) absent where that is not installed.
   */
  readonly pngBits?: number;
  readonly webpBits?: number;
  /** Cross-entropy of the rounded codes under the model, bits an example. */
  readonly modelBits: number;
  /** 8 times the bytes of the file, an example. */
  readonly fileBits: number;
  readonly fileBytes: number;
  /** Distinct codes of the test examples. */
  readonly distinctCodes: number;
  /** As the training measures it, for what the file gives back. */
  readonly distortion?: number;
  /** Mean squared error a value: of vectors and of images' pixels from 0 to 1. */
  readonly meanSquaredError?: number;
  /** Accuracies on the test set, of classifiers on the codes of the training set. */
  readonly linearProbe?: number;
  readonly mlpProbe?: number;
  /** Of a convolutional classifier that learned on reconstructions. */
  readonly reconstructionAccuracy?: number;
  /** Share of the test examples whose code is shared with an example of another label. */
  readonly excessBayesRisk?: number;
  readonly rateInvariance?: RateInvariance;
  readonly seconds: number;
}

export interface EvaluateOptions {
  /** Which draw of the test images' augmentations. Default 0. */
  readonly draw?: number;
  /** Test examples, at most; default all (banana: 2^18). */
  readonly examples?: number;
  /** Training examples for the probes, at most; default all. */
  readonly probeExamples?: number;
  /** Times the training examples are augmented anew for the probes. Default 2. */
  readonly probeViews?: number;
  /** Passes of the probes over them. Default 10. */
  readonly probeEpochs?: number;
  /** Whether a classifier is trained on reconstructions, which takes longer than all else. Default true. */
  readonly reconstructions?: boolean;
  /** Whether an MLP is trained besides the linear probe. Default true. */
  readonly mlpProbe?: boolean;
  /** Test images that are stored as PNG and WebP too, at most; 0: none. Default 500. */
  readonly losslessImages?: number;
  /** Told what is done. */
  readonly onProgress?: (what: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Evaluates a run, and writes eval.json and test.bince into its folder. */
export async function evaluateRun(run: Run, options: EvaluateOptions = {}): Promise<Evaluation> {
  const started = performance.now();
  const parts =
    run.config.data === 'banana' ? await evaluateBanana(run, options) : await evaluateDataset(run, options);
  const { system, data } = run.config;
  const evaluation: Evaluation = { system, data, ...parts, seconds: (performance.now() - started) / 1000 };
  await writeJson(join(run.folder, 'eval.json'), evaluation);
  return evaluation;
}

type Measured = Omit<Evaluation, 'system' | 'data' | 'seconds'>;

/** Test points of the banana, unless said otherwise. */
const kBananaExamples = 2 ** 18;

interface Coded {
  readonly encoded: Encoded;
  /** What the file gives back. */
  readonly zHat: Float32Array;
  readonly numbers: Pick<Measured, 'examples' | 'modelBits' | 'fileBits' | 'fileBytes' | 'distinctCodes'>;
  readonly symbols: Int32Array;
}

/** Encodes examples, writes them to the run's test file, reads that back. */
async function codeExamples(
  run: Run,
  examples: number,
  read: ExampleReader,
  options: EvaluateOptions,
): Promise<Coded> {
  const { model, shape, folder } = run;
  const encoded = await encodeExamples(model, shape, examples, read, options.signal);
  const codec = await codecOf(run, options.signal);
  const { bytes, zHat } = await throughFile(join(folder, 'test.bince'), codec, encoded.z, options.signal);
  const symbols = distinctNumbers(zHat);
  const { codes } = sharedCodes(symbols, new Int32Array(examples));
  return {
    ...{ encoded, zHat, symbols },
    numbers: {
      ...{ examples, modelBits: encoded.bits, fileBits: (8 * bytes) / examples, fileBytes: bytes },
      distinctCodes: codes,
    },
  };
}

/** Equal values, equal integers: rows of zHat name codes as well as symbols do. */
const distinctNumbers = (zHat: Float32Array): Int32Array =>
  new Int32Array(zHat.buffer, zHat.byteOffset, zHat.length);

async function evaluateBanana(run: Run, options: EvaluateOptions): Promise<Measured> {
  const { config, model } = run;
  const examples = options.examples ?? kBananaExamples;
  const { points, equivalent, representative } = bananaBatch(kTestSeed, 0, examples, config.invariance);
  const inputs = config.system === 'vic' ? equivalent : points;
  const target = config.system === 'vic' ? representative : points;
  options.onProgress?.('coding the test points');
  const read: ExampleReader = (first, count) => inputs.subarray(2 * first, 2 * (first + count));
  const { zHat, numbers } = await codeExamples(run, examples, read, options);
  const measured = { ...numbers, rawBits: 64 };
  if (!model.decoder) return measured;
  const decoded = await decodeLatents(model, zHat, false, options.signal);
  const meanSquaredError = squaredError(decoded, target);
  const M = Float64Array.from({ length: examples }, (_, i) =>
    maximalInvariant(points[2 * i]!, points[2 * i + 1]!, config.invariance),
  );
  return {
    ...measured,
    ...{ meanSquaredError, distortion: meanSquaredError },
    ...(config.system === 'vic' && {
      // The representative moves by as much as M does, so all the error counts as error along M.
      rateInvariance: continuousRateInvariance(
        differentialEntropy(M),
        numbers.modelBits,
        2 * meanSquaredError,
      ),
    }),
  };
}

function squaredError(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum / a.length;
}

async function evaluateDataset(run: Run, options: EvaluateOptions): Promise<Measured> {
  const test = await openDataset(run.config.data, 'test');
  if (test.kind === 'images') return evaluateImages(run, test, options);
  const examples = Math.min(options.examples ?? test.count, test.count);
  const read: ExampleReader = (first, count) =>
    test.vectors.subarray(first * test.channels, (first + count) * test.channels);
  options.onProgress?.('coding the test vectors');
  const { encoded, zHat, numbers } = await codeExamples(run, examples, read, options);
  return {
    ...numbers,
    rawBits: 32 * test.channels,
    ...(run.model.encoder === undefined && { meanSquaredError: squaredError(encoded.z, zHat) }),
  };
}

async function evaluateImages(run: Run, test: ImageDataset, options: EvaluateOptions): Promise<Measured> {
  const { config, model } = run;
  const examples = Math.min(options.examples ?? test.count, test.count);
  const say = options.onProgress ?? (() => undefined);
  say('coding the test images');
  const views = viewsOf(test, testSteps(config), kTestSeed, options.draw ?? 0);
  const { zHat, symbols, numbers } = await codeExamples(run, examples, views, options);
  const measured: Measured = {
    ...numbers,
    rawBits: 8 * test.height * test.width * test.channels,
    ...(await losslessNumbers(config, test, options)),
    ...(await reconstructionNumbers(run, test, zHat, views)),
  };
  if (!test.labels) return measured;
  const labels = test.labels.subarray(0, examples);
  const { excessBayesRisk } = sharedCodes(symbols, labels);
  const rateInvariance = discreteRateInvariance(labelEntropy(labels), numbers.modelBits);
  const train = await openDataset(config.data, 'train');
  if (train.kind !== 'images' || !train.labels) return { ...measured, excessBayesRisk, rateInvariance };
  say('encoding training images for the probes');
  const known = await knownCodes(run, train, options);
  const { classes } = train;
  const probes: { linearProbe?: number; mlpProbe?: number } = {};
  for (const [name, hidden] of [
    ['linearProbe', 0],
    ['mlpProbe', 256],
  ] as const) {
    if (hidden && options.mlpProbe === false) continue;
    say(`training the ${hidden ? 'MLP' : 'linear'} probe`);
    const probe = await trainProbe(known, { ...probeOptions(options), classes, hidden });
    probes[name] = probe.accuracy({ features: zHat, labels });
    probe.dispose();
  }
  const accuracy =
    model.decoder && options.reconstructions !== false
      ? {
          reconstructionAccuracy: await reconstructionAccuracy(
            run,
            known,
            { features: zHat, labels },
            classes,
            options,
          ),
        }
      : {};
  return { ...measured, ...probes, ...accuracy, excessBayesRisk, rateInvariance };
}

const probeOptions = ({ probeEpochs, signal }: EvaluateOptions) => ({
  epochs: probeEpochs ?? 10,
  ...(signal && { signal }),
});

/** Error of the decoded images, by what the training minimises and as squared error. */
async function reconstructionNumbers(
  { config, model }: Run,
  test: ImageDataset,
  zHat: Float32Array,
  views: ExampleReader,
): Promise<Partial<Measured>> {
  if (!model.decoder) return {};
  const decoded = await decodeLatents(model, zHat, config.distortion === 'bce');
  const count = zHat.length / model.latents;
  const target =
    config.system === 'vic'
      ? await viewsOf(test, originalSteps(config), 0n, 0)(0, count)
      : await views(0, count);
  const meanSquaredError = squaredError(decoded, target);
  return { meanSquaredError };
}

/** Codes of training images, augmented anew a few times, with their labels. */
async function knownCodes(
  run: Run,
  train: ImageDataset,
  options: EvaluateOptions,
): Promise<LabelledFeatures> {
  const count = Math.min(options.probeExamples ?? train.count, train.count);
  const views = options.probeViews ?? 2;
  const { latents } = run.model;
  const features = new Float32Array(views * count * latents);
  const labels = new Int32Array(views * count);
  for (let view = 0; view < views; view++) {
    const read = viewsOf(train, testSteps(run.config), kProbeSeed, view);
    const { zHat } = await encodeExamples(run.model, run.shape, count, read, options.signal);
    features.set(zHat, view * count * latents);
    labels.set(train.labels!.subarray(0, count), view * count);
  }
  return { features, labels };
}

/** A convolutional classifier learns on what is decoded from training codes, and is asked about the test's. */
async function reconstructionAccuracy(
  run: Run,
  known: LabelledFeatures,
  test: LabelledFeatures,
  classes: number,
  options: EvaluateOptions,
): Promise<number> {
  options.onProgress?.('training a classifier on reconstructions');
  const decode = (features: Float32Array) =>
    decodeLatents(run.model, features, run.config.distortion === 'bce', options.signal);
  const first = { features: await decode(known.features), labels: known.labels };
  const probe = await trainProbe(first, {
    ...{ classes, epochs: 2, lr: 0.003 },
    network: () => makeClassifier(run.shape, classes),
    ...(options.signal && { signal: options.signal }),
  });
  try {
    return probe.accuracy({ features: await decode(test.features), labels: test.labels });
  } finally {
    probe.dispose();
  }
}
