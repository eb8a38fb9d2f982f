// `npm test`: sets up what it needs and runs every test.
//   npm test                      everything
//   npm test -- quick             style, types, native tests, TypeScript tests
//   npm test -- NAME...           the named steps: style native aarch64 cuda sanitize fuzz typescript install
// The last line is "N passed, N failed, N skipped".
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAarch64 } from './check_aarch64.mjs';
import { checkCuda } from './check_cuda.mjs';
import { checkInstalled } from './check_install.mjs';
import { checkObjects } from './check_objects.mjs';
import { setUp } from './setup.mjs';
import { bin, has, root, run, Tally } from './steps.mjs';

const tally = new Tally();
const fuzzSeconds = 10;

async function configureAndBuild(name, folder, options, env = {}) {
  const generator = has('ninja') ? ['-G', 'Ninja'] : [];
  const configured = await run('cmake', ['-S', root, '-B', `${root}${folder}`, ...generator, ...options], {
    env,
  });
  if (!tally.check(`${name}: configure`, configured.status === 0, configured.output)) return false;
  const built = await run('cmake', ['--build', `${root}${folder}`, '--parallel', '2']);
  const warnings = built.output.split('\n').filter((line) => /warning:/.test(line));
  return tally.check(
    `${name}: builds without warnings`,
    built.status === 0 && !warnings.length,
    built.output,
  );
}

const programs = (folder) =>
  readdirSync(`${root}${folder}`)
    .filter((name) => !name.includes('.'))
    .sort();

const steps = {
  async style() {
    const biome = await run(bin('biome'), ['ci', '.']);
    tally.check('biome: format and lint', biome.status === 0, biome.output);
    const types = await run(bin('tsc'), ['-p', 'tsconfig.json', '--noEmit']);
    tally.check('tsc: strictest types', types.status === 0, types.output);
    if (!has('clang-format')) return tally.skip('clang-format', 'clang-format is not installed');
    const format = await run(process.execPath, ['scripts/clang_format.mjs', '--check']);
    tally.check('clang-format', format.status === 0, format.output);
  },

  async native() {
    if (!has('cmake')) return tally.skip('native tests', 'CMake is not installed');
    const options = ['-DBINCE_TESTS=ON', '-DBINCE_WERROR=ON', '-DBINCE_CUDA=OFF'];
    if (!(await configureAndBuild('native', 'build-native', options))) return;
    for (const name of programs('build-native/tests')) {
      tally.add(name, await run(`${root}build-native/tests/${name}`, []));
    }
    await checkObjects(tally);
  },

  aarch64: () => checkAarch64(tally, configureAndBuild),

  cuda: () => checkCuda(tally, existsSync(`${root}build-native/tests`) ? programs('build-native/tests') : []),

  async sanitize() {
    if (!has('cmake')) return tally.skip('sanitizers', 'CMake is not installed');
    const kinds = [
      ['address,undefined', 'build-asan', () => true],
      // The random cases are too small for more than one thread.
      ['thread', 'build-tsan', (name) => !/random/.test(name)],
    ];
    for (const [sanitizers, folder, wanted] of kinds) {
      // -O1: instrumented code at -O3 takes three times as long to compile, and finds no more.
      const options = ['-DBINCE_TESTS=ON', `-DBINCE_SANITIZE=${sanitizers}`, '-DCMAKE_CXX_FLAGS_RELEASE=-O1'];
      if (!(await configureAndBuild(sanitizers, folder, [...options, '-DBINCE_CUDA=OFF']))) continue;
      for (const name of programs(`${folder}/tests`).filter(wanted)) {
        // The kernels in the simulator are one backend more; large tiles would take minutes here.
        const simulator = /^contrastive_/.test(name) ? 'libbince_cusim_small.so' : 'libbince_cusim.so';
        const env = { BINCE_CUDA_LIBRARY: `${root}${folder}/${simulator}` };
        tally.add(`${name} (${sanitizers})`, await run(`${root}${folder}/tests/${name}`, [], { env }));
      }
    }
  },

  async fuzz() {
    const clang = ['clang++', 'clang++-19', 'clang++-16', 'clang++-14'].find((name) => has(name));
    if (!clang || !has('cmake')) return tally.skip('fuzz targets', 'clang++ is not installed');
    const env = { CXX: clang, CC: clang.replace('clang++', 'clang') };
    const options = ['-DBINCE_FUZZ=ON', '-DBINCE_SANITIZE=address,undefined', '-DBINCE_CUDA=OFF'];
    if (!(await configureAndBuild('fuzz', 'build-fuzz', options, env))) return;
    for (const name of programs('build-fuzz/fuzz')) {
      const corpus = mkdtempSync(join(tmpdir(), 'bince-fuzz-'));
      writeSeeds(corpus);
      const args = [
        `-max_total_time=${fuzzSeconds}`,
        '-max_len=512',
        '-seed=1',
        '-entropic=0',
        `-artifact_prefix=${corpus}/`,
        corpus,
      ];
      // The quarantine of freed memory would make every allocation take fresh pages.
      const env = { ASAN_OPTIONS: 'quarantine_size_mb=4' };
      const result = await run(`${root}build-fuzz/fuzz/${name}`, args, { env, timeoutSeconds: 300 });
      const runs = Number(/^Done (\d+) runs/m.exec(result.output)?.[1] ?? 0);
      tally.check(
        `${name}: ${runs} runs in ${fuzzSeconds} s`,
        result.status === 0 && runs > 0,
        result.output.slice(-4000),
      );
      rmSync(corpus, { recursive: true });
    }
  },

  async typescript() {
    // Tests of devices run in the simulator, where the step native has built it.
    const simulator = `${root}build-native/libbince_cusim.so`;
    tally.add('vitest', await vitest([], existsSync(simulator) ? { BINCE_TEST_CUSIM: simulator } : {}));
    // The kernels' tests once more on each slower backend.
    const description = await run(process.execPath, ['-e', printBackends], { cwd: root });
    const backends = description.output.trim().split(' ');
    for (const backend of backends.slice(1)) {
      const folders = ['test/contrastive', 'test/entropy', 'test/coding'];
      tally.add(`vitest, kernels on ${backend}`, await vitest(folders, { BINCE_BACKEND: backend }));
    }
  },

  install: () => checkInstalled(tally),
};

