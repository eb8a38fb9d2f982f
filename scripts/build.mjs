// Builds the addon and the TypeScript.   node scripts/build.mjs [--native | --ts]      default: both
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const only = process.argv[2];

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.error) console.error(`error: ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status || 1);
}

if (!existsSync(`${root}node_modules/.bin/tsc`)) run('npm', ['ci', '--ignore-scripts']);
if (only !== '--ts') run(process.execPath, [`${root}scripts/build_native.mjs`]);
if (only !== '--native') {
  rmSync(`${root}dist`, { recursive: true, force: true });
  run(`${root}node_modules/.bin/tsc`, ['-p', 'tsconfig.build.json']);
  chmodSync(`${root}dist/cli/main.js`, 0o755); // for npx in the checkout
}
