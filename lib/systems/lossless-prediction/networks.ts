/** Encoders, decoders and the projector. Images are [N][H][W][C], vectors [N][D]. */
import { BinceError } from '../../errors.js';
import {
  BatchNorm,
  Conv2d,
  Flatten,
  type Layer,
  Linear,
  Reshape,
  ResNet18,
  Sequential,
} from '../../nn/index.js';
import type { ExperimentConfig } from './config.js';

/** The shape of one example. */
export type ExampleShape = readonly number[];

const valuesOf = (shape: ExampleShape): number => shape.reduce((product, n) => product * n, 1);

/** From an example to z; undefined for the bottleneck over frozen features. */
export function makeEncoder(config: ExperimentConfig, shape: ExampleShape): Layer | undefined {
  const { network, hidden, convolutions, z } = config;
  if (network === 'none') return undefined;
  if (network === 'mlp')
    return new Sequential(
      ...(shape.length > 1 ? [new Flatten()] : []),
      mlp(valuesOf(shape), hidden, z, activationFor(shape)),
    );
  const channels = shape[2];
  if (shape.length !== 3 || channels === undefined)
    throw new BinceError('BINCE_INVALID_ARGUMENT', `network: '${network}' is for images, not for vectors`, {
      hint: "use --network mlp, or network: 'mlp' in the configuration",
    });
  if (network === 'resnet18') return new ResNet18(z, { inputs: channels });
  return convolutional(shape, convolutions, hidden, z);
}

type Activation = 'relu' | 'softplus';

/** The banana's smooth networks have softplus; those of images ReLU. */
const activationFor = (shape: ExampleShape): Activation =>
  shape.length === 1 && shape[0] === 2 ? 'softplus' : 'relu';

/** Two hidden layers with batch normalisation, whose shift makes biases before it superfluous. */
function mlp(inputs: number, hidden: number, outputs: number, activation: Activation): Layer {
  return new Sequential(
    new Linear(inputs, hidden, { bias: false }),
    new BatchNorm(hidden, { activation }),
    new Linear(hidden, hidden, { bias: false }),
    new BatchNorm(hidden, { activation }),
    new Linear(hidden, outputs),
  );
}

/** Convolutions that halve the image, 5x5 and then 3x3, and one hidden layer. */
function convolutional(
  [height, width, channels]: ExampleShape,
  widths: readonly number[],
  hidden: number,
  z: number,
): Layer {
  const layers: Layer[] = [];
  let [h, w, c] = [height!, width!, channels!];
  for (const [i, next] of widths.entries()) {
    const kernel = i === 0 ? 5 : 3;
    layers.push(
      new Conv2d(c, next, kernel, { stride: 2, padding: (kernel - 1) / 2, bias: false }),
      new BatchNorm(next, { activation: 'relu' }),
    );
    [h, w, c] = [Math.ceil(h / 2), Math.ceil(w / 2), next];
  }
  return new Sequential(
    ...layers,
    new Flatten(),
    new Linear(h * w * c, hidden, { bias: false }),
    new BatchNorm(hidden, { activation: 'relu' }),
    new Linear(hidden, z),
  );
}

/** From z to an example's values, [N][values]: logits where the distortion is a cross-entropy. */
export function makeDecoder(config: ExperimentConfig, shape: ExampleShape): Layer {
  const { z, hidden } = config;
  if (shape.length < 3) return mlp(z, hidden, valuesOf(shape), activationFor(shape));
  return new Sequential(
    new Linear(z, hidden, { bias: false }),
    new BatchNorm(hidden, { activation: 'relu' }),
    new Linear(hidden, valuesOf(shape)),
  );
}

/** BINCE's head: one hidden layer, max(10, z / 2) outputs. */
export function makeProjector({ z, projector }: ExperimentConfig): Layer {
  const outputs = Math.max(10, Math.floor(z / 2));
  return new Sequential(
    new Linear(z, projector, { bias: false }),
    new BatchNorm(projector, { activation: 'relu' }),
    new Linear(projector, outputs),
  );
}

/** A small convolutional classifier from [N][values] to logits, for accuracies on reconstructions. */
export function makeClassifier(shape: ExampleShape, classes: number): Layer {
  return new Sequential(new Reshape(shape), convolutional(shape, [16, 32, 64], 128, classes));
}
