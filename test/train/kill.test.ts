import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readMetrics } from '../../lib/report/index.js';
import { readCheckpoint } from '../../lib/train/checkpoint.js';
import { temporaryFolder } from '../data/files.js';

const script = fileURLToPath(new URL('child_run.mjs', import.meta.url));
const folder = temporaryFolder();

function start(out: string, how: 'begin' | 'resume'): ChildProcess {
  return spawn(process.execPath, [script, out, how], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function ended(child: ChildProcess): Promise<string | number | null> {
  return await new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
}

/** Kills the child, without any warning, `delay` ms after it has told of its `n`th checkpoint. */
async function killAfter(child: ChildProcess, n: number, delay: number): Promise<void> {
  let told = 0;
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const before = told;
    told += text.split('\n').length - 1;
    if (before < n && told >= n) setTimeout(() => child.kill('SIGKILL'), delay);
  });
  expect(await ended(child)).toBe('SIGKILL');
}

async function outcome(out: string) {
  const { model, optimizer } = (await readCheckpoint(out))!;
  const lines = await readMetrics(join(out, 'metrics.jsonl'));
  const state = JSON.parse(optimizer.metadata['state']!) as { generator: unknown; step: number };
  return {
    ...{ model: model.tensors, moments: optimizer.tensors, generator: state.generator, step: state.step },
    lines: lines.map(({ step, loss }) => [step, loss]),
  };
}

it('a killed run goes on to the same numbers', { timeout: 30_000 }, async () => {
  const [once, killed] = [join(folder, 'once'), join(folder, 'killed')];
  const whole = ended(start(once, 'begin'));
  // At different moments between two checkpoints, most likely also while one is being written.
  for (const [i, delay] of [7, 2, 0].entries())
    await killAfter(start(killed, i === 0 ? 'begin' : 'resume'), 4 + i, delay);
  expect(await ended(start(killed, 'resume'))).toBe(0);
  expect(await whole).toBe(0);
  expect(await outcome(killed)).toEqual(await outcome(once));
  const summary = JSON.parse(readFileSync(join(killed, 'summary.json'), 'utf8'));
  expect(summary).toMatchObject({ finished: true, step: 120 });
  expect(summary.resumedFrom).toBeGreaterThan(20);
});
