import { describe, expect, it } from 'vitest';
import {
  bceWithLogits,
  crossEntropy,
  Generator,
  memory,
  scope,
  type Tensor,
  tensor,
} from '../../lib/index.js';
import {
  BatchNorm,
  Conv2d,
  Flatten,
  type Layer,
  Linear,
  MaxPool2d,
  MLP,
  ReLU,
  Sequential,
} from '../../lib/nn/index.js';
import { Adam, type Optimizer, SGD } from '../../lib/optim/index.js';

function train(optimizer: Optimizer, steps: number, loss: (step: number) => Tensor): number {
  let last = Number.POSITIVE_INFINITY;
  for (let step = 0; step < steps; step++) {
    scope(() => {
      const value = loss(step);
      value.backward();
      if (step === steps - 1) last = value.item();
    });
    optimizer.step();
    optimizer.zeroGrad();
  }
  return last;
}

describe('tiny trainings', () => {
  it('an MLP learns exclusive or, in memory that stays flat', () => {
    const net = new MLP(2, 1, { hidden: [8], activation: 'tanh', generator: new Generator(1) });
    const optimizer = new SGD(net.parameters(), { lr: 0.5, momentum: 0.9 });
    const x = tensor([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    const y = tensor([[0], [1], [1], [0]]);
    const loss = () => bceWithLogits(net.forward(x), y);
    train(optimizer, 50, loss);
    const { bytes, tensors } = memory();
    expect(train(optimizer, 400, loss)).toBeLessThan(0.05);
    expect(memory()).toMatchObject({ bytes, tensors });
  });

  it('a small convolutional network tells bars from columns', () => {
    const generator = new Generator(2);
    const net: Layer = new Sequential(
      new Conv2d(1, 4, 3, { padding: 1, bias: false, generator }),
      new BatchNorm(4, { activation: 'relu' }),
      new MaxPool2d(2),
      new Conv2d(4, 8, 3, { padding: 1, generator }),
      new ReLU(),
      new Flatten(),
      new Linear(8 * 16, 2, { generator }),
    );
    const optimizer = new Adam(net.parameters(), { lr: 0.01 });
    const batch = (seed: number, size: number) => {
      let state = seed * 7919 + 1;
      const next = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32;
      };
      const labels = new Int32Array(size);
      const images = new Float32Array(size * 64);
      for (let n = 0; n < size; n++) {
        labels[n] = next() < 0.5 ? 0 : 1;
        const at = Math.floor(next() * 8);
        for (let i = 0; i < 64; i++) {
          const on = labels[n] === 0 ? i >> 3 === at : (i & 7) === at;
          images[n * 64 + i] = (on ? 1 : 0) + 0.4 * (next() - 0.5);
        }
      }
      return { images: tensor(images, [size, 8, 8, 1]), labels: tensor(labels) };
    };
    train(optimizer, 60, (step) => {
      const { images, labels } = batch(step, 32);
      return crossEntropy(net.forward(images), labels);
    });
    net.eval();
    const { images, labels } = batch(1000, 200);
    const guesses = net.forward(images).argmax().dataSync();
    const right = labels.dataSync().filter((label, i) => label === guesses[i]).length;
    expect(right).toBeGreaterThan(195);
  });
});
