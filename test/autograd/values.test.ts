import { expect, describe as group, it } from 'vitest';
import * as b from '../../lib/index.js';
import {
  clipLossSync,
  factorizedForwardSync,
  gaussianForwardSync,
  infoNCESync,
  ntXentSync,
} from '../../lib/kernels/index.js';

const { tensor } = b;
const close = (x: b.Tensor, expected: readonly number[], digits = 5) => {
  const values = x.floats();
  expect(values.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(values[i]!).toBeCloseTo(value, digits);
  });
};
const grid = [-3, -1.5, -0.5, 0, 0.25, 1, 2.5];

group('elementwise values', () => {
  const functions: [string, (x: b.Tensor) => b.Tensor, (x: number) => number][] = [
    ['neg', b.neg, (x) => -x],
    ['exp', b.exp, Math.exp],
    ['square', b.square, (x) => x * x],
    ['abs', b.abs, Math.abs],
    ['relu', b.relu, (x) => Math.max(x, 0)],
    ['leakyRelu', (x) => b.leakyRelu(x, 0.1), (x) => (x > 0 ? x : 0.1 * x)],
    ['elu', b.elu, (x) => (x > 0 ? x : Math.expm1(x))],
    ['silu', b.silu, (x) => x / (1 + Math.exp(-x))],
    ['sigmoid', b.sigmoid, (x) => 1 / (1 + Math.exp(-x))],
    ['tanh', b.tanh, Math.tanh],
    ['softplus', b.softplus, (x) => Math.log1p(Math.exp(x))],
    ['sin', b.sin, Math.sin],
    ['cos', b.cos, Math.cos],
    ['expm1', b.expm1, Math.expm1],
    ['sign', b.sign, Math.sign],
    ['floor', b.floor, Math.floor],
    ['clamp', (x) => b.clamp(x, -1, 2), (x) => Math.min(2, Math.max(-1, x))],
    ['5 - x', (x) => b.sub(5, x), (x) => 5 - x],
    ['x / 4', (x) => b.div(x, 4), (x) => x / 4],
    ['2 ** x', (x) => b.pow(2, x), (x) => 2 ** x],
  ];
  for (const [name, ours, theirs] of functions) it(name, () => close(ours(tensor(grid)), grid.map(theirs)));

  it('round goes half to even, straight through', () => {
    const x = tensor([-1.5, -0.5, 0.5, 1.5, 2.4], { requiresGrad: true });
    close(b.round(x), [-2, 0, 0, 2, 2]);
    b.mul(b.round(x), tensor([1, 2, 3, 4, 5]))
      .sum()
      .backward();
    close(x.grad!, [1, 2, 3, 4, 5]);
  });

  it('derivatives at corners are 0, and ties are shared', () => {
    const x = tensor([0, 0], { requiresGrad: true });
    b.add(b.relu(x), b.abs(x)).sum().backward();
    close(x.grad!, [0, 0]);
    const [p, q] = [tensor([1, 2], { requiresGrad: true }), tensor([1, 3], { requiresGrad: true })];
    b.maximum(p, q).sum().backward();
    close(p.grad!, [0.5, 0]);
    close(q.grad!, [0.5, 1]);
    const y = tensor([3, 1, 3, 2], { requiresGrad: true });
    y.max().backward();
    close(y.grad!, [0.5, 0, 0.5, 0]);
  });
});

