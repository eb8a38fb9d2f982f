// Run by kill.test.ts: trains a small network into a run folder.   child_run.mjs FOLDER begin|resume
// Prints a line after each checkpoint, so that whoever started it knows when to kill it.

import { Generator, randn } from '../../dist/index.js';
import { Module } from '../../dist/nn/module.js';
import { Parameter } from '../../dist/nn/parameter.js';
import { AdamW } from '../../dist/optim/index.js';
import { Trainer } from '../../dist/train/index.js';

class Line extends Module {
  constructor() {
    super();
    this.weight = new Parameter(randn([3, 1], { generator: new Generator(1) }));
  }
  forward(x) {
    return x.matmul(this.weight);
  }
}

const [out, how] = process.argv.slice(2);
const line = new Line();
const task = {
  modules: { line },
  optimizers: { all: new AdamW(line.parameters(), { lr: 0.01 }) },
  step(x) {
    const error = line.forward(x).add(randn([8, 1])); // noise from the default generator
    return { loss: error.mul(error).mean() };
  },
};
const source = {
  batchesPerEpoch: 40,
  async *epoch(epoch, from) {
    for (let i = from; i < 40; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1)); // a loader takes its time, which a kill may hit
      yield randn([8, 3], { generator: new Generator(1000 * epoch + i) });
    }
  },
};
const onCheckpoint = ({ step }) => process.stdout.write(`${step}\n`);
await new Trainer(task, source, {
  ...{ out, resume: how === 'resume', steps: 120, seed: 1, checkpointEvery: 3, logEvery: 1 },
  ...{ config: { name: 'child' }, callbacks: { onCheckpoint } },
}).fit();
