import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { normalRows, temporaryFolder, writeFvecs, writeNpy, writeSafetensors } from '../data/files.js';
import { cli, jsonLines, succeed } from './run_cli.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const kRows = 600;
const kChannels = 8;
const values = normalRows(kRows * kChannels, 7);

function npyValues(bytes: Buffer): Float32Array {
  const start = 10 + bytes.readUInt16LE(8);
  return new Float32Array(new Uint8Array(bytes.subarray(start)).buffer);
}

beforeAll(async () => {
  writeNpy(at('x.npy'), values, kChannels);
  await succeed('fit', at('x.npy'), '-o', at('model.safetensors'), '--step', '0.25');
  await succeed(
    'compress',
    at('x.npy'),
    '-m',
    at('model.safetensors'),
    '-o',
    at('x.bince'),
    '--block-rows',
    '100',
  );
});

describe('help and version', () => {
  const commands = [
    'fit',
    'compress',
    'decompress',
    'inspect',
    'import compressai',
    'demo',
    'demo images',
    'demo vectors',
    'doctor',
    'build',
  ];

  it('lists every command', async () => {
    const { stdout } = await succeed('--help');
    for (const command of commands) expect(stdout).toContain(command.split(' ')[0]);
  });

  it.each(commands)('%s --help has examples', async (command) => {
    const { stdout } = await succeed(...command.split(' '), '--help');
    expect(stdout).toMatch(new RegExp(`Examples:\n  bince ${command}`));
    expect(stdout).toContain('--json');
  });

  it('prints the version of package.json', async () => {
    const { version } = JSON.parse(
      readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8'),
    );
    expect((await succeed('--version')).stdout).toBe(`${version}\n`);
  });

  it('without a command prints help and fails', async () => {
    const { code, stderr } = await cli([]);
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: bince');
  });
});

describe('the way of a file', () => {
  it('comes back within half a step', async () => {
    await succeed('decompress', at('x.bince'), '-o', at('back.npy'));
    const back = npyValues(readFileSync(at('back.npy')));
    expect(back.length).toBe(values.length);
    for (let i = 0; i < back.length; i++) expect(Math.abs(back[i]! - values[i]!)).toBeLessThan(0.1251);
  });

  it.each(['0:10', '95:205', '599:', ':1', '7:7'])('--rows %s gives those rows', async (range) => {
    await succeed('decompress', at('x.bince'), '-o', at('part.npy'), '--rows', range);
    await succeed('decompress', at('x.bince'), '-o', at('all.npy'));
    const all = npyValues(readFileSync(at('all.npy')));
    const [from, to] = range.split(':');
    const expected = all.subarray(Number(from) * kChannels, to ? Number(to) * kChannels : undefined);
    expect(npyValues(readFileSync(at('part.npy')))).toEqual(expected);
  });

  it('writes to stdout with -o -', async () => {
    const file = await cli([
      'compress',
      at('x.npy'),
      '-m',
      at('model.safetensors'),
      '-o',
      '-',
      '--block-rows',
      '100',
    ]);
    expect(file.code).toBe(0);
    expect(file.bytes.equals(readFileSync(at('x.bince')))).toBe(true);
    const rows = await cli(['decompress', at('x.bince'), '-o', '-', '--dtype', 'f2']);
    expect(rows.code).toBe(0);
    expect(rows.bytes.length % 64).toBe((kRows * kChannels * 2) % 64);
  });

  it('reads .fvecs and .safetensors to the same file', async () => {
    writeFvecs(at('x.fvecs'), values, kChannels);
    const data = new Uint8Array(values.buffer);
    writeSafetensors(at('x.safetensors'), { v: { dtype: 'F32', shape: [kRows, kChannels], data } });
    for (const name of ['x.fvecs', 'x.safetensors']) {
      await succeed(
        'compress',
        at(name),
        '-m',
        at('model.safetensors'),
        '-o',
        at('same.bince'),
        '--block-rows',
        '100',
      );
      expect(readFileSync(at('same.bince')).equals(readFileSync(at('x.bince')))).toBe(true);
    }
  });

  it('--backend and --threads change no byte', async () => {
    for (const more of [
      ['--backend', 'ref'],
      ['--threads', '1'],
      ['--threads', '3'],
    ]) {
      await succeed(
        'compress',
        at('x.npy'),
        '-m',
        at('model.safetensors'),
        '-o',
        at('b.bince'),
        '--block-rows',
        '100',
        ...more,
      );
      expect(readFileSync(at('b.bince')).equals(readFileSync(at('x.bince')))).toBe(true);
    }
  });

  it('leaves nothing where the backend is refused', async () => {
    const there = readdirSync(folder).sort();
    const command = ['compress', at('x.npy'), '-m', at('model.safetensors'), '-o', at('refused.bince')];
    const refused = await cli(command, { BINCE_BACKEND: 'none' });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('none');
    expect(readdirSync(folder).sort()).toEqual(there);
  });

  it('fits a bottleneck, the same for the same seed', async () => {
    const train = (name: string) =>
      succeed('fit', at('x.npy'), '-o', at(name), '--beta', '0.1', '--steps', '60', '--seed', '3', '--json');
    const [report] = jsonLines((await train('b1.safetensors')).stdout);
    expect(report).toMatchObject({ event: 'fitted', method: 'bottleneck', channels: kChannels, beta: 0.1 });
    await train('b2.safetensors');
    expect(readFileSync(at('b1.safetensors')).equals(readFileSync(at('b2.safetensors')))).toBe(true);
    const written = await succeed(
      'compress',
      at('x.npy'),
      '-m',
      at('b1.safetensors'),
      '-o',
      at('b.bince'),
      '--json',
    );
    expect(jsonLines(written.stdout)[0]).toMatchObject({ rows: kRows });
  });

  it('imports a CompressAI bottleneck', async () => {
    const state = new URL('../golden/clip_bottleneck_b005/factorized_rate.safetensors', import.meta.url);
    const { stdout } = await succeed(
      'import',
      'compressai',
      fileURLToPath(state),
      '-o',
      at('clip.safetensors'),
      '--json',
    );
    expect(jsonLines(stdout)[0]).toMatchObject({ event: 'imported', channels: 512, storedTables: false });
    expect(jsonLines(stdout)[0]!['idealBitsPerRow']).toBeCloseTo(1370, -1);
  });
});

