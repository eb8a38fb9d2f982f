// The same sources on a second architecture: cross-compiled for AArch64, the native tests run by qemu's emulator, so
// that golden files decode there too, and the addon's file inspected, which takes a Node for AArch64 to load.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { checkAddonNeeds, checkNoWeakSymbols, exportedNames } from './check_objects.mjs';
import { has, root, run } from './steps.mjs';

const require = createRequire(import.meta.url);
const folder = `${root}build-aarch64`;
const prefix = 'aarch64-linux-gnu-'; // of the compiler and the binutils
const tools = ['cmake', `${prefix}g++`, 'qemu-aarch64'];

/** `configureAndBuild(name, folder, options)` is the test script's. */
export async function checkAarch64(tally, configureAndBuild) {
  const missing = tools.filter((tool) => !has(tool));
  if (missing.length) return tally.skip('AArch64', `${missing.join(', ')} is not installed`);
  const options = [
    `--toolchain=${root}cmake/aarch64-linux-gnu.cmake`,
    ...['-DBINCE_TESTS=ON', '-DBINCE_WERROR=ON', '-DBINCE_CUDA=OFF'],
    '-DBINCE_CUSIM=OFF', // CUDA's kernels are tested on the host
    `-DBINCE_NODE_API_HEADERS_DIR=${require('node-api-headers').include_dir}`,
    `-DBINCE_NODE_ADDON_API_DIR=${require('node-addon-api').include_dir}`,
  ];
  if (!(await configureAndBuild('aarch64', 'build-aarch64', options))) return;
  await runPrograms(tally);
  await checkNoWeakSymbols(tally, folder, prefix);
  await checkAddon(tally);
}

/** As many at a time as there are processors: emulation takes ten times as long. */
async function runPrograms(tally) {
  // Tests of devices alone have nothing to run on here.
  const programs = readdirSync(`${folder}/tests`).filter((name) => !/device/.test(name));
  const results = new Map();
  const waiting = [...programs].sort();
  const runSome = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) {
      const emulated = ['-L', '/usr/aarch64-linux-gnu', `${folder}/tests/${name}`];
      results.set(name, await run('qemu-aarch64', emulated));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, runSome));
  for (const name of programs.sort()) tally.add(`${name} (aarch64)`, results.get(name));
}

async function checkAddon(tally) {
  const addon = `${folder}/bince.node`;
  const { output } = await run(`${prefix}readelf`, ['-h', addon]);
  tally.check('the addon is one for AArch64', /Machine:\s+AArch64/.test(output), output);
  const names = await exportedNames(addon, prefix);
  const expected = 'napi_register_module_v1 node_api_module_get_api_version_v1';
  tally.check('the addon shows what Node looks for', names.join(' ') === expected, names.join('\n'));
  await checkAddonNeeds(tally, addon, prefix);
}
