import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { linearWarmup } from '../../lib/optim/index.js';
import { readMetrics } from '../../lib/report/index.js';
import { defaultGenerator, manualSeed, memory } from '../../lib/tensor/index.js';
import { readCheckpoint } from '../../lib/train/checkpoint.js';
import { readRun, Trainer, type TrainerOptions, type TrainSummary } from '../../lib/train/index.js';
import { temporaryFolder } from '../data/files.js';
import { freshName, PointSource, PointTask } from './tiny_task.js';

const folder = temporaryFolder();
const newRun = () => join(folder, freshName());
const kSteps = 30;
const settings: TrainerOptions = {
  ...{ steps: kSteps, schedule: linearWarmup(20), clipGradNorm: 1, logEvery: 4, seed: 3 },
  config: { system: 'points', beta: 0.1 },
};
const tasks: PointTask[] = [];

afterEach(() => {
  for (const task of tasks.splice(0)) task.dispose();
});

function makeTask(): PointTask {
  const task = new PointTask();
  tasks.push(task);
  return task;
}

function train(
  options: TrainerOptions,
  task = makeTask(),
  source = new PointSource(),
): Promise<TrainSummary> {
  return new Trainer(task, source, { ...settings, ...options }).fit();
}

/** Trains until `step` steps are done, then stops as a signal does. */
async function fitUntil(step: number, options: TrainerOptions): Promise<void> {
  const stop = new AbortController();
  const onStepEnd = (event: { step: number }) => {
    if (event.step + 1 === step) stop.abort(new Error('enough'));
  };
  await expect(train({ ...options, signal: stop.signal, callbacks: { onStepEnd } })).rejects.toThrow(
    'enough',
  );
}

/** Everything of a run that must not depend on how often it was stopped. */
async function outcome(out: string) {
  const { model, optimizer } = (await readCheckpoint(out))!;
  const { seconds: _, ...state } = JSON.parse(optimizer.metadata['state']!);
  const lines = await readMetrics(join(out, 'metrics.jsonl'));
  return { model: model.tensors, moments: optimizer.tensors, state, lines: lines.map(withoutSeconds) };
}

function withoutSeconds(line: Record<string, number>): Record<string, number> {
  const { seconds: _, ...rest } = line;
  return rest;
}

describe('a resumed run', () => {
  it.each([[[17]], [[7]], [[1, 14, 29]], [[30]]])('has the same bits after stops at %j', async (stops) => {
    const once = newRun();
    const summary = await train({ out: once });
    expect(summary).toMatchObject({ finished: true, step: kSteps, steps: kSteps, resumedFrom: 0 });
    const often = newRun();
    for (const [i, step] of stops.entries()) {
      manualSeed(99 + i);
      if (step < kSteps) await fitUntil(step, { out: often, resume: i > 0 });
      else await train({ out: often });
    }
    manualSeed(7);
    const resumed = await train({ out: often, resume: true });
    expect(resumed.resumedFrom).toBe(stops.at(-1));
    expect(await outcome(often)).toEqual(await outcome(once));
    expect(resumed).toMatchObject({ finished: true, loss: summary.loss, evaluation: summary.evaluation });
  });

  it('does the evaluation again in which it was stopped', async () => {
    const once = newRun();
    await train({ out: once });
    const out = newRun();
    const stop = new AbortController();
    const task = makeTask();
    const evaluate = task.evaluate.bind(task);
    let evaluations = 0;
    task.evaluate = () => {
      if (++evaluations < 2) return evaluate();
      defaultGenerator.next(8);
      stop.abort(new Error('in the evaluation'));
      throw stop.signal.reason;
    };
    await expect(train({ out, signal: stop.signal }, task)).rejects.toThrow('in the evaluation');
    expect(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'))).toMatchObject({
      finished: false,
      step: 14,
    });
    await train({ out, resume: true });
    expect(await outcome(out)).toEqual(await outcome(once));
  });

  it('cuts off metrics of steps after the checkpoint', async () => {
    const out = newRun();
    await fitUntil(17, { out });
    const path = join(out, 'metrics.jsonl');
    const before = await readMetrics(path);
    const later = { step: 20, epoch: 2.9, seconds: 9, loss: 1 };
    writeFileSync(
      path,
      `${before.map((line) => `${JSON.stringify(line)}\n`).join('')}${JSON.stringify(later)}\n{"st`,
    );
    await train({ out, resume: true });
    const lines = await readMetrics(path);
    expect(lines.slice(0, before.length)).toEqual(before);
    expect(lines.filter(({ step }) => step === 20).map(({ loss }) => loss)).not.toContain(1);
    expect(lines.at(-1)).toMatchObject({ step: kSteps, 'evaluation/one': expect.any(Number) });
  });

  it('is refused with another configuration, naming what differs', async () => {
    const out = newRun();
    await fitUntil(9, { out });
    const config = { system: 'points', beta: 0.2, lr: { start: 1 } };
    const refused = train({ out, resume: true, config });
    await expect(refused).rejects.toMatchObject({ code: 'BINCE_INVALID_ARGUMENT' });
    await expect(refused).rejects.toThrow(/another configuration: beta was 0.1, is 0.2; lr was not set, is/);
    await expect(train({ out, resume: true, steps: 31 })).rejects.toThrow(/steps was 30, is 31/);
    await expect(train({ out, resume: true }, makeTask(), new PointSource(9))).rejects.toThrow(
      /batchesPerEpoch was 7, is 9/,
    );
  });

  it('begins anew where it ended before its first checkpoint', async () => {
    const [once, out] = [newRun(), newRun()];
    await train({ out: once });
    const task = makeTask();
    task.onStep = () => {
      throw new Error('crash');
    };
    await expect(train({ out }, task)).rejects.toThrow('crash');
    await train({ out, resume: true });
    expect(await outcome(out)).toEqual(await outcome(once));
  });
});

