import { describe, it } from 'vitest';
import type { Tensor } from '../../lib/index.js';
import {
  avgPool2d,
  bceWithLogits,
  crossEntropy,
  klDivergence,
  maxPool2d,
  tensor,
  upsample2d,
} from '../../lib/index.js';
import { AvgPool2d, MaxPool2d, Upsample2d } from '../../lib/nn/index.js';
import { channelsLast, expectClose, type GoldenRun, golden, tensorOf } from './golden.js';

/** A function of one tensor, forward and backward. */
function expectRun(run: GoldenRun, apply: (x: Tensor) => Tensor): void {
  const x = tensorOf(channelsLast(run.inputs['input']!), true);
  const y = apply(x);
  expectClose(y, channelsLast(run.y));
  y.backward(tensorOf(channelsLast(run.dy)));
  expectClose(x.grad, channelsLast(run.gradients['input']!));
}

describe('functions against PyTorch', () => {
  const { losses, pooling, upsampling } = golden;
  const labels = tensor(Int32Array.from(losses.labels.data));

  it('cross-entropy, plain and with label smoothing', () => {
    expectRun(losses.crossEntropy, (x) => crossEntropy(x, labels));
    expectRun(losses.crossEntropySmoothed, (x) => crossEntropy(x, labels, { smoothing: 0.1 }));
  });

  it('binary cross-entropy', () => {
    const target = tensorOf(losses.bceTarget);
    expectRun(losses.bceWithLogits, (x) => bceWithLogits(x, target, { reduction: 'sum' }));
  });

  it('Kullback-Leibler divergence, to both sides', () => {
    const { inputs, y, gradients } = losses.klDivergence;
    const [p, q] = [tensorOf(inputs['p']!, true), tensorOf(inputs['q']!, true)];
    const divergence = klDivergence(p, q);
    expectClose(divergence, y);
    divergence.backward();
    expectClose(p.grad, gradients['p']!);
    expectClose(q.grad, gradients['q']!);
  });

  it('pooling', () => {
    expectRun(pooling['max3s2p1']!, (x) => maxPool2d(x, { size: 3, stride: 2, padding: 1 }));
    expectRun(pooling['max2']!, (x) => new MaxPool2d(2).forward(x));
    expectRun(pooling['avg2']!, (x) => new AvgPool2d(2).forward(x));
    expectRun(pooling['avg3s2p1']!, (x) => avgPool2d(x, { size: 3, stride: 2, padding: 1 }));
  });

  it('up-sampling', () => {
    expectRun(upsampling['bilinear_odd']!, (x) => upsample2d(x, { size: [5, 7], mode: 'bilinear' }));
    expectRun(upsampling['bilinear_double']!, (x) => new Upsample2d(2, 'bilinear').forward(x));
    expectRun(upsampling['nearest_double']!, (x) => new Upsample2d(2).forward(x));
  });
});