group('shapes and sums', () => {
  const x = tensor(
    Array.from({ length: 24 }, (_, i) => i),
    [2, 3, 4],
  );
  it('reduce over any axes', () => {
    expect(x.sum().item()).toBe(276);
    expect(x.sum(1).toArray()).toEqual([
      [12, 15, 18, 21],
      [48, 51, 54, 57],
    ]);
    expect(x.mean([0, 2]).toArray()).toEqual([7.5, 11.5, 15.5]);
    expect(x.max({ axis: -1, keepdims: true }).shape).toEqual([2, 3, 1]);
    expect(x.min({ axis: [0, 1], keepdims: true }).toArray()).toEqual([[[0, 1, 2, 3]]]);
    expect(x.argmax().toArray()).toEqual([
      [3, 3, 3],
      [3, 3, 3],
    ]);
  });

  it('move elements as NumPy does', () => {
    expect(x.permute([2, 0, 1]).slice(0, 1, 2).toArray()).toEqual([
      [
        [1, 5, 9],
        [13, 17, 21],
      ],
    ]);
    expect(
      tensor([[1, 2]])
        .transpose()
        .toArray(),
    ).toEqual([[1], [2]]);
    expect(b.stack([tensor([1, 2]), tensor([3, 4])], 1).toArray()).toEqual([
      [1, 3],
      [2, 4],
    ]);
    const labels = tensor([1, 2, 3], { dtype: 'int32' });
    expect(b.concat([labels, labels.slice(0, -1)]).dataSync()).toEqual(Int32Array.of(1, 2, 3, 3));
    expect(b.pad(tensor([1]), [[1, 2]], 9).toArray()).toEqual([9, 1, 9, 9]);
    expect(
      tensor([[1], [2]])
        .expand([2, 2])
        .toArray(),
    ).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it('broadcast over seven axes as long as few of them alternate', () => {
    const shape = [2, 1, 2, 1, 2, 1, 2];
    const y = b.ones(shape).add(b.ones([1, 1, 2, 1, 1, 1, 2]));
    expect(y.sum().item()).toBe(32);
  });

  it('multiply matrices', () => {
    const a = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect(a.matmul(a).toArray()).toEqual([
      [7, 10],
      [15, 22],
    ]);
    expect(b.matmul(a, a, { transposeA: true, bias: tensor([1, -1]) }).toArray()).toEqual([
      [11, 13],
      [15, 19],
    ]);
    const batch = b.stack([a, a.mul(2)]);
    expect(batch.matmul(a).slice(0, 1).toArray()).toEqual([
      [
        [14, 20],
        [30, 44],
      ],
    ]);
    expect(b.linear(tensor([1, 1]), a, tensor([0.5, 0])).toArray()).toEqual([4.5, 6]);
  });
});

group('losses', () => {
  it('cross-entropy of known rows', () => {
    const logits = tensor([
      [0, 0],
      [0, Math.log(3)],
    ]);
    const labels = tensor([0, 1], { dtype: 'int32' });
    close(b.crossEntropy(logits, labels, { reduction: 'none' }), [Math.LN2, Math.log(4 / 3)]);
    close(b.crossEntropy(logits, labels), [(Math.LN2 + Math.log(4 / 3)) / 2]);
    close(b.softmax(logits).slice(0, 1), [0.25, 0.75]);
  });

  it('binary cross-entropy is summed over the last axis', () => {
    const loss = b.bceWithLogits(b.zeros([2, 3]), b.ones([2, 3]));
    close(loss, [3 * Math.LN2, 3 * Math.LN2]);
    close(b.bceWithLogits(b.zeros([2, 3]), b.ones([2, 3]), { reduction: 'mean' }), [Math.LN2]);
  });

  it('divergences: none of a distribution from itself, and their bounds', () => {
    const p = tensor([[1, 2, 3]]);
    close(b.klDivergence(p, p), [0]);
    close(b.jsDivergence(p, p), [0]);
    const [one, other] = [tensor([[60, 0]]), tensor([[0, 60]])];
    close(b.jsDivergence(one, other), [Math.LN2]);
    close(b.klDivergence(one, other), [60], 3);
    close(b.mse(tensor([1, 2]), tensor([3, 2])), [2]);
    close(b.l1(tensor([1, 2]), tensor([3, 2])), [1]);
  });

  it('contrastive losses are those of the kernels', () => {
    const dim = 5;
    const [q, k] = [b.randn([6, dim]), b.randn([6, dim])];
    const [qs, ks] = [q.floats(), k.floats()];
    close(b.infoNCE(q, k, { temperature: 0.5 }), [infoNCESync(qs, ks, { dim, scale: 2 }).loss]);
    close(b.clipLoss(q, k), [clipLossSync(qs, ks, { dim }).loss]);
    close(b.clipLoss(q, k, { scale: tensor([1 / 0.07]) }), [clipLossSync(qs, ks, { dim }).loss], 4);
    close(b.ntXent(q, k), [ntXentSync(Float32Array.of(...qs, ...ks), { dim }).loss]);
    expect(() => b.infoNCE(q, k, { temperature: 1, scale: 1 })).toThrow(/none beside scale/);
    expect(() => b.infoNCE(q, k, { scale: tensor([1]), threshold: 1 })).toThrow(/threshold/);
  });

  it('bits are those of the kernels', () => {
    const [N, C] = [4, 3];
    const x = b.randn([N, C]);
    const parameters = b.rand([58, C], { low: -1, high: 0 });
    const seed = 5;
    const ours = b.factorizedBits(x, { parameters, quantize: 'noise', seed });
    const theirs = factorizedForwardSync(x.floats(), {
      channels: C,
      parameters: parameters.floats(),
      quantize: 'noise',
      seed,
      bitsPerRow: true,
      values: true,
    });
    expect(ours.bits.floats()).toEqual(theirs.bitsPerRow);
    expect(ours.values.floats()).toEqual(theirs.values);
    const scale = b.rand([N, C], { low: 0.5, high: 2 });
    const gaussian = b.gaussianBits(x, scale, undefined, { quantize: 'round' });
    const expected = gaussianForwardSync(x.floats(), {
      columns: C,
      scale: scale.floats(),
      quantize: 'round',
      bitsPerRow: true,
    });
    expect(gaussian.bits.floats()).toEqual(expected.bitsPerRow);
    close(gaussian.values, [...b.round(x).floats()]);
    const generator = new b.Generator(1);
    const draw = () => b.factorizedBits(x, { parameters, quantize: 'noise', generator }).values.floats();
    expect(draw()).not.toEqual(draw());
  });
});

group('normalisation', () => {
  it('batch statistics, running ones, and evaluation', () => {
    const x = tensor([[1], [3], [5], [7]]);
    const [runningMean, runningVar] = [b.zeros([1]), b.ones([1])];
    const s = Math.sqrt(5 + 1e-5);
    close(b.batchNorm(x, { runningMean, runningVar }), [-3 / s, -1 / s, 1 / s, 3 / s]);
    close(runningMean, [0.4]);
    close(runningVar, [0.9 + (0.1 * 20) / 3]);
    const e = Math.sqrt(0.9 + 2 / 3 + 1e-5);
    const y = b.batchNorm(x, { runningMean, runningVar, training: false, activation: 'relu' });
    close(y, [0.6 / e, 2.6 / e, 4.6 / e, 6.6 / e]);
    expect(() => b.batchNorm(b.ones([1, 3]))).toThrow(/at least two rows in training/);
  });

  it('unit rows and dropout', () => {
    close(b.normalize(tensor([[3, 4]])), [0.6, 0.8]);
    const generator = new b.Generator(2);
    const x = b.ones([10000]);
    const y = b.dropout(x, 0.25, { generator });
    expect(Math.abs(y.mean().item() - 1)).toBeLessThan(0.03);
    expect(new Set(y.floats())).toEqual(new Set([0, Math.fround(4 / 3)]));
    expect(b.dropout(x, 0.5, { training: false })).toBe(x);
  });

  it('pools and sizes images', () => {
    const x = tensor([
      [
        [[1], [2]],
        [[3], [4]],
      ],
    ]);
    expect(b.maxPool2d(x, { size: 2 }).toArray()).toEqual([[[[4]]]]);
    expect(b.avgPool2d(x, { size: 2 }).toArray()).toEqual([[[[2.5]]]]);
    expect(b.upsample2d(x, { scale: 2 }).sum().item()).toBe(40);
    expect(b.conv2d(x, b.ones([2, 2, 1, 1])).toArray()).toEqual([[[[10]]]]);
    expect(b.convTranspose2d(b.ones([1, 1, 1, 1]), b.ones([2, 2, 3, 1])).shape).toEqual([1, 2, 2, 3]);
  });
});
