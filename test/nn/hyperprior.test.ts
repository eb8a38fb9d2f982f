import { beforeAll, describe, expect, it } from 'vitest';
import { Generator, noGrad, rand, randn, scope, type Tensor, tensor } from '../../lib/index.js';
import { EntropyBottleneck, Hyperprior } from '../../lib/nn/index.js';
import { AdamW, clipGradNorm, cosine } from '../../lib/optim/index.js';

/** Rows whose scale varies from row to row: what side information is for. */
function rows(count: number, generator: Generator): Tensor {
  const scale = rand([count, 1], { low: -2, high: 3, generator }).exp();
  return randn([count, 12], { generator }).mul(scale);
}

function train(model: Hyperprior | EntropyBottleneck, steps: number): void {
  const generator = new Generator(8);
  const learned = model.parameters().filter((each) => each !== model.logGain && each !== model.shift);
  const optimizer = new AdamW(learned, { lr: 0.01 });
  const schedule = cosine({ steps, final: 0.02 });
  for (let step = 0; step < steps; step++) {
    optimizer.lrScale = schedule(step);
    scope(() => model.forward(rows(128, generator)).bits.mean().backward());
    clipGradNorm(learned, 30);
    optimizer.step();
    optimizer.zeroGrad();
  }
  model.eval();
}

const bitsOf = (model: Hyperprior | EntropyBottleneck, z: Tensor) =>
  scope(() => noGrad(() => model.forward(z).bits.mean().item()));

describe('the hyperprior', () => {
  const hyperprior = new Hyperprior(12, {
    logGain: 0,
    side: 2,
    hidden: [32, 32],
    generator: new Generator(4),
  });
  const test = scope(() => rows(4000, new Generator(1)));
  beforeAll(() => train(hyperprior, 800));

  it('learns scales: fewer bits than a density a channel', () => {
    const factorized = new EntropyBottleneck(12, { logGain: 0, generator: new Generator(4) });
    train(factorized, 800);
    expect(bitsOf(hyperprior, test)).toBeLessThan(0.95 * bitsOf(factorized, test));
  });

  it('bytes hold the rate of the model, and decode to what the model gives', () => {
    const bytes = hyperprior.compress(test);
    const bits = (8 * bytes.length) / 4000;
    expect(bits).toBeLessThan(1.01 * bitsOf(hyperprior, test) + 0.1);
    const decoded = hyperprior.decompress(bytes).floats();
    const { zHat } = scope(() => noGrad(() => hyperprior.forward(test)));
    let apart = 0;
    zHat.floats().forEach((value, i) => {
      if (Math.abs(value - decoded[i]!) > 1e-3) apart++;
    });
    // A row whose side information rounds the other way has other means.
    expect(apart).toBeLessThan(40);
    const z = test.floats();
    expect(z.every((value, i) => Math.abs(value - decoded[i]!) < 0.501)).toBe(true);
  });

  it('has the sizes of the paper unless told otherwise', () => {
    const model = new Hyperprior(128);
    expect(model.side.channels).toBe(25);
    expect(model.predictor.layers.layers.map((layer) => layer.parameterCount())).toEqual([
      25 * 256 + 256,
      0,
      256 * 256 + 256,
      0,
      256 * 256 + 256,
    ]);
    expect(new Hyperprior(8).side.channels).toBe(10);
  });

  it('takes one row, none, and finds damage', () => {
    const one = hyperprior.compress(tensor(test.floats().subarray(0, 12), [1, 12]));
    expect(hyperprior.decompress(one).shape).toEqual([1, 12]);
    for (const at of [0, 5, 17, one.length - 1]) {
      const damaged = one.slice();
      damaged[at]! ^= 4;
      expect(() => hyperprior.decompress(damaged)).toThrow('not the bytes of a hyperprior');
    }
    expect(() => hyperprior.decompress(one.subarray(0, 10))).toThrow('10 bytes');
    expect(() => hyperprior.compress(randn([3, 4]))).toThrow('z: expected [N, 12]');
  });
});