describe('a run folder', () => {
  it('holds what its name says', async () => {
    const out = newRun();
    const checkpoints: number[] = [];
    const onCheckpoint = ({ step }: { step: number }) => void checkpoints.push(step);
    await train({ out, checkpointEvery: 5, callbacks: { onCheckpoint } });
    const names = readdirSync(out).map((name) => name.replace(/(tfevents).*/, '$1'));
    expect(names.sort()).toEqual(
      [
        'config.json',
        'events.out.tfevents',
        'metrics.jsonl',
        'model.safetensors',
        'optimizer.safetensors',
      ].concat('summary.json'),
    );
    expect(checkpoints).toEqual([5, 7, 10, 14, 15, 20, 21, 25, 28, 30]);
    expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toEqual(settings.config);
    const run = await readRun(out);
    expect(run).toMatchObject({ config: settings.config, step: kSteps });
    expect([...run.modules['net']!.keys()]).toEqual(
      expect.arrayContaining(['first.weight', 'last.bias', 'running']),
    );
    expect(await readRun(join(out, 'model.safetensors'))).toEqual(run);
  });

  it('is not overwritten by another run', async () => {
    const out = newRun();
    await train({ out });
    const second = train({ out });
    await expect(second).rejects.toThrow(/holds a run already/);
    await expect(second).rejects.toMatchObject({ hint: expect.stringContaining('--resume') });
    await expect(train({ out: newRun(), resume: true })).rejects.toThrow(/no run to resume/);
    await expect(train({ out: folder, resume: true })).rejects.toThrow(/no run folder/);
    await expect(readRun(folder)).rejects.toThrow(/no config.json/);
  });

  it.each(['model', 'optimizer'])('with a damaged %s file is refused', async (kind) => {
    const out = newRun();
    await fitUntil(9, { out });
    const path = join(out, `${kind}.safetensors`);
    const bytes = readFileSync(path);
    const refused = async (change: Buffer, message: RegExp) => {
      writeFileSync(path, change);
      const resumed = train({ out, resume: true });
      await expect(resumed).rejects.toMatchObject({ code: 'BINCE_CORRUPT_DATA' });
      await expect(resumed).rejects.toThrow(message);
    };
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 2]! ^= 1;
    await refused(flipped, /SHA-256/);
    const digit = bytes.indexOf('"step\\":9') + '"step\\":'.length;
    const changed = Buffer.from(bytes);
    changed[digit] = '8'.charCodeAt(0);
    await refused(changed, /SHA-256/);
    await refused(bytes.subarray(0, bytes.length - 3), /damaged checkpoint/);
    await refused(bytes.subarray(0, 5), /it has 5 bytes/);
    await refused(Buffer.alloc(0), /damaged checkpoint/);
    await rename(path, `${path}.away`);
    await expect(train({ out, resume: true })).rejects.toThrow(/is missing/);
  });

  it('recovers from a kill at any place of a replacement', async () => {
    const [out, next] = [newRun(), newRun()];
    const pair = ['model.safetensors', 'optimizer.safetensors'] as const;
    await fitUntil(9, { out });
    await fitUntil(16, { out: next });
    const keep = (name: string) => copyFile(join(out, name), join(out, `${name}.old`));
    for (const name of pair) await keep(name);
    const place = async (state: { [file: string]: 'old' | 'new' }) => {
      for (const name of readdirSync(out).filter((each) => each.endsWith('.next')))
        await rename(join(out, name), join(out, 'gone'));
      for (const [file, age] of Object.entries(state)) {
        const name = file.replace('.next', '');
        await copyFile(age === 'new' ? join(next, name) : join(out, `${name}.old`), join(out, file));
      }
      const { optimizer } = (await readCheckpoint(out))!;
      expect(readdirSync(out).filter((name) => name.includes('.next'))).toEqual([]);
      return (JSON.parse(optimizer.metadata['state']!) as { step: number }).step;
    };
    const [model, optimizer] = pair;
    expect(await place({ [model]: 'old', [optimizer]: 'old', [`${model}.next`]: 'new' })).toBe(9);
    const both = { [`${model}.next`]: 'new', [`${optimizer}.next`]: 'new' } as const;
    expect(await place({ [model]: 'old', [optimizer]: 'old', ...both })).toBe(16);
    expect(await place({ [model]: 'new', [optimizer]: 'old', [`${optimizer}.next`]: 'new' })).toBe(16);
    writeFileSync(join(out, `.${model}.next.0123.tmp`), 'torn');
    expect(await place({ [model]: 'new', [optimizer]: 'new' })).toBe(16);
    await copyFile(join(out, `${optimizer}.old`), join(out, optimizer));
    await expect(readCheckpoint(out)).rejects.toThrow(/not of one checkpoint/);
  });
});

