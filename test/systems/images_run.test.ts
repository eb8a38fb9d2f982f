import { statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { BinceReader } from '../../lib/codec/index.js';
import {
  compressImages,
  type Evaluation,
  evaluatePixels,
  evaluateRun,
  openRun,
  type Run,
  reconstructions,
  resolveConfig,
  trainRun,
} from '../../lib/systems/lossless-prediction/index.js';
import { normalRows, temporaryFolder, writeNpy } from '../data/files.js';
import { kClasses, kSide, writeBars } from './synthetic_images.js';

const folder = temporaryFolder();
const data = writeBars(folder, { train: 400, test: 120 });
const small = {
  ...{ data, convolutions: [4, 8], hidden: 16, z: 8, batch: 32, lr: 3e-3, seed: 1 },
  ...{ augmentation: [{ affine: { translate: 0.05 } }], trainingSteps: [], pose: false },
} as const;
const systems = { vc: { steps: 100 }, vic: { steps: 100 }, bince: { steps: 100, beta: 0.2 } } as const;
const names = Object.keys(systems) as (keyof typeof systems)[];
const probes = { probeEpochs: 120, probeViews: 1, losslessImages: 20 };

async function withRun<T>(name: string, use: (run: Run) => Promise<T>): Promise<T> {
  const run = await openRun(join(folder, name));
  try {
    return await use(run);
  } finally {
    run.dispose();
  }
}

const evaluations = new Map<string, Evaluation>();

beforeAll(async () => {
  for (const system of names) {
    await trainRun(resolveConfig({ system, ...small, ...systems[system] }), { out: join(folder, system) });
    evaluations.set(
      system,
      await withRun(system, (run) => evaluateRun(run, { ...probes, reconstructions: system === 'vic' })),
    );
  }
});

describe.each(names)('%s on images', (system) => {
  it('keeps what tells them apart, in a file', () => {
    const evaluation = evaluations.get(system)!;
    expect(evaluation).toMatchObject({ system, data, examples: 120, rawBits: 8 * kSide * kSide });
    expect(evaluation.linearProbe).toBeGreaterThan(0.9);
    expect(evaluation.mlpProbe).toBeGreaterThan(0.9);
    expect(evaluation.fileBits).toBeCloseTo(
      (8 * statSync(join(folder, system, 'test.bince')).size) / 120,
      10,
    );
    expect(evaluation.fileBytes * 8).toBeLessThan(120 * evaluation.rawBits);
    expect(evaluation.excessBayesRisk).toBeLessThan(0.2);
    expect(evaluation.rateInvariance).toMatchObject({ kind: 'discrete', entropy: Math.log2(kClasses) });
    expect('reconstructionAccuracy' in evaluation).toBe(system === 'vic');
    expect('meanSquaredError' in evaluation).toBe(system !== 'bince');
  });

  it('stands beside PNG and WebP', () => {
    const { pngBits, webpBits, rawBits } = evaluations.get(system)!;
    for (const bits of [pngBits!, webpBits!]) {
      expect(bits).toBeGreaterThan(0.3 * rawBits);
      expect(bits).toBeLessThan(2 * rawBits);
    }
  });

  it('compresses images as they are, of both splits', async () => {
    await withRun(system, async (run) => {
      const out = join(folder, `${system}.bince`);
      expect(await compressImages(run, data, out)).toMatchObject({ examples: 120 });
      const { bytes } = await compressImages(run, data, out, { split: 'train' });
      expect(statSync(out).size).toBe(bytes);
      await using reader = await BinceReader.open(out);
      expect([reader.length, (await reader.rows(3, 4)).length]).toEqual([400, 8]);
    });
  });

  it('shows reconstructions where it has a decoder', async () => {
    const { rows, width, height, channels } = await withRun(system, (run) => reconstructions(run, 5));
    expect([width, height, channels]).toEqual([kSide, kSide, 1]);
    expect(rows.map(({ label }) => label)).toEqual(
      system === 'bince' ? [] : ['image', 'augmented', 'decoded'],
    );
    for (const { images } of rows) {
      expect(images).toHaveLength(5 * kSide * kSide);
      expect(images.every((value) => value >= 0 && value <= 1)).toBe(true);
    }
  });
});

describe('evaluations', () => {
  it('leave out what is not asked for', async () => {
    const options = { ...probes, examples: 40, losslessImages: 0, mlpProbe: false, reconstructions: false };
    const evaluation = await withRun('vic', (run) => evaluateRun(run, options));
    expect(evaluation.examples).toBe(40);
    for (const name of ['mlpProbe', 'pngBits', 'webpBits', 'reconstructionAccuracy'])
      expect(name in evaluation).toBe(false);
  });

  it('stop where they are told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await withRun('vic', async (run) => {
      await expect(evaluateRun(run, { signal })).rejects.toThrow('enough');
    });
  });

  it('measure the pixels by the same stick', async () => {
    const config = resolveConfig({ system: 'vc', ...small, epochs: 1 });
    const pixels = await evaluatePixels(config, probes);
    const { pngBits, webpBits } = evaluations.get('vc')!;
    expect(pixels).toMatchObject({ rawBits: 8 * kSide * kSide, pngBits, webpBits });
    expect(pixels.linearProbe).toBeGreaterThan(0.95);
  });
});

describe('bad input', () => {
  it('images of another size', async () => {
    const path = writeNpy(join(folder, 'rows.npy'), normalRows(20, 1), 4);
    await withRun('vic', async (run) => {
      await expect(compressImages(run, path, join(folder, 'no.bince'))).rejects.toThrow(
        /examples of 4, expected 12 x 12 x 1/,
      );
    });
  });

  it('data that are missing, and batches that they do not fill', async () => {
    const missing = resolveConfig({ system: 'vic', ...small, data: join(folder, 'nosuch.npy'), epochs: 1 });
    await expect(trainRun(missing)).rejects.toThrow(/no such file/);
    const large = resolveConfig({ system: 'vic', ...small, batch: 500, epochs: 1 });
    await expect(trainRun(large)).rejects.toThrow(/400 examples do not fill a batch of 500/);
  });

  it('a network for images over vectors, and contrasts without pairs', async () => {
    const path = join(folder, 'rows.npy');
    const vectors = { ...small, data: path, batch: 2, epochs: 1 };
    await expect(trainRun(resolveConfig({ system: 'vc', ...vectors }))).rejects.toThrow(/for images/);
    const contrast = resolveConfig({ system: 'bince', ...vectors, network: 'mlp' });
    await expect(trainRun(contrast)).rejects.toThrow(/needs pairs/);
  });
});
