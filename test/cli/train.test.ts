import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../data/files.js';
import { cli, fails, finished, jsonLines, startCli, succeed } from './run_cli.js';

const folder = temporaryFolder();
const at = (...names: string[]) => join(folder, ...names);
const small = ['--data', 'banana', '--hidden', '8', '--batch', '16'];
const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

beforeAll(async () => {
  await succeed('train', 'vic', ...small, '--steps', '60', '--seed', '3', '--out', at('run'), '-q');
  mkdirSync(at('empty'));
  mkdirSync(at('begun'));
  writeFileSync(at('begun', 'config.json'), readFileSync(at('run', 'config.json')));
  writeFileSync(at('noise.json'), '{ "beta": ');
  writeFileSync(at('list.json'), '[1]');
  writeFileSync(at('unknown.json'), '{ "betta": 1 }');
  writeFileSync(
    at('settings.json'),
    '{ "system": "vc", "data": "banana", "beta": 0.2, "lr": 0.002, "epochs": 2 }',
  );
});

describe('usage errors: exit code 2', () => {
  it.each([
    [['train'], /no system is named: one of vc, vic, bince, bottleneck/],
    [['train', 'magic'], /Allowed choices are vc, vic, bince, bottleneck/],
    [['train', 'vic', '--nosuch'], /unknown option '--nosuch'/],
    [['train', 'vic', '--beta', '-1'], /expected a number above 0/],
    [['train', 'vic', '--epochs', '1', '--steps', '2'], /both say how long to train/],
    [['train', 'vic', '--batch', '1'], /an integer from 2/],
    [['train', 'vic', '--network', 'huge'], /network: expected mlp, cnn/],
    [['train', '--resume'], /needs the folder of the run/],
    [['train', 'vic', 'mnist'], /too many arguments/],
    [['train', 'vic', '--config', at('unknown.json')], /no setting 'betta'/],
    [['eval'], /missing required argument 'run'/],
    [['eval', 'run', '--nosuch'], /unknown option '--nosuch'/],
    [['plot'], /missing required argument 'runs'/],
    [['plot', 'run', '--images', '0'], /an integer from 1 to 100/],
    [
      ['compress', 'mnist', '-m', at('run'), '-o', at('x.bince'), '--coder', 'rans'],
      /--coder goes with a model/,
    ],
    [['compress', 'mnist', '-m', at('run'), '-o', '-'], /the output is a file/],
    [['compress', 'x.npy', '-m', 'm', '-o', 'y', '--split', 'test'], /--split goes with a training run/],
  ] as [string[], RegExp][])('%j', async (args, expected) => {
    const stderr = await fails(2, ...args);
    expect(stderr).toMatch(expected);
    expect(stderr).toMatch(/^hint: /m);
  });
});

describe('bad input: exit code 1', () => {
  it.each([
    [['train', 'vic', '--config', at('missing.json')], /missing.json: no such file/],
    [['train', 'vic', '--config', at('noise.json')], /noise.json: not JSON/],
    [['train', 'vic', '--config', at('list.json')], /expected a JSON object/],
    [['train', 'vic', '--data', at('missing'), '--out', at('never')], /missing/],
    [['train', 'vic', ...small, '--out', at('run')], /holds a run already[\s\S]*hint: .*--resume/],
    [['train', '--resume', '--out', at('missing')], /no run folder/],
    [['train', '--resume', '--out', at('empty')], /no run folder/],
    [['train', '--resume', '--out', at('run'), '--beta', '3'], /another configuration: beta was .*, is 3/],
    [['eval', at('missing')], /missing: no such file or folder/],
    [['eval', at('empty')], /no run folder/],
    [['eval', at('begun')], /no checkpoint yet/],
    [['plot', at('missing')], /no run folder/],
    [['plot', at('begun')], /metrics/],
    [['compress', 'mnist', '-m', at('begun'), '-o', at('x.bince')], /no checkpoint yet/],
    [['compress', 'mnist', '-m', at('empty'), '-o', at('x.bince')], /no run folder/],
    [['compress', 'mnist', '-m', at('run'), '-o', at('no', 'x.bince')], /there is no folder/],
  ] as [string[], RegExp][])('%j', async (args, expected) => {
    expect(await fails(1, ...args)).toMatch(expected);
    expect(existsSync(at('never'))).toBe(false);
  });

  it('a damaged checkpoint', async () => {
    mkdirSync(at('damaged'));
    for (const name of ['config.json', 'model.safetensors', 'optimizer.safetensors'])
      writeFileSync(at('damaged', name), readFileSync(at('run', name)));
    const model = readFileSync(at('damaged', 'model.safetensors'));
    model[model.length - 2]! ^= 1;
    writeFileSync(at('damaged', 'model.safetensors'), model);
    for (const args of [
      ['train', '--resume', '--out', at('damaged')],
      ['eval', at('damaged')],
    ])
      expect(await fails(1, ...args)).toMatch(/damaged checkpoint[\s\S]*hint: /);
  });
});

