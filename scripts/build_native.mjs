// Builds the addon into build/Release/bince.node: with cmake-js in a checkout, with plain CMake in an installed
// package (which has no cmake-js), with node-gyp and binding.gyp where there is no CMake.
//   node scripts/build_native.mjs [--cuda]
//   node scripts/build_native.mjs --arch arm64
// With --cuda also libbince_cuda.so beside it, which takes CMake and nvcc. With --arch arm64 the addon for AArch64 is
// cross-compiled into build/arm64/Release, which takes CMake and Debian's g++-aarch64-linux-gnu.
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNvcc } from './nvcc.mjs';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));
const has = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

function run(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (result.error) fail(`${command}: ${result.error.message}`);
  if (result.status !== 0) fail(`${command} ${args.join(' ')} ended with status ${result.status}`);
}

function fail(message, hint) {
  console.error(`error: ${message}`);
  if (hint) console.error(`hint: ${hint}`);
  process.exit(1);
}

/** node-gyp of this project, or the one that npm carries. */
function findNodeGyp() {
  const candidates = [process.env.npm_config_node_gyp];
  try {
    candidates.push(require.resolve('node-gyp/bin/node-gyp.js'));
  } catch {
    // not a dependency: npm's own is next
  }
  const npm = spawnSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).stdout.trim();
  const npmFolders = [process.env.npm_execpath, npm && realpathSync(npm)]
    .filter(Boolean)
    .map((p) => dirname(dirname(p)));
  for (const folder of npmFolders) candidates.push(join(folder, 'node_modules/node-gyp/bin/node-gyp.js'));
  candidates.push(
    join(dirname(process.execPath), '../lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
  );
  return candidates.find((path) => path && existsSync(path));
}

/** In a build folder of its own, so that the addon's stays as it is. BINCE_CUDA_ARCHITECTURES cuts it short. */
function buildCuda() {
  const nvcc = findNvcc();
  if (!nvcc) fail('no CUDA compiler was found', 'install the CUDA 13 toolkit, or name nvcc in CUDACXX');
  if (!has('cmake')) fail('CMake was not found', 'install it, for example: apt-get install cmake');
  const build = join(root, 'build/cuda');
  const architectures = process.env.BINCE_CUDA_ARCHITECTURES;
  run(
    'cmake',
    [
      ...['-S', root, '-B', build, '-DCMAKE_BUILD_TYPE=Release', '-DBINCE_CUDA=ON'],
      `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${join(root, 'build/Release')}`,
      ...(architectures ? [`-DBINCE_CUDA_ARCHITECTURES=${architectures}`] : []),
    ],
    { CUDACXX: nvcc },
  );
  run('cmake', ['--build', build, '--target', 'bince_cuda', ...parallel]);
}

/** With plain CMake, into `build`/Release. */
function buildWithCMake(build, options = []) {
  run('cmake', [
    ...['-S', root, '-B', build, '-DCMAKE_BUILD_TYPE=Release', ...options],
    `-DBINCE_NODE_API_HEADERS_DIR=${require('node-api-headers').include_dir}`,
    `-DBINCE_NODE_ADDON_API_DIR=${require('node-addon-api').include_dir}`,
    ...[`-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${join(build, 'Release')}`, '-DBINCE_CUDA=OFF'],
  ]);
  run('cmake', ['--build', build, '--target', 'bince_addon', ...parallel]);
}

function crossCompile(arch) {
  if (arch !== 'arm64') fail(`--arch: expected arm64, received ${arch ?? 'nothing'}`);
  if (!has('cmake') || !has('aarch64-linux-gnu-g++'))
    fail(
      'CMake or a compiler for AArch64 was not found',
      'install them, for example: apt-get install cmake g++-aarch64-linux-gnu libc6-dev-arm64-cross',
    );
  buildWithCMake(join(root, 'build/arm64'), [`--toolchain=${join(root, 'cmake/aarch64-linux-gnu.cmake')}`]);
}

const cuda = process.argv.includes('--cuda');
const archAt = process.argv.indexOf('--arch');
const parallel = process.env.CMAKE_BUILD_PARALLEL_LEVEL ? [] : ['--parallel', `${availableParallelism()}`];
if (archAt >= 0) {
  crossCompile(process.argv[archAt + 1]);
  process.exit();
}
if (!has(process.env.CXX ?? 'c++') && !has('g++') && !has('clang++')) {
  fail('no C++ compiler was found', 'install one, for example: apt-get install g++ cmake');
}
if (!has('cmake')) {
  const nodeGyp = findNodeGyp();
  if (!nodeGyp)
    fail('neither CMake nor node-gyp was found', 'install CMake, for example: apt-get install cmake');
  console.error('bince: CMake was not found, building with node-gyp');
  // Headers that came with this Node spare the download.
  const prefix = join(dirname(realpathSync(process.execPath)), '..');
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
  run(process.execPath, [nodeGyp, 'rebuild', ...headers]);
} else if (existsSync(join(root, 'node_modules/.bin/cmake-js'))) {
  const args = ['compile', '--config', 'Release', '--target', 'bince_addon', '--log-level', 'warn'];
  run(join(root, 'node_modules/.bin/cmake-js'), [...args, '--CDBINCE_CUDA=OFF']);
} else {
  buildWithCMake(join(root, 'build'));
}
if (cuda) buildCuda();