describe('doctor', () => {
  it('tests every backend', async () => {
    const [found] = jsonLines((await succeed('doctor', '--json')).stdout);
    const { native, selfTest } = found as {
      native: { backends: string[] };
      selfTest: Record<string, string>;
    };
    expect(selfTest).toEqual(Object.fromEntries(native.backends.map((name) => [name, 'ok'])));
  });

  it('tells why there is no CUDA, which is no problem', async () => {
    const env = { BINCE_CUDA_LIBRARY: '/nowhere/libbince_cuda.so' };
    const { code, stdout } = await cli(['doctor', '--json'], env);
    expect(code).toBe(0);
    const found = jsonLines(stdout)[0] as { cuda: { devices: unknown[]; reason: string } };
    expect(found.cuda.devices).toEqual([]);
    expect(found.cuda.reason).toMatch(/was not found at \/nowhere.*bince build --cuda/);
  });
});

describe('output', () => {
  it('compress tells speed, bits, ideal bits and ratio', async () => {
    const args = ['compress', at('x.npy'), '-m', at('model.safetensors'), '-o', at('y.bince')];
    const { stdout } = await succeed(...args);
    expect(stdout).toMatch(/rows\/s/);
    expect(stdout).toMatch(/bits a row .*ideal/);
    const [line] = jsonLines((await succeed(...args, '--json')).stdout);
    const { ratio, bitsPerRow, idealBitsPerRow, bytes } = line as Record<string, number>;
    expect(bitsPerRow).toBeCloseTo((8 * bytes!) / kRows, 6);
    expect(ratio).toBeCloseTo((kRows * kChannels * 4) / bytes!, 6);
    expect(idealBitsPerRow).toBeLessThan(bitsPerRow!);
    expect(idealBitsPerRow).toBeGreaterThan(0.5 * bitsPerRow!);
  });

  it('compress and decompress tell throughput and what the stages took', async () => {
    for (const args of [
      ['compress', at('x.npy'), '-m', at('model.safetensors'), '-o', at('y.bince')],
      ['decompress', at('x.bince'), '-o', at('y.npy')],
    ]) {
      const { stdout } = await succeed(...args);
      expect(stdout).toMatch(/^speed +[\d,.]+ rows\/s, [\d,.]+ Msymbol\/s, .+B\/s of values \(.+ s\)$/m);
      const stage = '[\\d.]+ m?s \\(\\d+%\\)';
      expect(stdout).toMatch(
        new RegExp(
          `^at work +reading ${stage}, coding ${stage}, writing ${stage}, syncing ${stage}; stages overlap$`,
          'm',
        ),
      );
      const [line] = jsonLines((await succeed(...args, '--json')).stdout);
      const { seconds, rowsPerSecond, symbolsPerSecond, bytesPerSecond } = line as Record<string, number>;
      expect(rowsPerSecond! * seconds!).toBeCloseTo(kRows, 3);
      expect(symbolsPerSecond! * seconds!).toBeCloseTo(kRows * kChannels, 3);
      expect(bytesPerSecond! * seconds!).toBeCloseTo(4 * kRows * kChannels, 3);
      const stages = line!['stages'] as Record<string, { seconds: number; share: number }>;
      expect(Object.keys(stages)).toEqual(['reading', 'coding', 'writing', 'syncing']);
      for (const stage of Object.values(stages)) {
        expect(stage.seconds).toBeGreaterThan(0);
        expect(stage.seconds).toBeLessThan(seconds!);
        expect(stage.share).toBeCloseTo(stage.seconds / seconds!, 9);
      }
    }
  });

  it.each([
    ['doctor'],
    ['inspect', at('x.bince')],
    ['inspect', at('x.bince'), '--verify', '--recover'],
    ['inspect', at('model.safetensors')],
    ['decompress', at('x.bince'), '-o', at('j.npy')],
    ['fit', at('x.npy'), '-o', at('j.safetensors'), '--bits', '12'],
  ])('%s %s --json writes JSON lines alone', async (...args) => {
    const { stdout } = await succeed(...args, '--json');
    expect(jsonLines(stdout).length).toBe(1);
  });

  it('errors are JSON too', async () => {
    const { stdout, stderr, code } = await cli(['inspect', at('none'), '--json']);
    expect(jsonLines(stdout)[0]).toMatchObject({ event: 'error', code: 'BINCE_NOT_FOUND' });
    expect(stderr).toContain('error:');
    expect(code).toBe(1);
  });

  it('respects NO_COLOR and FORCE_COLOR', async () => {
    const sgr = '\u001b[';
    expect((await cli(['inspect', at('x.bince')])).stdout).not.toContain(sgr);
    const colored = await cli(['inspect', at('x.bince')], { NO_COLOR: '', FORCE_COLOR: '1' });
    expect(colored.stdout).toContain(sgr);
  });

  it('knows a model by its content', async () => {
    writeFileSync(at('model.renamed'), readFileSync(at('model.safetensors')));
    expect((await succeed('inspect', at('model.renamed'))).stdout).toMatch(/^model .*ecsq/);
  });

  it('leaves no temporary file behind', () => {
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('damaged files', () => {
  it('inspect --verify names the block, and fails', async () => {
    const bytes = readFileSync(at('x.bince'));
    bytes[bytes.length >> 1]! ^= 16;
    writeFileSync(at('flipped.bince'), bytes);
    const { code, stdout } = await cli(['inspect', at('flipped.bince'), '--verify', '--json']);
    expect(code).toBe(1);
    expect(jsonLines(stdout)[0]).toMatchObject({ verification: { ok: false, bad: [{ rows: 100 }] } });
  });

  it('decompress --recover leaves out a damaged block alone', async () => {
    const bytes = readFileSync(at('x.bince'));
    bytes[bytes.length >> 1]! ^= 16;
    writeFileSync(at('flipped.bince'), bytes);
    const refused = await cli(['decompress', at('flipped.bince'), '-o', at('good.npy')]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/flipped\.bince: block \d[\s\S]*hint: .*--recover/);
    const { stdout, stderr } = await succeed(
      ...['decompress', at('flipped.bince'), '-o', at('good.npy'), '--recover', '--json'],
    );
    expect(jsonLines(stdout)[0]).toMatchObject({ rows: 500, lost: 100 });
    const first = Number(/rows (\d+) to \d+ are lost/.exec(stderr)?.[1]);
    await succeed('decompress', at('x.bince'), '-o', at('whole.npy'));
    const whole = npyValues(readFileSync(at('whole.npy')));
    const expected = whole.filter((_, i) => i < first * kChannels || i >= (first + 100) * kChannels);
    expect(npyValues(readFileSync(at('good.npy')))).toEqual(expected);
  });

  it('a file that was cut off is recovered up to its last whole block', async () => {
    writeFileSync(at('cut.bince'), readFileSync(at('x.bince')).subarray(0, -300));
    const refused = await cli(['decompress', at('cut.bince'), '-o', at('cut.npy')]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/hint: .*--recover/);
    const { stdout } = await succeed('inspect', at('cut.bince'), '--recover');
    expect(stdout).toMatch(/recovered: \d whole blocks, \d00 rows/);
    await succeed('decompress', at('cut.bince'), '-o', at('cut.npy'), '--recover');
    const rows = npyValues(readFileSync(at('cut.npy')));
    await succeed('decompress', at('x.bince'), '-o', at('whole.npy'));
    expect(rows).toEqual(npyValues(readFileSync(at('whole.npy'))).subarray(0, rows.length));
    expect(rows.length % (100 * kChannels)).toBe(0);
  });
});
