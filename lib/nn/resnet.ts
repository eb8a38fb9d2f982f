/** Residual networks (He et al. 2015) for small images. */
import { relu } from '../autograd/index.js';
import type { Generator } from '../tensor/generator.js';
import type { Tensor } from '../tensor/tensor.js';
import { Conv2d } from './convolution.js';
import { kaimingNormal } from './initializers.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import { BatchNorm } from './normalization.js';
import { GlobalAvgPool } from './shape_layers.js';

interface Generated {
  readonly generator?: Generator | undefined;
}

function convolution(
  inputs: number,
  outputs: number,
  kernel: number,
  stride: number,
  { generator }: Generated,
): Conv2d {
  const init = kaimingNormal({ mode: 'out', nonlinearity: 'relu' });
  const padding = (kernel - 1) / 2;
  return new Conv2d(inputs, outputs, kernel, { stride, padding, bias: false, init, generator });
}

/**
 * Two 3x3 convolutions with batch norm, added to the input: relu(x + bn2(conv2(relu(bn1(conv1(x)))))). Where the number
 * of channels or the stride differs the input goes through a 1x1 convolution with batch norm.
 */
export class BasicBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm;
  readonly projection: Conv2d | undefined;
  readonly projectionNorm: BatchNorm | undefined;

  constructor(inputs: number, outputs: number, options: Generated & { readonly stride?: number } = {}) {
    super();
    const { stride = 1 } = options;
    this.conv1 = convolution(inputs, outputs, 3, stride, options);
    this.bn1 = new BatchNorm(outputs, { activation: 'relu' });
    this.conv2 = convolution(outputs, outputs, 3, 1, options);
    this.bn2 = new BatchNorm(outputs);
    if (stride === 1 && inputs === outputs) return;
    this.projection = convolution(inputs, outputs, 1, stride, options);
    this.projectionNorm = new BatchNorm(outputs);
  }

  /** [N, H, W, inputs] to [N, ceil(H / stride), ceil(W / stride), outputs]. */
  override forward(x: Tensor): Tensor {
    const inner = this.bn2.forward(this.conv2.forward(this.bn1.forward(this.conv1.forward(x))));
    const shortcut = this.projection ? this.projectionNorm!.forward(this.projection.forward(x)) : x;
    return relu(inner.add(shortcut));
  }
}

export interface ResNet18Options extends Generated {
  /** Channels of the images. Default 3. */
  readonly inputs?: number;
  /** Channels of the first stage; the others have 2, 4 and 8 times as many. Default 64. */
  readonly width?: number;
}

/**
 * ResNet-18 in its small-image form: a 3x3 convolution without stride and no pooling at the beginning, four stages of two
 * {@link BasicBlock}s, the last three with stride 2, the mean over the image, and a linear layer. Images should be
 * 8 x 8 at least. 11,173,962 parameters with 10 outputs.
 */
export class ResNet18 extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm;
  readonly blocks: readonly BasicBlock[];
  readonly head: Linear;
  readonly #pool = new GlobalAvgPool();

  constructor(outputs: number, options: ResNet18Options = {}) {
    super();
    const { inputs = 3, width = 64, generator } = options;
    this.conv = convolution(inputs, width, 3, 1, options);
    this.bn = new BatchNorm(width, { activation: 'relu' });
    const blocks: BasicBlock[] = [];
    let channels = width;
    for (const [stage, stride] of [1, 2, 2, 2].entries()) {
      const next = width * 2 ** stage;
      blocks.push(
        new BasicBlock(channels, next, { stride, generator }),
        new BasicBlock(next, next, { generator }),
      );
      channels = next;
    }
    this.blocks = blocks;
    this.head = new Linear(channels, outputs, { generator });
  }

  /** [N, H, W, inputs] to [N, 8 * width], what the linear layer gets. */
  features(x: Tensor): Tensor {
    const stem = this.bn.forward(this.conv.forward(x));
    return this.#pool.forward(this.blocks.reduce((value, block) => block.forward(value), stem));
  }

  /** [N, H, W, inputs] to [N, outputs]. */
  override forward(x: Tensor): Tensor {
    return this.head.forward(this.features(x));
  }
}