describe('train', () => {
  it('prefers flags to the environment, to the config file, to the defaults', async () => {
    const flags = ['--steps', '2', '--hidden', '8', '--batch', '16'];
    const env = { BINCE_BETA: '0.3', BINCE_LR: '0.004', BINCE_EPOCHS: '7' };
    const args = ['train', '--config', at('settings.json'), ...flags, '--lr', '0.005', '--out', at('layers')];
    expect((await cli(args, env)).code).toBe(0);
    expect(readJson(at('layers', 'config.json'))).toMatchObject({
      ...{ system: 'vc', data: 'banana', lr: 0.005, beta: 0.3, steps: 2, epochs: 0, batch: 16 },
      ...{ z: 2, clipGradNorm: 3 },
    });
  });

  it('tells its summary as JSON', async () => {
    const out = at('json');
    const { stdout } = await succeed('train', 'vc', ...small, '--steps', '60', '--out', out, '--json', '-q');
    const lines = jsonLines(stdout);
    expect(lines.filter(({ event }) => event === 'step').map(({ step }) => step)).toEqual([1, 50, 60]);
    expect(lines.at(-1)).toMatchObject({ event: 'trained', run: out, finished: true, step: 60 });
    expect(readJson(join(out, 'summary.json'))).toMatchObject({ finished: true, step: 60 });
  });

  it.each([
    ['SIGINT', 130, 'interrupted'],
    ['SIGTERM', 143, 'terminated'],
  ] as const)('saves on %s, exits with %d, and goes on', async (signal, code, word) => {
    const out = at(signal);
    const child = startCli(['train', 'vic', ...small, '--steps', '3000', '--out', out, '--json']);
    child.stdout!.once('data', () => child.kill(signal));
    const outcome = await finished(child);
    expect(outcome.code).toBe(code);
    const saved = /^saved at step ([\d,]+); go on with: bince (train --resume --out .*)$/m.exec(
      outcome.stderr,
    )!;
    expect(outcome.stderr.trimEnd().split('\n').at(-1)).toBe(word);
    const step = Number(saved[1]!.replaceAll(',', ''));
    expect(step).toBeGreaterThan(0);
    expect(step).toBeLessThan(3000);
    expect(readJson(join(out, 'summary.json'))).toMatchObject({ finished: false, step });
    const again = startCli([...saved[2]!.split(' '), '--json']);
    again.stdout!.once('data', () => again.kill(signal));
    expect((await finished(again)).code).toBe(code);
    expect(readJson(join(out, 'summary.json'))).toMatchObject({ resumedFrom: step });
  });
});

describe('a trained run', () => {
  it('is measured and drawn', async () => {
    const { stdout } = await succeed('eval', at('run'), '--fast', '--json', '-q');
    const evaluation = jsonLines(stdout).at(-1)!;
    expect(evaluation).toMatchObject({ event: 'evaluated', system: 'vic', data: 'banana' });
    expect(readJson(at('run', 'eval.json'))['modelBits']).toBe(evaluation['modelBits']);
    const plotted = await succeed('plot', at('run'), '--json', '-q');
    const { files } = jsonLines(plotted.stdout).at(-1) as unknown as { files: string[] };
    const names = readdirSync(at('run', 'plots')).sort();
    expect(files.map((file) => file.split('/').at(-1)).sort()).toEqual(names);
    expect(names).toEqual(expect.arrayContaining(['bits.svg', 'cells.svg', 'loss.png', 'rate-error.svg']));
    expect(readFileSync(at('run', 'plots', 'loss.svg'), 'utf8')).toMatch(/^<\?xml[\s\S]*<title>loss/);
  });

  it('explains its commands', async () => {
    const names = ['train', 'eval', 'plot'];
    const helps = await Promise.all(names.map((name) => succeed(name, '--help')));
    for (const [i, { stdout }] of helps.entries())
      expect(stdout).toMatch(new RegExp(`Examples:\\n  bince ${names[i]} `));
  });
});
