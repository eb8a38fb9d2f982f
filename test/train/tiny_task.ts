/** A small task for the tests: a network with noise and a running mean, so that a resumed run must restore everything. */
import { randomBytes } from 'node:crypto';
import { mul, relu, sub } from '../../lib/autograd/index.js';
import { Module } from '../../lib/nn/module.js';
import { Buffer, Parameter } from '../../lib/nn/parameter.js';
import { Adam, SGD } from '../../lib/optim/index.js';
import { Generator, randn, type Tensor, tensor, zeros } from '../../lib/tensor/index.js';
import type { BatchSource, TrainTask } from '../../lib/train/index.js';

export class Dense extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(inputs: number, outputs: number, generator: Generator) {
    super();
    this.weight = new Parameter(randn([inputs, outputs], { generator }));
    this.bias = new Parameter(zeros([outputs]));
  }

  forward(x: Tensor): Tensor {
    return x.matmul(this.weight).add(this.bias);
  }
}

export class Net extends Module {
  readonly first: Dense;
  readonly last: Dense;
  /** Of the noise that was added in training. */
  readonly running = new Buffer(zeros([1]));

  constructor(generator: Generator) {
    super();
    this.first = new Dense(3, 8, generator);
    this.last = new Dense(8, 1, generator);
  }

  forward(x: Tensor): Tensor {
    const hidden = relu(this.first.forward(x));
    if (!this.training) return this.last.forward(hidden);
    const noise = randn([8]);
    const old = this.running.item();
    this.running.write(Float32Array.of(0.9 * old + 0.1 * noise.mean().item()));
    return this.last.forward(hidden.add(mul(noise, tensor([0.05]))));
  }
}

export interface Points {
  readonly x: Tensor;
  readonly y: Tensor;
}

/** 4 points a batch of y = x0 - 2 x1 + 1, by epoch and position. */
export class PointSource implements BatchSource<Points> {
  readonly batchesPerEpoch: number;

  constructor(batchesPerEpoch = 7) {
    this.batchesPerEpoch = batchesPerEpoch;
  }

  async *epoch(epoch: number, from: number): AsyncGenerator<Points> {
    for (let i = from; i < this.batchesPerEpoch; i++) {
      const x = randn([4, 3], { generator: new Generator(1000 * epoch + i) });
      const rows = x.toArray() as number[][];
      yield { x, y: tensor(rows.map(([a, b]) => [a! - 2 * b! + 1])) };
    }
  }
}

/** Regression with one optimiser for each layer. */
export class PointTask implements TrainTask<Points> {
  readonly net = new Net(new Generator(5));
  readonly modules = { net: this.net };
  readonly optimizers = {
    first: new Adam(this.net.first.parameters(), { lr: 0.05 }),
    last: new SGD(this.net.last.parameters(), { lr: 0.01, momentum: 0.9 }),
  };
  /** Called with each step's number. */
  onStep: ((step: number) => void) | undefined;

  step({ x, y }: Points, { step }: { step: number }): { loss: Tensor; metrics: Record<string, Tensor> } {
    this.onStep?.(step);
    const error = sub(this.net.forward(x), y);
    const loss = mul(error, error).mean();
    return { loss, metrics: { size: error.abs().mean() } };
  }

  evaluate(): Record<string, number> {
    return { one: this.net.forward(tensor([[1, 0, 0]])).item() };
  }

  dispose(): void {
    this.net.dispose();
    for (const optimizer of Object.values(this.optimizers)) optimizer.dispose();
  }
}

/** A name that no other test has. */
export function freshName(): string {
  return randomBytes(6).toString('hex');
}
