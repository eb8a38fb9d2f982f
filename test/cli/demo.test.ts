import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { imagesTable } from '../../lib/cli/demo/images_table.js';
import { temporaryFolder } from '../data/files.js';
import { fails, finished, jsonLines, startCli, succeed } from './run_cli.js';

const folder = temporaryFolder();
const at = (...names: string[]) => join(folder, ...names);

describe('demo', () => {
  it('trains, compresses, measures and draws, at reduced size', async () => {
    const out = at('kept');
    const { stdout } = await succeed('demo', '--quick', '--out', out, '--json', '-q');
    const [result, ...others] = jsonLines(stdout);
    expect(others).toEqual([]);
    expect(result).toMatchObject({ event: 'demo', quick: true, out, pixels: { rawBits: 6272 } });
    const { pngBits, webpBits } = result!['pixels'] as Record<string, number>;
    for (const bits of [pngBits, webpBits]) expect(bits).toBeLessThan(6272);
    const systems = result!['systems'] as Record<string, number>[];
    expect(systems.map(({ system }) => system)).toEqual(['vc', 'vic', 'bince']);
    for (const { system, examples, fileBits, fileBytes, linearProbe } of systems) {
      expect(readFileSync(join(out, String(system), 'test.bince'))).toHaveLength(fileBytes!);
      expect(fileBits).toBeCloseTo((8 * fileBytes!) / examples!, 10);
      expect(fileBits).toBeLessThan(webpBits!);
      expect(linearProbe).toBeGreaterThan(0.05);
    }
    expect(readdirSync(join(out, 'plots'))).toEqual(
      expect.arrayContaining(['rate-accuracy.svg', 'vc-reconstructions.svg', 'vic-reconstructions.svg']),
    );
    expect(readdirSync(folder)).toEqual(['kept']);
  });

  it('explains its table', () => {
    const system = { examples: 500, modelBits: 30, fileBits: 31.36, fileBytes: 1960, trainSeconds: 3 };
    const table = (pixels: object) =>
      imagesTable({
        pixels: { rawBits: 6272, linearProbe: 0.25, ...pixels },
        systems: (['vc', 'vic', 'bince'] as const).map((name) => ({
          ...system,
          system: name,
          linearProbe: 0.9,
        })),
        ...{ quick: false, seconds: 200 },
      });
    const text = table({ pngBits: 2400, webpBits: 2100 });
    for (const row of [
      /^raw.* 6272.0 +100.0% +- +25.00%$/m,
      /^WebP.* 2100.0 +33.5%/m,
      /^BINCE, .* 31.4 +0.5% +30.0 +90.00%$/m,
    ])
      expect(text).toMatch(row);
    expect(text).toMatch(
      /67.0 times fewer bits .* and 200 times fewer than the pixels:\n1.96 kB for all 500 images/,
    );
    expect(text).toMatch(/took 3 min 20 s/);
    expect(table({ pngBits: 2400 })).toMatch(/^WebP.* npm i sharp/m);
  });

  it('stops on Ctrl-C and leaves nothing', async () => {
    mkdirSync(at('stopped'));
    const child = startCli(['demo', '--quick', '--epochs', '9', '--out', at('stopped', 'demo')]);
    let seen = '';
    let sent = false;
    child.stderr!.on('data', (chunk: Buffer) => {
      seen += chunk;
      if (!sent && /training vc/.test(seen)) sent = child.kill('SIGINT');
    });
    expect((await finished(child)).code).toBe(130);
    expect(readdirSync(at('stopped'))).toEqual([]);
  });

  it('does not write over what is there', async () => {
    mkdirSync(at('full'));
    writeFileSync(at('full', 'mine.txt'), 'x');
    expect(await fails(1, 'demo', '--quick', '--out', at('full'))).toMatch(
      /holds something already \(mine.txt\)/,
    );
    expect(await fails(1, 'demo', '--quick', '--out', at('full', 'mine.txt'))).toMatch(/mine.txt/);
    expect(await fails(2, 'demo', 'pictures')).toMatch(/^hint: /m);
    expect(await fails(2, 'demo', '--epochs', '0')).toMatch(/an integer from 1/);
    expect(existsSync(at('full', 'vc'))).toBe(false);
  });
});
