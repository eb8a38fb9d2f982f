/**
 * Classifiers on features: what a code has kept of the labels. A linear probe is multinomial logistic regression on
 * standardised features; with `hidden` it is an MLP of one hidden layer.
 */
import { argmax, crossEntropy } from '../autograd/index.js';
import { invalidArgument } from '../errors.js';
import { type Layer, Linear, ReLU, Sequential } from '../nn/index.js';
import { AdamW, cosine } from '../optim/index.js';
import { Generator, noGrad, scope, tensor } from '../tensor/index.js';

/** [N][width] features, row-major, and [N] labels from 0. */
export interface LabelledFeatures {
  readonly features: Float32Array;
  readonly labels: Int32Array;
}

export interface ProbeOptions {
  /** Labels are below this. */
  readonly classes: number;
  /** Width of the hidden layer; 0 (default): none, a linear probe. */
  readonly hidden?: number;
  /** Instead: the classifier itself, from rows [N, width] to logits [N, classes]. */
  readonly network?: () => Layer;
  /** Passes over the examples, default 20. */
  readonly epochs?: number;
  /** Default 512. */
  readonly batch?: number;
  /** Learning rate at the start, default 0.01 (0.002 with a hidden layer); it falls along a cosine to 0. */
  readonly lr?: number;
  readonly weightDecay?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

export interface Probe {
  /** The share of examples whose label is the largest logit's. */
  accuracy(examples: LabelledFeatures): number;
  /** [N] */
  predict(features: Float32Array): Int32Array;
  dispose(): void;
}

/** Trains a probe. Throws for features that do not make rows, and for labels out of range. */
export async function trainProbe(train: LabelledFeatures, options: ProbeOptions): Promise<Probe> {
  const width = checkExamples(train, options.classes);
  const scaling = standardization(train.features, width);
  const standard = standardize(train.features, scaling);
  const generator = new Generator(options.seed ?? 1);
  const hidden = options.hidden ?? 0;
  const network = options.network?.() ?? makeProbe(width, hidden, options.classes, generator);
  const optimizer = new AdamW(network.parameters(), {
    lr: options.lr ?? (hidden ? 0.002 : 0.01),
    weightDecay: options.weightDecay ?? 1e-4,
  });
  const batches = new LabelledBatches(
    standard,
    train.labels,
    Math.min(options.batch ?? 512, train.labels.length),
  );
  const steps = batches.perEpoch * (options.epochs ?? 20);
  const falling = cosine({ steps });
  for (let step = 0; step < steps; step++) {
    const { rows, labels } = batches.next(step, options.seed ?? 1);
    scope(() => {
      const x = tensor(rows, [labels.length, width]);
      crossEntropy(network.forward(x), tensor(labels)).backward();
      optimizer.lrScale = falling(step);
      optimizer.step();
      optimizer.zeroGrad();
    });
    if (step % 64 === 63) {
      await new Promise((resolve) => setImmediate(resolve));
      options.signal?.throwIfAborted();
    }
  }
  optimizer.dispose();
  return new TrainedProbe(network, width, scaling);
}

function makeProbe(width: number, hidden: number, classes: number, generator: Generator): Layer {
  if (!hidden) return new Linear(width, classes, { generator });
  return new Sequential(
    new Linear(width, hidden, { generator }),
    new ReLU(),
    new Linear(hidden, classes, { generator }),
  );
}

interface Scaling {
  readonly mean: Float64Array;
  readonly factor: Float64Array;
}

class TrainedProbe implements Probe {
  readonly #network: Layer;
  readonly #width: number;
  readonly #scaling: Scaling;

  constructor(network: Layer, width: number, scaling: Scaling) {
    this.#network = network;
    this.#width = width;
    this.#scaling = scaling;
  }