describe('the loop', () => {
  it('learns, and tells its callbacks', async () => {
    const events: string[] = [];
    const task = makeTask();
    const summary = await train(
      {
        ...{ steps: undefined, epochs: 40, schedule: undefined, logEvery: 100 },
        callbacks: [
          { onEpochEnd: ({ epoch, step }) => void events.push(`epoch ${epoch} ${step}`) },
          { onFinish: ({ step }) => void events.push(`finish ${step}`) },
        ],
      },
      task,
    );
    expect(events.slice(0, 2)).toEqual(['epoch 0 7', 'epoch 1 14']);
    expect(events.at(-1)).toBe('finish 280');
    expect(summary.loss).toBeLessThan(0.3);
    expect(Math.abs(summary.evaluation['one']! - 2)).toBeLessThan(0.5);
    expect(summary.parameters).toBe(3 * 8 + 8 + 8 + 1);
  });

  it('gives the event loop its turns', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await train({ steps: 400 });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  it('shows its progress', async () => {
    const shown: number[] = [];
    let ended = 0;
    const update = (step: number, numbers: Readonly<Record<string, number>>) => {
      expect(numbers['loss']).toEqual(expect.any(Number));
      shown.push(step);
    };
    const progress = (total: number, done: number) => {
      expect([total, done]).toEqual([kSteps, 0]);
      return { update, end: () => void ended++ };
    };
    await train({ progress });
    expect(shown).toEqual(Array.from({ length: kSteps }, (_, i) => i + 1));
    expect(ended).toBe(1);
  });

  it('holds memory flat over 10,000 steps', async () => {
    const task = makeTask();
    const bytes: number[] = [];
    const onStepEnd = ({ step }: { step: number }) => {
      if (step % 2500 === 100) bytes.push(memory().bytes);
    };
    await train({ steps: 10_000, callbacks: { onStepEnd } }, task, new PointSource(3000));
    expect(bytes).toHaveLength(4);
    expect(new Set(bytes).size).toBe(1);
  });

  it('stops at once on a signal that was given before', async () => {
    const out = newRun();
    await expect(train({ out, signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
    expect(existsSync(out)).toBe(false);
  });

  it('refuses options and sources that cannot be', async () => {
    const task = makeTask();
    const make =
      (options: TrainerOptions, source = new PointSource()) =>
      () =>
        new Trainer(task, source, options);
    expect(make({})).toThrow(/one of epochs and steps/);
    expect(make({ epochs: 1, steps: 1 })).toThrow(/one of epochs and steps/);
    expect(make({ steps: 0 })).toThrow(/steps: expected a positive integer, received 0/);
    expect(make({ steps: 1, clipGradNorm: 0 })).toThrow(/clipGradNorm: expected a positive number/);
    expect(make({ steps: 1, resume: true })).toThrow(/out: expected the folder/);
    expect(make({ steps: 1 }, new PointSource(0))).toThrow(/batchesPerEpoch/);
    const trainer = make({ steps: 1 })();
    await trainer.fit();
    await expect(trainer.fit()).rejects.toThrow(/has been used/);
    const source = new PointSource(5);
    const short = { batchesPerEpoch: 7, epoch: source.epoch.bind(source) };
    await expect(new Trainer(task, short, { steps: 9 }).fit()).rejects.toThrow(/ended after 5 of 7 batches/);
  });
});
