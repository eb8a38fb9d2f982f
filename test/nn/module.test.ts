import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Generator, memory, randn, scope, type Tensor, tensor, zeros } from '../../lib/index.js';
import {
  BatchNorm,
  Buffer,
  Conv2d,
  Dropout,
  kaimingNormal,
  kaimingUniform,
  Linear,
  loadModule,
  loadState,
  MLP,
  Module,
  normal,
  Parameter,
  ReLU,
  Residual,
  ResNet18,
  Sequential,
  type StateDict,
  saveModule,
  xavierUniform,
} from '../../lib/nn/index.js';

class Net extends Module {
  readonly stem = new Linear(4, 3, { generator: new Generator(1) });
  readonly blocks = [new BatchNorm(3), new Sequential(new ReLU(), new Linear(3, 2, { bias: false }))];
  readonly heads = { a: new Linear(2, 1), b: new Map([['x', new Linear(2, 1)]]) };
  readonly scale = new Parameter(tensor([2]));
  readonly table = new Buffer(tensor(Int32Array.of(4, 5)));
  readonly tied = this.stem.weight;
  readonly self = this;
  readonly plain = zeros([1]);

  override forward(x: Tensor): Tensor {
    return x;
  }
}

describe('modules', () => {
  it('names parameters, buffers and modules by fields, each once', () => {
    const net = new Net();
    expect([...net.namedParameters().keys()]).toEqual([
      'stem.weight',
      'stem.bias',
      'blocks.0.weight',
      'blocks.0.bias',
      'blocks.1.layers.1.weight',
      'heads.a.weight',
      'heads.a.bias',
      'heads.b.x.weight',
      'heads.b.x.bias',
      'scale',
    ]);
    expect([...net.namedBuffers().keys()]).toEqual([
      'blocks.0.runningMean',
      'blocks.0.runningVariance',
      'table',
    ]);
    expect([...net.namedModules().keys()].slice(0, 4)).toEqual(['', 'stem', 'blocks.0', 'blocks.1']);
    expect(net.parameterCount()).toBe(12 + 3 + 6 + 6 + 3 + 3 + 1);
  });

  it('switches all parts between training and evaluation', () => {
    const net = new Net();
    expect(
      net
        .eval()
        .modules()
        .every((module) => !module.training),
    ).toBe(true);
    expect(
      net
        .train()
        .modules()
        .every((module) => module.training),
    ).toBe(true);
  });

  it('a state dict goes round, and is a copy', () => {
    const [a, b] = [new Net(), new Net()];
    const state = a.stateDict();
    b.loadStateDict(state);
    expect(b.heads.a.weight.floats()).toEqual(a.heads.a.weight.floats());
    expect(state.get('table')).toEqual({ dtype: 'int32', shape: [2], data: Int32Array.of(4, 5) });
    a.scale.write(Float32Array.of(9));
    expect(b.scale.item()).toBe(2);
    expect(state.get('scale')!.data).toEqual(Float32Array.of(2));
  });

  it('says what does not fit, and then changes nothing', () => {
    const net = new Net();
    const changed = (change: (state: StateDict) => void) => {
      const state = net.stateDict();
      state.get('scale')!.data[0] = 7;
      change(state);
      return () => net.loadStateDict(state);
    };
    expect(changed((state) => state.delete('stem.bias'))).toThrow("the state of Net lacks 'stem.bias'");
    expect(changed((state) => state.set('more', state.get('scale')!))).toThrow(
      "has 'more', which Net has not",
    );
    const wrong = { dtype: 'float32', shape: [3, 4], data: new Float32Array(12) } as const;
    expect(changed((state) => state.set('stem.weight', wrong))).toThrow(
      "'stem.weight' expected float32 [4, 3], received float32 [3, 4]",
    );
    const ints = { dtype: 'int32', shape: [1], data: new Int32Array(1) } as const;
    expect(changed((state) => state.set('scale', ints))).toThrow(
      "'scale' expected float32 [1], received int32 [1]",
    );
    expect(net.scale.item()).toBe(2);
    const partial = new Map([['scale', { dtype: 'float32', shape: [1], data: Float32Array.of(5) } as const]]);
    net.loadStateDict(partial, { strict: false });
    expect(net.scale.item()).toBe(5);
  });

  it('freezes and frees', () => {
    const before = memory().tensors;
    const net = new Sequential(new Linear(3, 4), new BatchNorm(4), new Linear(4, 1));
    scope(() =>
      net
        .forward(randn([5, 3]))
        .sum()
        .backward(),
    );
    expect(net.parameters().every(({ grad }) => grad !== undefined)).toBe(true);
    net.layers[0]!.requireGrad(false);
    net.zeroGrad();
    scope(() =>
      net
        .forward(randn([5, 3]))
        .sum()
        .backward(),
    );
    expect([...net.namedParameters()].filter(([, { grad }]) => grad).map(([name]) => name)).toEqual([
      'layers.1.weight',
      'layers.1.bias',
      'layers.2.weight',
      'layers.2.bias',
    ]);
    net.dispose();
    expect(memory().tensors).toBe(before);
  });

  it('outlives the scope that it was made in', () => {
    const layer = scope(() => new Linear(2, 2));
    expect(layer.forward(zeros([1, 2])).shape).toEqual([1, 2]);
  });

  it('layers say what is wrong', () => {
    expect(() => new Linear(0, 3)).toThrow('inputs: expected a positive whole number, received 0');
    expect(() => new Conv2d(1, 1, 0)).toThrow(
      'kernel: expected a whole number of at least 1, or two of them',
    );
    expect(() => new Parameter(new Linear(1, 1).weight)).toThrow(
      'value: expected a tensor that is no parameter',
    );
    expect(() => new Dropout(1)).toThrow('p: expected a probability from 0 to below 1, received 1');
    // @ts-expect-error a layer
    expect(() => new Sequential(3)).toThrow('layers[0]: expected a Module');
    expect(() => new Linear(3, 2).forward(zeros([2, 4]))).toThrow('linear');
    expect(() => new BatchNorm(2).forward(zeros([1, 2]))).toThrow('two rows');
  });
});

