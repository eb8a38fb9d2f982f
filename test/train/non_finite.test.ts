import { afterEach, describe, expect, it } from 'vitest';
import { log, mul, sqrt } from '../../lib/autograd/index.js';
import { Module } from '../../lib/nn/module.js';
import { Parameter } from '../../lib/nn/parameter.js';
import { type Optimizer, SGD } from '../../lib/optim/index.js';
import { Generator, memory, type Tensor, tensor, zeros } from '../../lib/tensor/index.js';
import { Trainer, type TrainTask } from '../../lib/train/index.js';
import { Dense, PointSource, type Points } from './tiny_task.js';

class Logarithm extends Module {
  offset = 1e6;
  forward(x: Tensor): Tensor {
    return log(x.add(tensor([this.offset])));
  }
}

class Net extends Module {
  readonly body = [new Dense(3, 4, new Generator(1)), new Logarithm()] as const;
  readonly last = new Dense(4, 1, new Generator(2));
  readonly loose = new Parameter(zeros([2]));
  forward(x: Tensor): Tensor {
    return this.last.forward(this.body[1].forward(this.body[0].forward(x)));
  }
}

let task: FaultyTask;

class FaultyTask implements TrainTask<Points> {
  readonly net = new Net();
  readonly modules = { net: this.net };
  readonly optimizers: Record<string, Optimizer>;
  /** Does something wrong at step 4. */
  fault: ((batch: Points) => Tensor | undefined) | undefined;

  constructor(lr: number) {
    this.optimizers = { all: new SGD(this.net.parameters(), { lr }) };
  }

  step(batch: Points, { step }: { step: number }): { loss: Tensor } {
    const extra = step === 4 ? this.fault?.(batch) : undefined;
    const output = this.net.forward(batch.x);
    const loss = mul(output, output).mean();
    return { loss: extra ? loss.add(extra) : loss };
  }
}

afterEach(() => {
  task.net.dispose();
  for (const optimizer of Object.values(task.optimizers)) optimizer.dispose();
});

/** The message with which a training ends at step 5, counted from 1. */
async function failure(fault: FaultyTask['fault'], lr = 1e-6, clipGradNorm?: number): Promise<string> {
  task = new FaultyTask(lr);
  task.fault = fault;
  const before = memory().tensors;
  const { forward } = task.net;
  const trainer = new Trainer(task, new PointSource(), { steps: 20, clipGradNorm });
  const error = await trainer.fit().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'BINCE_INVALID_VALUE', hint: expect.stringMatching(/learning rate/) });
  task.net.zeroGrad();
  expect(memory().tensors).toBe(before);
  expect(task.net.forward).toBe(forward);
  expect(Object.hasOwn(task.net, 'forward')).toBe(false);
  return (error as Error).message;
}

describe('a loss that is not finite stops with the step and', () => {
  it('the layer and the operation', async () => {
    const message = await failure(() => {
      task.net.body[1].offset = -1e6;
      return undefined;
    });
    expect(message).toBe(
      'step 5 (epoch 0): the loss is NaN; it began in the layer net.body.1 (Logarithm): log made NaN at element 0 of [4, 4]',
    );
  });

  it('the operation, where it is in no layer', async () => {
    const message = await failure(({ y }) => log(y.sum().mul(tensor([0]))));
    expect(message).toMatch(/the loss is -Infinity; it began outside of the layers: log made -Infinity/);
  });

  it('the value of the batch', async () => {
    const message = await failure(({ x }) => {
      const data = x.floats();
      data[7] = Number.NaN;
      x.write(data);
      return undefined;
    });
    expect(message).toMatch(
      /step 5 .*the loss is NaN; batch\.x \[4, 3\] is NaN at element 7, as it was given/,
    );
  });

  it('the parameter that an update broke', async () => {
    const message = await failure(undefined, 3e38);
    expect(message).toMatch(/step \d .*; net\.(body\.0|last)\.(weight|bias) \[.*\] is .* since the update/);
  });

  it('the parameter whose gradient is not finite', async () => {
    const message = await failure(() => sqrt(mul(task.net.loose, task.net.loose)).mean(), 1e-6, 1);
    expect(message).toBe(
      'step 5 (epoch 0): the norm of the gradients is NaN; the gradient of net.loose [2] is NaN at element 0, first in the backward pass',
    );
  });
});
