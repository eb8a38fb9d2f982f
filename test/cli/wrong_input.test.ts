import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { bytesOf, normalRows, npyBytes, temporaryFolder, writeNpy } from '../data/files.js';
import { cli, fails, finished, startCli, succeed } from './run_cli.js';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const header = (shape: string, descr = '<f4') =>
  `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;

beforeAll(async () => {
  writeNpy(at('x.npy'), normalRows(400, 1), 4);
  writeNpy(at('wide.npy'), normalRows(500, 1), 5);
  const bad = normalRows(400, 1);
  bad[4 * 33] = Number.NaN;
  writeNpy(at('nan.npy'), bad, 4);
  writeNpy(at('one.npy'), Float32Array.of(3), 1);
  writeNpy(at('constant.npy'), new Float32Array(40).fill(2), 4);
  writeFileSync(at('empty.npy'), '');
  writeFileSync(at('int.npy'), npyBytes(header('(2, 2)', '<i8'), new Uint8Array(32)));
  writeFileSync(at('flat.npy'), npyBytes(header('(4,)'), bytesOf(Float32Array.of(1, 2, 3, 4))));
  writeFileSync(at('none.npy'), npyBytes(header('(0, 4)'), new Uint8Array(0)));
  writeFileSync(at('noise.bin'), normalRows(64, 2));
  mkdirSync(at('folder'));
  await succeed('fit', at('x.npy'), '-o', at('m.safetensors'), '--bits', '8');
  await succeed('compress', at('x.npy'), '-m', at('m.safetensors'), '-o', at('x.bince'));
});

describe('usage errors: exit code 2', () => {
  it.each([
    [['nosuch'], /unknown command 'nosuch'/],
    [['fit', 'x.npy', '-o', 'm', '--nosuch'], /unknown option '--nosuch'/],
    [['fit', '-o', 'm'], /missing required argument 'vectors'/],
    [['fit', 'x.npy'], /required option '-o, --output <file>'/],
    [['fit', 'x.npy', '-o', 'm', '--bits', '-1'], /expected a number above 0/],
    [['fit', 'x.npy', '-o', 'm', '--bits', 'many'], /expected a number/],
    [['fit', 'x.npy', '-o', 'm', '--bits', '8', '--step', '1'], /cannot be used with/],
    [['fit', 'x.npy', '-o', 'm', '--method', 'magic'], /Allowed choices are ecsq, bottleneck/],
    [
      ['fit', 'x.npy', '-o', 'm', '--method', 'ecsq', '--beta', '1'],
      /--beta is an option of --method bottleneck/,
    ],
    [
      ['fit', 'x.npy', '-o', 'm', '--method', 'bottleneck', '--step', '1'],
      /--step is an option of --method ecsq/,
    ],
    [['compress', 'x.npy', '-o', 'y'], /required option '-m, --model <file>'/],
    [['compress', 'x.npy', '-m', 'm', '-o', 'y', '--block-rows', '0'], /an integer from 1/],
    [['compress', 'x.npy', '-m', 'm', '-o', '-', '--json'], /both write to stdout/],
    [['decompress', 'x.bince', '-o', 'y', '--rows', '9:3'], /ends \(3\) before it begins \(9\)/],
    [['decompress', 'x.bince', '-o', 'y', '--rows', '-1:3'], /expected a:b/],
    [['inspect', 'a', 'b'], /too many arguments/],
    [['import', 'compressai', 'x'], /required option/],
    [['doctor', '--threads', '0'], /an integer from 1/],
    [['doctor', '--backend', 'gpu'], /Allowed choices are ref, avx2, avx512, neon/],
    [['build', '--jobs', 'x'], /expected a number/],
    [['demo', 'vectors', '--queries', '0'], /an integer from 1 to 10000/],
  ] as [string[], RegExp][])('%j', async (args, expected) => {
    const stderr = await fails(2, ...args);
    expect(stderr).toMatch(expected);
    expect(stderr).toMatch(/^hint: /m);
  });
});

describe('bad input: exit code 1', () => {
  it.each([
    ['missing.npy', /no such file/],
    ['folder', /is a folder/],
    ['nan.npy', /row 33, channel 0 is NaN/],
    ['int.npy', /'<i8'.*expected float32/],
    ['flat.npy', /1 dimensions/],
    ['none.npy', /empty array/],
    ['empty.npy', /does not begin as a .npy file/],
    ['noise.bin', /not a file of vectors/],
  ])('fit and compress of %s', async (name, expected) => {
    const fit = await fails(1, 'fit', at(name), '-o', at('no.safetensors'));
    expect(fit).toMatch(expected);
    expect(fit).toMatch(/^hint: /m);
    expect(await fails(1, 'compress', at(name), '-m', at('m.safetensors'), '-o', at('no.bince'))).toMatch(
      expected,
    );
    expect(existsSync(at('no.safetensors')) || existsSync(at('no.bince'))).toBe(false);
  });

  it.each([
    ['missing', /no such file/],
    ['folder', /folder/],
    ['noise.bin', /not a .bince file/],
    ['empty.npy', /at least 16 bytes/],
    ['x.npy', /not a .bince file/],
  ])('decompress and inspect of %s', async (name, expected) => {
    expect(await fails(1, 'decompress', at(name), '-o', at('no.npy'))).toMatch(expected);
    expect(await fails(1, 'inspect', at(name))).toMatch(expected);
    expect(existsSync(at('no.npy'))).toBe(false);
  });

  it('a model that does not fit the vectors', async () => {
    const stderr = await fails(
      1,
      'compress',
      at('wide.npy'),
      '-m',
      at('m.safetensors'),
      '-o',
      at('no.bince'),
    );
    expect(stderr).toMatch(/has 5 channels, the model .* has 4/);
    expect(stderr).toMatch(/hint: .*bince fit/);
  });

  it('a model that is none', async () => {
    for (const [name, expected] of [
      ['x.npy', /safetensors/],
      ['missing', /no such file/],
      ['folder', /folder/],
    ] as const)
      expect(await fails(1, 'compress', at('x.npy'), '-m', at(name), '-o', at('no.bince'))).toMatch(expected);
  });

  it('an import of something else', async () => {
    expect(await fails(1, 'import', 'compressai', at('m.safetensors'), '-o', at('no'))).toMatch(/quantiles/);
    expect(await fails(1, 'import', 'compressai', at('x.npy'), '-o', at('no'))).toMatch(/safetensors/);
  });

  it('rows that are not there', async () => {
    const stderr = await fails(1, 'decompress', at('x.bince'), '-o', at('no.npy'), '--rows', '90:101');
    expect(stderr).toMatch(/has 100 rows[\s\S]*hint: choose from 0:100/);
  });

  it('outputs that cannot be written', async () => {
    for (const output of [join(folder, 'no', 'such', 'folder'), at('folder')]) {
      await fails(1, 'fit', at('x.npy'), '-o', output);
      const stderr = await fails(1, 'compress', at('x.npy'), '-m', at('m.safetensors'), '-o', output);
      expect(stderr).toMatch(/hint: (make it first: mkdir -p|name a file in it)/);
      await fails(1, 'decompress', at('x.bince'), '-o', output);
    }
  });

  it('an output that is the input', async () => {
    const vectors = readFileSync(at('x.npy'));
    for (const args of [
      ['fit', at('x.npy'), '-o', at('x.npy')],
      ['compress', at('x.npy'), '-m', at('m.safetensors'), '-o', at('x.npy')],
      ['compress', at('x.npy'), '-m', at('m.safetensors'), '-o', at('m.safetensors')],
      ['decompress', at('x.bince'), '-o', join(folder, '.', 'x.bince')],
    ])
      expect(await fails(2, ...args)).toMatch(/is the input .* would be lost\nhint: choose another name/);
    expect(readFileSync(at('x.npy')).equals(vectors)).toBe(true);
  });

  it('a full disk', async () => {
    if (!existsSync('/dev/full')) return;
    expect(await fails(1, 'compress', at('x.npy'), '-m', at('m.safetensors'), '-o', '/dev/full')).toMatch(
      /no space/,
    );
  });
});

describe('odd but valid input', () => {
  it('one value', async () => {
    await succeed('fit', at('one.npy'), '-o', at('one.safetensors'));
    await succeed('compress', at('one.npy'), '-m', at('one.safetensors'), '-o', at('one.bince'));
    await succeed('decompress', at('one.bince'), '-o', at('back.npy'));
    const bytes = readFileSync(at('back.npy'));
    expect(bytes.readFloatLE(bytes.length - 4)).toBe(3);
  });

  it('constant channels, by both methods', async () => {
    for (const more of [
      ['--bits', '4'],
      ['--method', 'bottleneck', '--bits', '4', '--steps', '20'],
    ]) {
      await succeed('fit', at('constant.npy'), '-o', at('c.safetensors'), ...more);
      await succeed('compress', at('constant.npy'), '-m', at('c.safetensors'), '-o', at('c.bince'));
    }
  });

  it('values far outside what was fitted', async () => {
    writeNpy(at('far.npy'), Float32Array.of(1e4, -1e4, 5, 1e6), 4);
    await succeed('compress', at('far.npy'), '-m', at('m.safetensors'), '-o', at('far.bince'));
    await succeed('decompress', at('far.bince'), '-o', at('back.npy'));
    const bytes = readFileSync(at('back.npy'));
    expect(bytes.readFloatLE(bytes.length - 4) / 1e6).toBeCloseTo(1, 3);
  });
});

describe('interruption', () => {
  it('Ctrl-C ends with 130 and leaves nothing behind', async () => {
    const before = readdirSync(folder);
    const child = startCli([
      'fit',
      at('x.npy'),
      '-o',
      at('late.safetensors'),
      '--method',
      'bottleneck',
      '--steps',
      '1000000',
    ]);
    const outcome = finished(child);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    child.kill('SIGINT');
    const { code, stderr } = await outcome;
    expect(stderr).toContain('interrupted');
    expect(code).toBe(130);
    expect(readdirSync(folder)).toEqual(before);
  });

  it('a reader that goes away ends the command quietly', async () => {
    writeNpy(at('long.npy'), normalRows(400_000, 3), 4);
    await succeed('compress', at('long.npy'), '-m', at('m.safetensors'), '-o', at('long.bince'));
    const child = startCli(['decompress', at('long.bince'), '-o', '-']);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.stdout?.once('data', () => child.stdout?.destroy());
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect(stderr).not.toMatch(/error:|at .*:\d+/);
    expect(code).toBe(141);
  });
});

it('settings of the environment count, flags count more', async () => {
  const threads = async (args: string[], env: Record<string, string>) =>
    (JSON.parse((await cli(['doctor', '--json', ...args], env)).stdout) as { native: { threads: number } })
      .native.threads;
  expect(await threads([], { BINCE_THREADS: '2' })).toBe(2);
  expect(await threads(['--threads', '1'], { BINCE_THREADS: '2' })).toBe(1);
});
