// The C ABI for the benchmarks: c_abi.cc, compiled here, over the objects of which bince.node was made.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a command; false, with a line in the log, where it fails. */
function run(command, args, log) {
  const made = spawnSync(command, args, { encoding: 'utf8' });
  if (made.status === 0) return true;
  log(`${command} ${args[0]}: ${(made.stderr || String(made.error ?? made.status)).split('\n')[0]}`);
  return false;
}

/** Calls of c_abi.cc; null, with a line in the log, where there is no compiler or no CMake. */
export function openAbi(log) {
  // The addon shows no C names; the library is linked from the same objects.
  if (!run('cmake', ['--build', `${root}build`, '--target', 'bince'], log)) return null;
  const folder = mkdtempSync(join(tmpdir(), 'bince-abi-'));
  try {
    const out = join(folder, 'c_abi.node');
    const { include_dir: headers } = require('node-api-headers');
    const flags = ['-O2', '-std=c++17', '-shared', '-fPIC', `-I${headers}`, `-I${root}native/include`];
    if (!run('c++', [...flags, '-o', out, `${root}bench/peers/c_abi.cc`, '-ldl'], log)) return null;
    const abi = require(out);
    abi.open(`${root}build/Release/libbince.so`);
    return abi;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
