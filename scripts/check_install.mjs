// What a user of each door sees: a C program against the installed library (pkg-config and CMake), the Python
// example, a build without CMake, and the packed npm package in an empty folder without install scripts.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { has, root, run } from './steps.mjs';

export async function checkInstalled(tally) {
  const folder = mkdtempSync(join(tmpdir(), 'bince-install-'));
  try {
    if (has('cmake')) await checkLibrary(tally, folder);
    else tally.skip('installed library', 'CMake is not installed');
    await checkNodeGyp(tally, folder);
    await checkPackage(tally, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function checkLibrary(tally, folder) {
  const prefix = join(folder, 'prefix');
  const build = join(folder, 'library');
  const configured = await run('cmake', [
    '-S',
    root,
    '-B',
    build,
    `-DCMAKE_INSTALL_PREFIX=${prefix}`,
    '-DCMAKE_INSTALL_LIBDIR=lib',
    '-DBINCE_CUDA=OFF', // the step cuda installs that half
  ]);
  const built =
    configured.status === 0 &&
    (await run('cmake', ['--build', build, '--parallel', '2', '--target', 'install']));
  if (!tally.check('library: build and install', built && built.status === 0, (built || configured).output))
    return;
  const env = { PKG_CONFIG_PATH: join(prefix, 'lib/pkgconfig'), LD_LIBRARY_PATH: join(prefix, 'lib') };

  const { output } = await run('nm', ['-D', '--defined-only', join(prefix, 'lib/libbince.so')]);
  const foreign = output.split('\n').filter((line) => line && !/ bince_\w+$/.test(line));
  tally.check('libbince.so exports bince_ names alone', !foreign.length, foreign.join('\n'));

  if (has('pkg-config')) {
    const flags = await run('pkg-config', ['--cflags', '--libs', 'bince'], { env });
    const program = join(folder, 'consumer');
    const args = [
      '-std=c11',
      '-Wall',
      '-Wextra',
      '-Wpedantic',
      '-Werror',
      `${root}test/install/consumer.c`,
      '-o',
      program,
    ];
    const compiled = await run('cc', [...args, ...flags.output.trim().split(/\s+/), '-lm']);
    tally.check('C program through pkg-config: compile', compiled.status === 0, compiled.output);
    const ran = await run(program, [], { env });
    tally.check('C program through pkg-config: run', ran.status === 0, ran.output);
  } else {
    tally.skip('C program through pkg-config', 'pkg-config is not installed');
  }
  const cmake = join(folder, 'cmake-consumer');
  await run('cmake', ['-S', `${root}test/install`, '-B', cmake, `-DCMAKE_PREFIX_PATH=${prefix}`]);
  const compiled = await run('cmake', ['--build', cmake]);
  const ran = await run(join(cmake, 'consumer'), [], { env });
  tally.check('C program through find_package', ran.status === 0, compiled.output + ran.output);

  const python = ['/usr/bin/python3', 'python3'].find((name) => has(name, ['-c', 'import numpy']));
  if (!python) return tally.skip('Python example', 'python3 with numpy is not installed');
  const example = await run(python, [`${root}docs/examples/bince_ctypes.py`], {
    env: { BINCE_LIBRARY: join(prefix, 'lib/libbince.so') },
  });
  tally.check('Python example', example.status === 0, example.output);
}

/** A checkout on a machine without CMake: a `cmake` that fails stands before the real one. */
async function checkNodeGyp(tally, folder) {
  const copy = join(folder, 'gyp');
  mkdirSync(copy);
  for (const name of ['package.json', 'binding.gyp', 'cmake', 'native', 'scripts'])
    cpSync(`${root}${name}`, join(copy, name), { recursive: true });
  symlinkSync(`${root}node_modules`, join(copy, 'node_modules'));
  const tools = join(folder, 'tools');
  mkdirSync(tools);
  writeFileSync(join(tools, 'cmake'), '#!/bin/sh\nexit 127\n');
  chmodSync(join(tools, 'cmake'), 0o755);
  const built = await run(process.execPath, [join(copy, 'scripts/build_native.mjs')], {
    cwd: copy,
    env: { PATH: `${tools}:${process.env.PATH}`, JOBS: '2' },
  });
  const load = `const a = require('./build/Release/bince.node'); console.log(JSON.stringify(a.describe()))`;
  const loaded = await run(process.execPath, ['-e', load], { cwd: copy });
  const ok = built.status === 0 && loaded.status === 0 && /building with node-gyp/.test(built.output);
  tally.check('addon through node-gyp, without CMake', ok, built.output + loaded.output);
  const warnings = built.output.split('\n').filter((line) => /warning: /.test(line));
  tally.check('addon through node-gyp: no warnings', !warnings.length, warnings.join('\n'));
}

async function checkPackage(tally, folder) {
  const packed = join(folder, 'packed');
  const user = join(folder, 'user');
  mkdirSync(packed);
  mkdirSync(user);
  const library = `${root}build-native/libbince_cuda.so`;
  const cuda = existsSync(library) ? ['--cuda', library] : [];
  const prebuilt = await run(process.execPath, ['scripts/prebuild.mjs', ...cuda]);
  const made = await run('npm', ['pack', '--silent', '--pack-destination', packed]);
  const tarball = readdirSync(packed).find((name) => name.endsWith('.tgz'));
  if (!tally.check('npm pack', Boolean(tarball), prebuilt.output + made.output)) return;
  writeFileSync(join(user, 'package.json'), '{"private": true, "type": "module"}\n');
  const args = ['install', '--ignore-scripts', '--omit=dev', '--prefer-offline', join(packed, tarball)];
  const installed = await run('npm', args, { cwd: user });
  tally.check('npm install of the package, no scripts', installed.status === 0, installed.output);
  cpSync(`${root}test/install/package_user.mjs`, join(user, 'package_user.mjs'));
  const used = await run(process.execPath, ['package_user.mjs'], { cwd: user });
  tally.check('the installed package works', used.status === 0, used.output);
  const command = await run('npx', ['--no', 'bince', 'doctor'], { cwd: user });
  tally.check('the installed command works', command.status === 0, command.output);
  const report = await run('npx', ['--no', 'bince', 'doctor', '--json'], {
    cwd: user,
    env: { BINCE_CUDA_LIBRARY: '' },
  });
  const packedCuda = !report.output.includes('the CUDA library was not found');
  const what = cuda.length ? 'the installed package has its CUDA library' : 'without CUDA a package says so';
  tally.check(what, report.status === 0 && packedCuda === cuda.length > 0, report.output);
  const rebuilt = await run('npx', ['--no', 'bince', 'build'], { cwd: user });
  const path = join(user, 'node_modules/bince/build/Release/bince.node');
  const load = await run(process.execPath, ['-e', `require(${JSON.stringify(path)}).describe()`], {
    cwd: user,
  });
  tally.check(
    'the installed package builds from source',
    rebuilt.status === 0 && load.status === 0,
    rebuilt.output + load.output,
  );
}
