// Brings a checkout to where everything runs: dependencies as locked, the addon and the TypeScript built.
import { existsSync, statSync } from 'node:fs';
import { root, run } from './steps.mjs';

export async function setUp({ show = true } = {}) {
  const installed = `${root}node_modules/.package-lock.json`;
  const lock = `${root}package-lock.json`;
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    console.log('installing dependencies (npm ci)');
    await must('npm', ['ci', '--ignore-scripts'], show);
  }
  console.log('building the addon and the TypeScript');
  await must(process.execPath, [`${root}scripts/build.mjs`], false);
}

async function must(command, args, show) {
  const { status, output } = await run(command, args, { show });
  if (status === 0) return;
  if (!show) process.stderr.write(output);
  console.error(`error: ${command} ${args.join(' ')} failed`);
  process.exit(1);
}

if (process.argv[1] === new URL(import.meta.url).pathname) await setUp();
