// Builds the addon (cmake-js, or node-gyp where CMake is missing) and the TypeScript.
//   node scripts/build.mjs [--native | --ts]      default: both
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const only = process.argv[2];

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.error) throw new Error(`${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

const bin = (name) => `${root}node_modules/.bin/${name}`;
const has = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

if (!existsSync(bin('tsc'))) run('npm', ['ci', '--ignore-scripts']);
if (only !== '--ts') {
  if (has('cmake')) {
    run(bin('cmake-js'), [
      'compile',
      '--config',
      'Release',
      '--target',
      'bince_addon',
      '--log-level',
      'warn',
    ]);
  } else {
    console.error('bince: CMake was not found, building with node-gyp');
    run('npx', ['--no', 'node-gyp', 'rebuild']);
  }
}
if (only !== '--native') run(bin('tsc'), ['-p', 'tsconfig.build.json']);
