/**
 * `bince build`: compiles the addon from the sources in the package, where no prebuilt binary fits. Needs a C++17
 * compiler and CMake, or node-gyp; nothing is downloaded with CMake, since node-addon-api and node-api-headers are
 * dependencies of the package.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { BinceError } from '../errors.js';
import { packageRoot } from '../native.js';
import { createCommand, type Session, setAction } from './command.js';
import { type CommonOptions, integer } from './options.js';
import { duration } from './terminal.js';

const require = createRequire(import.meta.url);

interface BuildOptions extends CommonOptions {
  readonly jobs?: number;
}

export function buildCommand(): Command {
  const command = createCommand({
    name: 'build',
    summary: 'compile the native addon from source (C++17 compiler and CMake, or node-gyp)',
    examples: ['build', 'build --jobs 4'],
  });
  command.option('-j, --jobs <n>', 'files compiled at a time; default: the processors', integer(1, 1024));
  return setAction<BuildOptions>(command, async (session, options) => {
    const started = performance.now();
    checkWritable();
    const tool = has('cmake') ? 'cmake' : 'node-gyp';
    session.report.note(`bince: building with ${tool} in ${join(packageRoot, 'build')}`);
    if (tool === 'cmake') await buildWithCmake(options.jobs ?? availableParallelism(), session);
    else await buildWithNodeGyp(session);
    const addon = (require('node-gyp-build') as { path(folder: string): string }).path(packageRoot);
    const seconds = (performance.now() - started) / 1000;
    await session.report.result(
      { event: 'built', addon, tool, seconds },
      () => `built ${addon} in ${duration(seconds)}`,
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

function has(tool: string): boolean {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
}

async function buildWithCmake(jobs: number, session: Session): Promise<void> {
  const build = join(packageRoot, 'build');
  await run(
    'cmake',
    [
      '-S',
      packageRoot,
      '-B',
      build,
      '-DCMAKE_BUILD_TYPE=Release',
      `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${join(build, 'Release')}`,
      `-DBINCE_NODE_ADDON_API_DIR=${dirname(require.resolve('node-addon-api/package.json'))}`,
      `-DBINCE_NODE_API_HEADERS_DIR=${(require('node-api-headers') as { include_dir: string }).include_dir}`,
    ],
    session,
    'CMake could not set up the build',
  );
  await run(
    'cmake',
    ['--build', build, '--config', 'Release', '--target', 'bince_addon', '--parallel', String(jobs)],
    session,
    'the build failed',
  );
}

async function buildWithNodeGyp(session: Session): Promise<void> {
  const bundled = join(
    dirname(process.execPath),
    '../lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js',
  );
  if (has('node-gyp')) return run('node-gyp', ['rebuild', '-C', packageRoot], session, 'node-gyp failed');
  if (existsSync(bundled))
    return run(process.execPath, [bundled, 'rebuild', '-C', packageRoot], session, 'node-gyp failed');
  throw new BinceError('BINCE_NOT_FOUND', 'neither cmake nor node-gyp was found', {
    hint: 'install CMake and a C++ compiler, for example: apt-get install cmake g++',
  });
}

/** Runs a tool with its output on stderr. */
async function run(
  tool: string,
  args: string[],
  { signal, report }: Session,
  failure: string,
): Promise<void> {
  const output = report.quiet ? 'ignore' : 2;
  const child = spawn(tool, args, { cwd: packageRoot, stdio: ['ignore', output, 2], signal });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) {
    throw new BinceError('BINCE_INTERNAL', `${failure} (${tool} ended with ${code})`, {
      hint: 'see the messages above; a C++17 compiler is needed, for example: apt-get install g++ make',
    });
  }
}
