/** Augmented examples for evaluations: drawn with seeds that no training uses, the same in every evaluation. */
import { type Augmentation, augment, type Dataset, plainSteps } from '../../data/index.js';
import type { ExperimentConfig } from './config.js';
import type { ExampleReader } from './encode.js';

/** Of the test set. */
export const kTestSeed = 0x7e57_0001n;
/** Of the training examples that probes learn on. */
export const kProbeSeed = 0x7e57_0002n;
/** Of the training examples whose symbols are counted for the coder's tables. */
export const kTableSeed = 0x7e57_0003n;

/** What the encoder sees in training. */
export function trainingSteps(config: ExperimentConfig): Augmentation {
  return [...config.augmentation, ...config.trainingSteps, ...poseSteps(config, config.poseAnisotropy)];
}

/** What it sees of augmented test images. */
export function testSteps(config: ExperimentConfig): Augmentation {
  return [...config.augmentation, ...poseSteps(config)];
}

/** What it sees of images as they are. */
export function plainInputSteps(config: ExperimentConfig): Augmentation {
  return [...originalSteps(config), ...poseSteps(config)];
}

/** Images as they are, of the size of augmented ones: what VIC reconstructs. */
export function originalSteps(config: ExperimentConfig): Augmentation {
  return plainSteps(config.augmentation);
}

function poseSteps(config: ExperimentConfig, range?: readonly [number, number]): Augmentation {
  if (!config.pose) return [];
  const [least, most] = config.poseAnisotropy;
  return [{ moments: { anisotropy: range ?? (least + most) / 2 } }];
}

/** Reads examples in their order, augmented; vectors come as they are. */
export function viewsOf(dataset: Dataset, steps: Augmentation, seed: bigint, epoch: number): ExampleReader {
  if (dataset.kind === 'vectors') {
    const { vectors, channels } = dataset;
    return (first, count) => vectors.subarray(first * channels, (first + count) * channels);
  }
  const { images, count: all, height, width, channels } = dataset;
  return (first, count) =>
    augment(images, {
      ...{ shape: [all, height, width, channels], steps, seed, epoch },
      indexes: Int32Array.from({ length: count }, (_, i) => first + i),
    });
}
