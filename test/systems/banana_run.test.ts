import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { BinceReader, loadModel } from '../../lib/codec/index.js';
import {
  bananaBatch,
  bananaCells,
  codecOf,
  evaluateRun,
  openRun,
  resolveConfig,
  trainRun,
} from '../../lib/systems/lossless-prediction/index.js';
import type { TrainSummary } from '../../lib/train/index.js';
import { temporaryFolder } from '../data/files.js';

const folder = temporaryFolder();
const out = join(folder, 'vic');
const config = resolveConfig({
  ...{ system: 'vic', data: 'banana', hidden: 64, batch: 256, steps: 1000, lr: 3e-3, lrDecay: 100, seed: 2 },
});
let summary: TrainSummary;

beforeAll(async () => {
  summary = await trainRun(config, { out });
});

describe('VIC on the banana, trained small', () => {
  it('reaches a loss', () => {
    expect(summary).toMatchObject({ finished: true, step: 1000 });
    expect(summary.metrics['distortion']).toBeLessThan(0.15);
    expect(summary.metrics['bits']).toBeLessThan(3.5);
  });

  it("writes files within 1% and 0.1 bit of the model's rate, and tells what they cost", async () => {
    const run = await openRun(out);
    const evaluation = await evaluateRun(run, { examples: 2 ** 16 });
    run.dispose();
    const { modelBits, fileBits, fileBytes, meanSquaredError, rateInvariance, distinctCodes } = evaluation;
    expect(evaluation).toMatchObject({ system: 'vic', data: 'banana', examples: 2 ** 16, rawBits: 64 });
    expect(fileBits).toBeLessThan(1.01 * modelBits + 0.1);
    // Tables count symbols, which may be better than densities that are not done learning.
    expect(fileBits).toBeGreaterThan(0.7 * modelBits);
    expect(statSync(join(out, 'test.bince')).size).toBe(fileBytes);
    expect(meanSquaredError).toBeLessThan(0.15);
    expect(distinctCodes).toBeGreaterThan(3);
    expect(distinctCodes).toBeLessThan(500);
    expect(rateInvariance).toMatchObject({ kind: 'continuous', rate: modelBits });
    // Close above the bound, which noise in its estimate may reach.
    expect(rateInvariance!.bitsAbove).toBeGreaterThan(-0.1);
    expect(rateInvariance!.bitsAbove).toBeLessThan(1.5);
    expect(JSON.parse(readFileSync(join(out, 'eval.json'), 'utf8'))).toEqual(evaluation);
  });

  it('gives equivalent points the same code, mostly', async () => {
    const run = await openRun(out);
    const { ids } = await bananaCells(run, { resolution: 61 });
    // Cells at one distance from the origin, all around it.
    const radius = 3;
    const codes = new Map<number, number>();
    for (let k = 0; k < 60; k++) {
      const [x, y] = [radius * Math.cos(k / 10), radius * Math.sin(k / 10)];
      const column = Math.floor(((x + 7) / 12) * 61);
      const row = Math.floor(((y + 7.5) / 12) * 61);
      const id = ids[row * 61 + column]!;
      codes.set(id, (codes.get(id) ?? 0) + 1);
    }
    expect(Math.max(...codes.values())).toBeGreaterThan(25);
    run.dispose();
  });

  it('draws cells of all codes', async () => {
    const run = await openRun(out);
    const picture = await bananaCells(run, { resolution: 40, samples: 10 });
    run.dispose();
    expect(picture).toMatchObject({ width: 40, height: 40, extent: [-7, 5, -7.5, 4.5] });
    expect(picture.ids).toHaveLength(1600);
    expect(picture.samples).toHaveLength(20);
    expect(picture.codes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 10);
    for (const { x, y } of picture.codes) expect(Number.isFinite(x + y)).toBe(true);
  });
});

describe('a run', () => {
  it('opens by its model too, and writes into its folder', async () => {
    const copy = join(folder, 'copy');
    mkdirSync(copy);
    for (const name of ['config.json', 'model.safetensors', 'optimizer.safetensors'])
      copyFileSync(join(out, name), join(copy, name));
    const run = await openRun(join(copy, 'model.safetensors'));
    expect(run).toMatchObject({ folder: copy, step: 1000, shape: [2], config: { system: 'vic' } });
    await evaluateRun(run, { examples: 1000 });
    run.dispose();
    for (const name of ['eval.json', 'test.bince', 'codec.safetensors'])
      expect(existsSync(join(copy, name))).toBe(true);
    await using reader = await BinceReader.open(join(copy, 'test.bince'));
    expect(reader.length).toBe(1000);
  });

  it('makes its codec anew after it was trained further', async () => {
    const later = join(folder, 'later');
    const controller = new AbortController();
    const stop = { onStepEnd: ({ step }: { step: number }) => step === 19 && controller.abort() };
    const options = { out: later, signal: controller.signal, callbacks: stop as object };
    const short = { ...config, steps: 40 };
    await expect(trainRun(short, options)).rejects.toThrow();
    const codecs = [];
    for (const step of [20, 40]) {
      if (step === 40) await trainRun(short, { out: later, resume: true });
      const run = await openRun(later);
      expect(run.step).toBe(step);
      codecs.push(await codecOf(run));
      expect(codecs.at(-1)!.metadata).toEqual({});
      expect(await codecOf(run)).toEqual(codecs.at(-1));
      run.dispose();
      expect((await loadModel(join(later, 'codec.safetensors'))).metadata).toEqual({ step });
    }
    expect(codecs[0]!.step).not.toEqual(codecs[1]!.step);
  });

  it('is not there: says so', async () => {
    await expect(openRun(join(folder, 'missing'))).rejects.toMatchObject({ code: 'BINCE_NOT_FOUND' });
    await expect(openRun(join(folder, 'copy', 'config.json'))).rejects.toMatchObject({
      name: 'BinceError',
    });
  });

  it('has a codec only where codes are factorised', async () => {
    const hyper = join(folder, 'hyper');
    const settings = { system: 'vic', data: 'banana', rateModel: 'hyperprior', hidden: 8 } as const;
    await trainRun(resolveConfig({ ...settings, batch: 16, steps: 2 }), { out: hyper });
    const run = await openRun(hyper);
    await expect(codecOf(run)).rejects.toThrow(/hyperprior/);
    run.dispose();
  });
});

describe('BINCE and VC on the banana', () => {
  it.each(['vc', 'bince'] as const)('%s trains and is measured', async (system) => {
    const path = join(folder, system);
    const small = { hidden: 16, batch: 64, steps: 60, seed: 1 };
    const { metrics } = await trainRun(resolveConfig({ system, data: 'banana', ...small }), { out: path });
    expect(Number.isFinite(metrics[system === 'vc' ? 'distortion' : 'contrastive'])).toBe(true);
    const run = await openRun(path);
    const evaluation = await evaluateRun(run, { examples: 2000 });
    expect(evaluation.fileBits).toBeGreaterThan(0);
    expect('meanSquaredError' in evaluation).toBe(system === 'vc');
    expect('rateInvariance' in evaluation).toBe(false);
    const { codes, samples } = await bananaCells(run, { resolution: 10 });
    expect(codes.length > 0).toBe(system === 'vc');
    expect(samples.slice(0, 2)).toEqual(bananaBatch(0x7e57_0001n, 0, 1, 'rotation').points);
    run.dispose();
  });
});
