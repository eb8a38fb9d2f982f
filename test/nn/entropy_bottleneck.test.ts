import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BinceReader, BinceWriter, idealBits } from '../../lib/codec/index.js';
import { Generator, noGrad, randn, scope, type Tensor, tensor } from '../../lib/index.js';
import { EntropyBottleneck, loadModule, saveModule, shortRowOptions } from '../../lib/nn/index.js';
import { Adam, cosine } from '../../lib/optim/index.js';

const deviations = [0.3, 1, 2.5, 6];
const means = [0.5, -3, 0.2, 40];

/** Rows of independent Gaussians. */
function gaussians(rows: number, generator: Generator): Tensor {
  return randn([rows, 4], { generator }).mul(tensor(deviations)).add(tensor(means));
}

/** The entropy, in bits, of a Gaussian that is rounded about its mean. */
function roundedEntropy(deviation: number): number {
  // The normal distribution function by Simpson's rule.
  const density = (x: number) =>
    Math.exp((-x * x) / (2 * deviation ** 2)) / (deviation * Math.sqrt(2 * Math.PI));
  let bits = 0;
  for (let symbol = -60; symbol <= 60; symbol++) {
    let mass = 0;
    for (let i = 0; i <= 64; i++) {
      const weight = i === 0 || i === 64 ? 1 : i % 2 ? 4 : 2;
      mass += (weight * density(symbol - 0.5 + i / 64)) / (3 * 64);
    }
    if (mass > 1e-15) bits -= mass * Math.log2(mass);
  }
  return bits;
}

const entropy = deviations.reduce((sum, deviation) => sum + roundedEntropy(deviation), 0);

/** A bottleneck whose densities learned the Gaussians; gain and shift stay at 0. */
function trained(): EntropyBottleneck {
  const generator = new Generator(7);
  const bottleneck = new EntropyBottleneck(4, { logGain: 0, generator });
  const optimizer = new Adam([bottleneck.density], { lr: 0.05 });
  const schedule = cosine({ steps: 1500, final: 0.01 });
  for (let step = 0; step < 1500; step++) {
    optimizer.lrScale = schedule(step);
    scope(() => bottleneck.forward(gaussians(256, generator)).bits.mean().backward());
    optimizer.step();
    optimizer.zeroGrad();
  }
  return bottleneck.eval();
}

describe('the entropy bottleneck', () => {
  let folder: string;
  let bottleneck: EntropyBottleneck;
  const test = scope(() => gaussians(50_000, new Generator(99)));
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bince-bottleneck-'));
    bottleneck = trained();
  });
  afterAll(() => rm(folder, { recursive: true }));

  const rate = () => scope(() => noGrad(() => bottleneck.forward(test).bits.mean().item()));

  it('learns the entropy of its data, and its medians', () => {
    expect(rate() / entropy).toBeGreaterThan(0.97);
    expect(rate() / entropy).toBeLessThan(1.03);
    bottleneck.medians.floats().forEach((median, c) => {
      expect(Math.abs(median - means[c]!) / (deviations[c]! + 1)).toBeLessThan(0.15);
    });
  });

  it('rounds in evaluation, as its symbols say', () => {
    const { zHat } = bottleneck.forward(test);
    const again = bottleneck.dequantize(bottleneck.symbols(test));
    const [a, b, z] = [zHat.floats(), again.floats(), test.floats()];
    let apart = 0;
    let furthest = 0;
    for (let i = 0; i < a.length; i++) {
      furthest = Math.max(furthest, Math.abs(a[i]! - z[i]!));
      if (Math.abs(a[i]! - b[i]!) > 1e-4) apart++;
    }
    expect(furthest).toBeLessThan(0.5001);
    // Values half-way between two symbols may go either way.
    expect(apart).toBeLessThan(3);
  });

  it.each(['learned', 'counted'])('files with %s tables hold the rate of the model', async (tables) => {
    const sample = scope(() => bottleneck.symbols(gaussians(20_000, new Generator(5))));
    const model = bottleneck.toModel('test', tables === 'counted' ? sample : undefined);
    const path = join(folder, `${tables}.bince`);
    await using writer = await BinceWriter.create(path, model, shortRowOptions(model, 50_000));
    await writer.write(test.floats());
    const { rows } = await writer.close();
    const bits = (8 * (await stat(path)).size) / rows;
    expect(bits).toBeLessThan(1.01 * rate() + 0.1);
    expect(idealBits(model) / entropy).toBeCloseTo(1, 1);
    await using reader = await BinceReader.open(path);
    const read = await reader.rows(0, rows);
    const expected = bottleneck.dequantize(bottleneck.symbols(test)).floats();
    expect(Buffer.compare(Buffer.from(read.buffer), Buffer.from(expected.buffer))).toBe(0);
  });

  it('a file of itself goes round, medians included', async () => {
    const path = join(folder, 'model.safetensors');
    await saveModule(path, bottleneck);
    const other = new EntropyBottleneck(4);
    await loadModule(path, other);
    other.eval();
    const some = tensor(test.floats().subarray(0, 4000), [1000, 4]);
    expect(other.symbols(some)).toEqual(bottleneck.symbols(some));
    expect(other.medians.floats()).toEqual(bottleneck.medians.floats());
  });

  it('gradients reach z, the gain and the shift through what is handed on', () => {
    for (const straightThrough of [false, true]) {
      const one = new EntropyBottleneck(2, { straightThrough, generator: new Generator(3) });
      const z = tensor([[0.3, -2.2]], { requiresGrad: true });
      const { zHat } = one.forward(z);
      const offset = zHat.floats().map((value, i) => value - [0.3, -2.2][i]!);
      zHat.sum().backward();
      expect(z.grad!.floats().map((value) => Math.round(value * 1e5) / 1e5)).toEqual(Float32Array.of(1, 1));
      // zHat = z + error exp(-logGain): its derivative to logGain is minus that.
      one.logGain.grad!.floats().forEach((value, c) => {
        expect(value).toBeCloseTo(-offset[c]!, 4);
      });
      one.shift.grad!.floats().forEach((value) => {
        expect(value).toBeCloseTo(0, 5);
      });
      if (!straightThrough) continue;
      const y = zHat.floats().map((value) => value * Math.E);
      for (const value of y) expect(value).toBeCloseTo(Math.round(value), 4);
    }
  });

  it('takes images, and gives bits an example', () => {
    const one = new EntropyBottleneck(3);
    const { zHat, bits } = one.forward(randn([2, 4, 5, 3]));
    expect([zHat.shape, bits.shape]).toEqual([[2, 4, 5, 3], [2]]);
  });

  it('says what is wrong', () => {
    const one = new EntropyBottleneck(3);
    expect(() => one.forward(randn([4, 2]))).toThrow('z: expected shape [N, ..., 3], received');
    expect(() => one.symbols(tensor([[1, Number.NaN, 2]]))).toThrow('row 0, channel 1: NaN has no symbol');
    expect(() => one.toModel('x', new Int32Array(4))).toThrow('sample: expected an Int32Array of rows of 3');
    one.density.write(new Float32Array(one.density.size).fill(Number.NaN));
    expect(() => one.eval()).toThrow();
  });
});