/** A corpus to begin with: libFuzzer gives up where its first, empty input reaches nothing. */
function writeSeeds(folder) {
  let state = 1;
  const byte = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  for (let i = 0; i < 64; i++) {
    // The targets choose by the first bytes; small bytes are frequent symbols, in half of the seeds.
    const bytes = Uint8Array.from({ length: 3 + 8 * i }, () => (i % 4 < 2 ? byte() % 8 : byte()));
    bytes[0] = i % 4 < 2 ? i >> 1 : byte();
    bytes[1] = i % 2 ? 255 : byte();
    writeFileSync(join(folder, `seed${i}`), bytes);
  }
}

const printBackends = `import('./dist/kernels/index.js').then((k) => console.log(k.describe().backends.join(' ')))`;

/** Runs vitest and closes its output with our summary line, so that the tally can read it. */
async function vitest(filters, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bince-vitest-'));
  const report = join(folder, 'report.json');
  const args = ['run', ...filters, '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`];
  const result = await run(bin('vitest'), args, { env: { NO_COLOR: '1', ...env } });
  const { default: counts } = await import(report, { with: { type: 'json' } }).catch(() => ({
    default: undefined,
  }));
  rmSync(folder, { recursive: true });
  if (!counts) return result;
  const skipped = counts.numPendingTests + counts.numTodoTests;
  // A file that fails to load has no failed test of its own.
  const failed = counts.numFailedTests || counts.numFailedTestSuites;
  const names = counts.testResults
    .flatMap((file) => file.assertionResults)
    .filter((test) => !['passed', 'failed'].includes(test.status))
    .map((test) => `  skipped ${test.fullName}\n`);
  const closing = `${counts.numPassedTests} passed, ${failed} failed, ${skipped} skipped`;
  return { status: result.status, output: `${result.output}\n${names.join('')}${closing}` };
}

const quick = ['style', 'native', 'typescript'];
const asked = process.argv.slice(2).flatMap((name) => (name === 'quick' ? quick : [name]));
const unknown = asked.find((name) => !(name in steps));
if (unknown === '--help' || unknown === '-h') {
  console.log(
    `usage: npm test [-- STEP...]\nSTEP: ${Object.keys(steps).join(', ')}; quick is ${quick.join(', ')}`,
  );
  process.exit(0);
}
if (unknown) {
  console.error(
    `error: unknown step '${unknown}'\nhint: the steps are ${Object.keys(steps).join(', ')} and quick`,
  );
  process.exit(2);
}
await setUp();
for (const name of asked.length ? asked : Object.keys(steps)) {
  console.log(`\n${name}`);
  await steps[name]();
}
console.log();
process.exitCode = tally.close();