describe('files of modules', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bince-nn-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('go round with metadata, and leave no other file', async () => {
    const path = join(folder, 'net.safetensors');
    const [a, b] = [new Net(), new Net()];
    await saveModule(path, a, { epoch: '3' });
    expect(await loadModule(path, b)).toEqual({ epoch: '3' });
    expect(b.stateDict()).toEqual(a.stateDict());
    expect(await readdir(folder)).toEqual(['net.safetensors']);
    expect((await loadState(path)).state.get('table')!.dtype).toBe('int32');
  });

  it('say what is wrong with them', async () => {
    const path = join(folder, 'other.safetensors');
    await saveModule(path, new Linear(2, 2));
    const bytes = await readFile(path);
    const net = new Net();
    await expect(loadModule(path, net)).rejects.toThrow(
      /other\.safetensors: the state of Net lacks 'stem.weight'/,
    );
    await expect(loadModule(join(folder, 'none'), net)).rejects.toMatchObject({ code: 'BINCE_NOT_FOUND' });
    for (const damaged of [
      bytes.subarray(0, bytes.length - 3),
      bytes.subarray(0, 5),
      bytes.map((b) => b ^ 85),
    ]) {
      await writeFile(path, damaged);
      await expect(loadModule(path, net)).rejects.toMatchObject({ code: 'BINCE_CORRUPT_DATA' });
    }
    // @ts-expect-error a string
    await expect(saveModule(path, net, { epoch: 3 })).rejects.toThrow('metadata.epoch: expected a string');
  });
});

describe('start values', () => {
  const spread = (t: Tensor) => {
    const values = t.floats();
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return { largest, deviation: Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length) };
  };
  const generator = new Generator(3);

  it('of linear layers and convolutions are uniform within 1 / sqrt(fan in)', () => {
    for (const { weight, fan } of [
      { weight: new Linear(64, 100, { generator }).weight, fan: 64 },
      { weight: new Conv2d(16, 32, 3, { generator }).weight, fan: 144 },
    ]) {
      const { largest, deviation } = spread(weight);
      expect(largest).toBeLessThanOrEqual(1 / Math.sqrt(fan));
      expect(deviation / (1 / Math.sqrt(3 * fan))).toBeCloseTo(1, 1);
    }
  });

  it('have the variance of their formulas', () => {
    const fans = { fanIn: 50, fanOut: 200 };
    const deviations = [
      [kaimingNormal({ nonlinearity: 'relu' }), Math.sqrt(2 / 50)],
      [kaimingNormal({ mode: 'out', nonlinearity: 'linear' }), Math.sqrt(1 / 200)],
      [kaimingUniform({ slope: 1 }), Math.sqrt(1 / 50)],
      [xavierUniform(), Math.sqrt(2 / 250)],
      [normal(0.02), 0.02],
    ] as const;
    for (const [init, expected] of deviations)
      expect(spread(init([50, 200], fans, generator)).deviation / expected).toBeCloseTo(1, 1);
  });

  it('are those of the seed', () => {
    const make = () => new MLP(5, 3, { hidden: [7], generator: new Generator(11) }).stateDict();
    expect(make()).toEqual(make());
  });
});

describe('networks', () => {
  it('ResNet-18 has the parameters it should have, and runs both ways', () => {
    const net = new ResNet18(10, { generator: new Generator(2) });
    expect(net.parameterCount()).toBe(11_173_962);
    scope(() => {
      const y = net.forward(randn([2, 32, 32, 3], { generator: new Generator(5) }));
      expect(y.shape).toEqual([2, 10]);
      y.square().sum().backward();
    });
    for (const [name, { grad }] of net.namedParameters()) {
      const values = grad?.floats() ?? [];
      expect([name, values.some((value) => value !== 0), values.every(Number.isFinite)]).toEqual([
        name,
        true,
        true,
      ]);
    }
    expect(net.features(zeros([2, 16, 16, 3])).shape).toEqual([2, 512]);
    net.dispose();
  });

  it('an MLP has the layers it was told, a residual adds', () => {
    const net = new MLP(4, 2, { hidden: [8, 8], norm: 'batch', activation: 'softplus', dropout: 0.1 });
    expect(net.layers.layers.map((layer) => layer.constructor.name).join(' ')).toBe(
      'Linear BatchNorm Dropout Linear BatchNorm Dropout Linear',
    );
    const plain = new MLP(4, 2, { hidden: [8], norm: 'layer', activation: 'gelu' });
    expect(plain.layers.layers.map((layer) => layer.constructor.name).join(' ')).toBe(
      'Linear LayerNorm GELU Linear',
    );
    expect(new Residual(new ReLU()).forward(tensor([-1, 2])).toArray()).toEqual([-1, 4]);
  });

  it('dropout leaves evaluation alone and keeps the mean in training', () => {
    const layer = new Dropout(0.25, { generator: new Generator(9) });
    const x = tensor(new Float32Array(10_000).fill(1));
    const y = layer.forward(x).floats();
    expect(new Set(y)).toEqual(new Set([0, Math.fround(1 / 0.75)]));
    expect(y.reduce((a, b) => a + b) / y.length).toBeCloseTo(1, 1);
    expect(layer.eval().forward(x).floats()).toEqual(x.floats());
  });
});
