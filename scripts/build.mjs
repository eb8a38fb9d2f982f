// Builds the addon and the TypeScript.   node scripts/build.mjs [--native | --ts] [--cuda]      default: both
// With --cuda also libbince_cuda.so, beside the addon.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const args = process.argv.slice(2);
const unknown = args.find((arg) => !['--native', '--ts', '--cuda'].includes(arg));
if (unknown) {
  console.error(`error: unknown option '${unknown}'\nhint: there are --native, --ts and --cuda`);
  process.exit(2);
}
const [wantsNative, wantsTypeScript] = [!args.includes('--ts'), !args.includes('--native')];
const cuda = args.filter((arg) => arg === '--cuda');

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.error) console.error(`error: ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status || 1);
}

if (!existsSync(`${root}node_modules/.bin/tsc`)) run('npm', ['ci', '--ignore-scripts']);
if (wantsNative) run(process.execPath, [`${root}scripts/build_native.mjs`, ...cuda]);
if (wantsTypeScript) {
  rmSync(`${root}dist`, { recursive: true, force: true });
  run(`${root}node_modules/.bin/tsc`, ['-p', 'tsconfig.build.json']);
  chmodSync(`${root}dist/cli/main.js`, 0o755); // for npx in the checkout
}
