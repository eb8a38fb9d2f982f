/**
 * What the systems minimise (Dubois et al. 2021, sections 3 and 4), beta in units of distortion a nat:
 *
 *   vc          d(x, dec(zHat)) + beta rate
 *   vic         d(x, dec(zHat of another member of x's class)) + beta rate
 *   bince       NT-Xent(views) / f + beta rate
 *   bottleneck  |z - zHat| + beta rate
 */
import {
  add,
  bceWithLogits,
  clamp,
  concat,
  exp,
  mean,
  mul,
  ntXent,
  slice,
  sub,
  sum,
} from '../../autograd/index.js';
import { AdamW } from '../../optim/index.js';
import { type Tensor, tensor } from '../../tensor/index.js';
import type { TrainTask } from '../../train/index.js';
import type { Compressor } from './compressor.js';
import type { ExperimentConfig } from './config.js';
import type { ExampleShape } from './networks.js';

/** Arrays of whole batches, [N][...shape]. */
export interface ExampleBatch {
  /** What is encoded: one array, or for bince two views of the same examples. */
  readonly inputs: readonly Float32Array[];
  /** What is to be reconstructed; absent for bince and the bottleneck. */
  readonly target?: Float32Array;
}

/** A temperature below 0.01 is not learned. */
const kMaxLogScale = Math.log(100);
const kLeastBetaShare = 1e-5;

/** beta at a step: it rises linearly over the first part of the training. */
export function betaAt(config: ExperimentConfig, progress: number): number {
  if (!(progress < config.betaWarmup)) return config.beta;
  return config.beta * (kLeastBetaShare + (1 - kLeastBetaShare) * (progress / config.betaWarmup));
}

/** The parts of a loss: a distortion (or contrastive loss) of one element, and [N] bits. */
interface Parts {
  readonly distortion: Tensor;
  readonly bits: Tensor;
}

/** The task of a system for the trainer. */
export function makeTask(
  config: ExperimentConfig,
  model: Compressor,
  shape: ExampleShape,
): TrainTask<ExampleBatch> {
  const { lr, weightDecay } = config;
  const fast = new Set<Tensor>(model.bottleneck.parameters());
  if (model.logScale) fast.add(model.logScale);
  const groups = [
    { params: model.parameters().filter((each) => !fast.has(each)) },
    { params: [...fast], lr: lr * config.bottleneckLr },
  ].filter(({ params }) => params.length > 0);
  const optimizer = new AdamW(groups, { lr, weightDecay });
  const name = config.system === 'bince' ? 'contrastive' : 'distortion';
  return {
    modules: { model },
    optimizers: { optimizer },
    step(batch, at) {
      const parts = partsOf(config, model, shape, batch);
      const bits = mean(parts.bits);
      const weighted =
        config.system === 'bince' ? mul(parts.distortion, 1 / config.factor) : parts.distortion;
      const loss = add(weighted, mul(bits, Math.LN2 * betaAt(config, at.progress)));
      return { loss, metrics: { bits, [name]: parts.distortion } };
    },
  };
}

function partsOf(
  config: ExperimentConfig,
  model: Compressor,
  shape: ExampleShape,
  batch: ExampleBatch,
): Parts {
  const inputs = batch.inputs.map((each) => examples(each, shape));
  if (config.system === 'bince') return contrastiveParts(config, model, inputs);
  const [x] = inputs as [Tensor];
  const z = model.encode(x);
  const { zHat, bits } = model.bottleneck.forward(z);
  if (!model.decoder) return { distortion: mean(sum(distances(config, z, zHat), { axis: -1 })), bits };
  const target = batch.target ? flat(batch.target, x.shape[0]!) : flat(batch.inputs[0]!, x.shape[0]!);
  return { distortion: reconstructionError(config, model.decoder.forward(zHat), target), bits };
}

/** A batch of arrays as a tensor [N][...shape]. */
export function examples(data: Float32Array, shape: ExampleShape): Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  return tensor(data, [data.length / size, ...shape]);
}

const flat = (data: Float32Array, rows: number): Tensor => tensor(data, [rows, data.length / rows]);

/** |a - b| or (a - b)^2, element by element. */
function distances(config: ExperimentConfig, a: Tensor, b: Tensor): Tensor {
  const difference = sub(a, b);
  return config.distortion === 'l1' ? difference.abs() : difference.square();
}

/** The mean over examples; an image's pixels are summed, a vector's squared errors are averaged. */
export function reconstructionError(config: ExperimentConfig, decoded: Tensor, target: Tensor): Tensor {
  if (config.distortion === 'bce') return mean(bceWithLogits(decoded, target));
  const errors = distances(config, decoded, target);
  return config.distortion === 'mse' && config.data === 'banana'
    ? mean(errors)
    : mean(sum(errors, { axis: -1 }));
}

/**
 * NT-Xent over both views, with cosine similarities and a learned temperature. All views of a batch go through encoder
 * and bottleneck together, so that batch normalisation sees both.
 */
function contrastiveParts(config: ExperimentConfig, model: Compressor, views: readonly Tensor[]): Parts {
  const rows = views[0]!.shape[0]!;
  const { zHat, bits } = model.forward(concat(views, 0));
  const heads = model.projector?.forward(zHat) ?? zHat;
  const { logScale } = model;
  const scale = logScale ? exp(clamp(logScale, -kMaxLogScale, kMaxLogScale)) : 1 / config.temperature;
  const effective = config.effectiveExamples || rows;
  const distortion = ntXent(slice(heads, 0, 0, rows), slice(heads, 0, rows, 2 * rows), {
    scale,
    negativeLogWeight: Math.log((2 * effective - 2) / (2 * rows - 2)),
  });
  return { distortion, bits };
}