  predict(features: Float32Array): Int32Array {
    const rows = features.length / this.#width;
    if (!Number.isInteger(rows)) invalidArgument('features', `a multiple of ${this.#width} values`, features);
    const predicted = new Int32Array(rows);
    const standard = standardize(features, this.#scaling);
    const kRows = 8192;
    for (let first = 0; first < rows; first += kRows) {
      const count = Math.min(kRows, rows - first);
      const part = standard.subarray(first * this.#width, (first + count) * this.#width);
      scope(() =>
        noGrad(() => {
          const logits = this.#network.forward(tensor(part, [count, this.#width]));
          predicted.set(argmax(logits).dataSync() as Int32Array, first);
        }),
      );
    }
    return predicted;
  }

  accuracy({ features, labels }: LabelledFeatures): number {
    const predicted = this.predict(features);
    if (predicted.length !== labels.length) invalidArgument('labels', `${predicted.length} labels`, labels);
    let right = 0;
    for (let i = 0; i < labels.length; i++) if (predicted[i] === labels[i]) right++;
    return right / labels.length;
  }

  dispose(): void {
    this.#network.dispose();
  }
}

function checkExamples({ features, labels }: LabelledFeatures, classes: number): number {
  if (!Number.isInteger(classes) || classes < 2) invalidArgument('classes', 'an integer above 1', classes);
  if (labels.length === 0) invalidArgument('labels', 'at least one', labels);
  if (features.length === 0 || features.length % labels.length !== 0)
    invalidArgument('features', `a positive multiple of ${labels.length} values`, features);
  const bad = labels.findIndex((label) => label < 0 || label >= classes);
  if (bad >= 0) invalidArgument(`labels[${bad}]`, `a class from 0 to ${classes - 1}`, labels[bad]);
  return features.length / labels.length;
}

/** Mean and one over the standard deviation of every column; a constant column counts as nothing. */
function standardization(features: Float32Array, width: number): Scaling {
  const rows = features.length / width;
  const mean = new Float64Array(width);
  const squares = new Float64Array(width);
  for (let i = 0, c = 0; i < features.length; i++, c = c + 1 === width ? 0 : c + 1) mean[c]! += features[i]!;
  for (let c = 0; c < width; c++) mean[c]! /= rows;
  for (let i = 0, c = 0; i < features.length; i++, c = c + 1 === width ? 0 : c + 1)
    squares[c]! += (features[i]! - mean[c]!) ** 2;
  const factor = squares.map((sum) => (sum > 1e-12 * rows ? 1 / Math.sqrt(sum / rows) : 0));
  return { mean, factor };
}

function standardize(features: Float32Array, { mean, factor }: Scaling): Float32Array {
  const width = mean.length;
  const out = new Float32Array(features.length);
  for (let i = 0, c = 0; i < features.length; i++, c = c + 1 === width ? 0 : c + 1)
    out[i] = (features[i]! - mean[c]!) * factor[c]!;
  return out;
}

/** Shuffled batches, a function of the step and the seed alone; the last, shorter one of an epoch is left out. */
class LabelledBatches {
  readonly perEpoch: number;
  readonly #features: Float32Array;
  readonly #labels: Int32Array;
  readonly #batch: number;
  readonly #width: number;
  readonly #order: Int32Array;
  readonly #rows: Float32Array;
  #epoch = -1;

  constructor(features: Float32Array, labels: Int32Array, batch: number) {
    this.#features = features;
    this.#labels = labels;
    this.#batch = batch;
    this.#width = features.length / labels.length;
    this.#order = Int32Array.from(labels.keys());
    this.#rows = new Float32Array(batch * this.#width);
    this.perEpoch = Math.floor(labels.length / batch);
  }

  next(step: number, seed: number): { rows: Float32Array; labels: Int32Array } {
    const epoch = Math.floor(step / this.perEpoch);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      shuffle(this.#order, seed * 7919 + epoch);
    }
    const first = (step % this.perEpoch) * this.#batch;
    const labels = new Int32Array(this.#batch);
    for (let i = 0; i < this.#batch; i++) {
      const from = this.#order[first + i]!;
      labels[i] = this.#labels[from]!;
      this.#rows.set(this.#features.subarray(from * this.#width, (from + 1) * this.#width), i * this.#width);
    }
    return { rows: this.#rows, labels };
  }
}

/** Fisher and Yates, with a 32-bit generator (xorshift-multiply of a counter) that needs no state. */
function shuffle(order: Int32Array, seed: number): void {
  for (let i = order.length - 1; i > 0; i--) {
    let h = Math.imul(seed ^ (i * 0x9e3779b1), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) >>> 0;
    const j = Math.floor((h / 2 ** 32) * (i + 1));
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
}
