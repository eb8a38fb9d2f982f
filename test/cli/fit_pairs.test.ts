import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BinceReader } from '../../lib/codec/index.js';
import { trainProbe } from '../../lib/metrics/index.js';
import { normalRows, temporaryFolder, writeFvecs, writeNpy } from '../data/files.js';
import { fails, jsonLines, succeed } from './run_cli.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const [kRows, kChannels, kClusters] = [1200, 12, 8];

/** The centre of a row's cluster and noise: two views of a row share the centre. */
const centres = normalRows(kClusters * kChannels, 1).map((x) => 2 * x);
const clusterOf = (row: number) => row % kClusters;
const view = (seed: number) =>
  normalRows(kRows * kChannels, seed).map(
    (noise, i) => 0.5 * noise + centres[clusterOf(Math.floor(i / kChannels)) * kChannels + (i % kChannels)]!,
  );
writeNpy(at('x.npy'), view(2), kChannels);
writeFvecs(at('y.fvecs'), view(3), kChannels);
const fit = ['fit', at('x.npy'), '--pairs', at('y.fvecs'), '-o', at('run')];

async function codesOf(file: string): Promise<Float32Array> {
  await using reader = await BinceReader.open(at(file));
  return (await reader.rows(0, reader.length)) as Float32Array;
}

function meanDistance(a: Float32Array, b: Float32Array, shift: number): number {
  const width = a.length / kRows;
  let sum = 0;
  for (let row = 0; row < kRows; row++)
    for (let c = 0; c < width; c++)
      sum += (a[row * width + c]! - b[((row + shift) % kRows) * width + c]!) ** 2 / kRows;
  return sum;
}

describe('fit --pairs', () => {
  it('keeps what the views of a pair have in common', async () => {
    const settings = ['--steps', '300', '--z', '6', '--hidden', '32', '--batch', '64', '--lr', '0.003'];
    const { stdout } = await succeed(...fit, ...settings, '--beta', '0.2', '--json', '-q');
    expect(jsonLines(stdout)).toEqual([
      expect.objectContaining({ event: 'fitted', run: at('run'), pairs: kRows }),
    ]);
    await succeed('compress', at('x.npy'), '-m', at('run'), '-o', at('x.bince'), '-q');
    await succeed(
      'compress',
      at('y.fvecs'),
      '-m',
      join(at('run'), 'model.safetensors'),
      '-o',
      at('y.bince'),
      '-q',
    );
    const [x, y] = [await codesOf('x.bince'), await codesOf('y.bince')];
    expect(x).toHaveLength(6 * kRows);
    expect(meanDistance(x, y, 0)).toBeLessThan(0.5 * meanDistance(x, y, 1));
    const labels = Int32Array.from({ length: kRows }, (_, row) => clusterOf(row));
    const probe = await trainProbe({ features: x, labels }, { classes: kClusters, epochs: 40, batch: 128 });
    expect(probe.accuracy({ features: y, labels })).toBeGreaterThan(0.9);
    probe.dispose();
  });

  it.each([
    [
      'fewer rows',
      view(4).subarray(0, 60),
      kChannels,
      /has 5 rows of 12 channels, .*x.npy has 1,200 rows of 12/,
    ],
    ['narrower rows', view(4), 6, /has 2,400 rows of 6 channels/],
    [
      'NaN',
      Float32Array.from(view(4), (x, i) => (i === 40 ? Number.NaN : x)),
      kChannels,
      /row 3, channel 4 is NaN/,
    ],
  ])('refuses %s', async (name, values, channels, expected) => {
    const pairs = writeNpy(at(`${name}.npy`), values, channels);
    expect(await fails(1, 'fit', at('x.npy'), '--pairs', pairs, '-o', at('never'))).toMatch(expected);
    expect(existsSync(at('never'))).toBe(false);
  });

  it('refuses one pair, a missing file, and a folder with a run', async () => {
    const one = writeNpy(at('one.npy'), view(4).subarray(0, kChannels), kChannels);
    expect(await fails(1, 'fit', one, '--pairs', one, '-o', at('never'))).toMatch(
      /one pair, expected at least 2/,
    );
    const missing = at('missing.npy');
    expect(await fails(1, 'fit', at('x.npy'), '--pairs', missing, '-o', at('never'))).toMatch(/no such file/);
    expect(await fails(1, ...fit)).toMatch(/holds a run already/);
  });

  it('knows which options go together', async () => {
    expect(await fails(2, ...fit, '--bits', '100')).toMatch(/--bits does not go with --pairs/);
    expect(await fails(2, ...fit, '--batch', '1')).toMatch(/--batch|batch: expected at least 2/);
    expect(await fails(2, 'fit', at('x.npy'), '-o', at('never'), '--z', '4')).toMatch(
      /--z goes with --pairs/,
    );
  });
});
