/**
 * `bince build`: compiles the addon from the sources in the package, where no prebuilt binary fits. Needs a C++17
 * compiler and CMake, or node-gyp; nothing is downloaded with CMake, since node-addon-api and node-api-headers are
 * dependencies of the package. `--cuda` adds libbince_cuda.so beside the addon, which takes CMake and nvcc.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { BinceError } from '../errors.js';
import { packageRoot } from '../native.js';
import { createCommand, type Session, setAction } from './command.js';
import { type CommonOptions, integer } from './options.js';
import { duration } from './terminal.js';

const require = createRequire(import.meta.url);

interface BuildOptions extends CommonOptions {
  readonly jobs?: number;
  readonly cuda?: boolean;
}

export function buildCommand(): Command {
  const command = createCommand({
    name: 'build',
    summary: 'compile the native addon from source (C++17 compiler and CMake, or node-gyp)',
    examples: ['build', 'build --jobs 4', 'build --cuda'],
  });
  command.option('--cuda', 'also the kernels for NVIDIA GPUs (CMake and nvcc of CUDA 13)');
  command.option('-j, --jobs <n>', 'files compiled at a time; default: the processors', integer(1, 1024));
  return setAction<BuildOptions>(command, async (session, options) => {
    const started = performance.now();
    checkWritable();
    const tool = has('cmake') ? 'cmake' : 'node-gyp';
    session.report.note(`bince: building with ${tool} in ${join(packageRoot, 'build')}`);
    await runScript(options, session);
    const cuda = options.cuda ? join(packageRoot, 'build/Release/libbince_cuda.so') : null;
    const addon = (require('node-gyp-build') as { path(folder: string): string }).path(packageRoot);
    const seconds = (performance.now() - started) / 1000;
    await session.report.result(
      { event: 'built', addon, cuda, tool, seconds },
      () => `built ${addon}${cuda ? ` and ${cuda} (${megabytes(cuda)})` : ''} in ${duration(seconds)}`,
    );
  });
}

function checkWritable(): void {
  try {
    accessSync(packageRoot, constants.W_OK);
  } catch (cause) {
    throw new BinceError('BINCE_IO', `${packageRoot}: not writable, the addon is built there`, {
      hint: 'run the command as the user who installed the package',
      cause,
    });
  }
}

function megabytes(path: string): string {
  return `${(statSync(path).size / 1e6).toFixed(1)} MB`;
}

function has(tool: string): boolean {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** The script that also builds a checkout, its output on stderr. CMake and node-gyp read the number of jobs from here. */
async function runScript(options: BuildOptions, { signal, report }: Session): Promise<void> {
  const output = report.quiet ? 'ignore' : 2;
  const jobs = options.jobs ?? availableParallelism();
  const script = [join(packageRoot, 'scripts/build_native.mjs'), ...(options.cuda ? ['--cuda'] : [])];
  const child = spawn(process.execPath, script, {
    cwd: packageRoot,
    stdio: ['ignore', output, 2],
    env: { ...process.env, CMAKE_BUILD_PARALLEL_LEVEL: String(jobs), JOBS: String(jobs) },
    signal,
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) {
    throw new BinceError(
      'BINCE_INTERNAL',
      `the addon could not be built${options.cuda ? ' with CUDA' : ''}`,
      {
        hint: `see the messages above; a C++17 compiler is needed, for example: apt-get install g++ cmake${
          options.cuda ? '; and nvcc of CUDA 13, on the PATH or named in CUDACXX' : ''
        }`,
      },
    );
  }
}
