// The CUDA half on a machine without a GPU: libbince_cuda.so compiles for every architecture, shows and needs what it
// should and gives a reason why it cannot run here; and every kernel runs in the simulator. With a GPU the kernels run
// on it too.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { foreignLibraries } from './check_objects.mjs';
import { findNvcc } from './nvcc.mjs';
import { has, root, run } from './steps.mjs';

const folder = `${root}build-native`;
const library = `${folder}/libbince_cuda.so`;
const simulator = `${folder}/libbince_cusim.so`;
/** The contrastive kernels in small tiles, of which the tests' problems then have many. */
const smallTiles = `${folder}/libbince_cusim_small.so`;

/** Programs of the families that have kernels; the tests of devices themselves find the simulator. */
const programs = ['core', 'contrastive', 'entropy', 'coding'];

export async function checkCuda(tally, testPrograms) {
  const scratch = mkdtempSync(join(tmpdir(), 'bince-cuda-'));
  try {
    await checkAll(tally, testPrograms, scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function checkAll(tally, testPrograms, scratch) {
  if (!has('cmake')) return tally.skip('CUDA', 'CMake is not installed');
  if (!existsSync(simulator)) {
    return tally.check('the simulator is built', false, `${simulator} is missing: run the step native first`);
  }
  const families = testPrograms.filter((name) => programs.some((prefix) => name.startsWith(`${prefix}_`)));
  await runOn(tally, families, simulator, 'simulated');
  const contrastive = families.filter((name) => name.startsWith('contrastive_'));
  await runOn(tally, contrastive, smallTiles, 'simulated, small tiles');
  await checkExample(tally, scratch);
  await checkBenchmarks(tally, scratch);
  const nvcc = findNvcc();
  if (!nvcc) return tally.skip('libbince_cuda.so', 'no CUDA compiler was found');
  if (!(await compile(tally, nvcc))) return;
  await checkLibrary(tally);
  await checkInstalled(tally, scratch);
  if (await checkReason(tally)) await runOn(tally, families, library, 'device');
}

async function runOn(tally, families, path, where) {
  for (const name of families) {
    const env = { BINCE_CUDA_LIBRARY: path, BINCE_TEST_BACKENDS: 'cuda' };
    tally.add(`${name} (${where})`, await run(`${folder}/tests/${name}`, [], { env }));
  }
}

async function compile(tally, nvcc) {
  const chosen = process.env.BINCE_CUDA_ARCHITECTURES;
  const architectures = chosen ? `-DBINCE_CUDA_ARCHITECTURES=${chosen}` : '-UBINCE_CUDA_ARCHITECTURES';
  const options = ['-DBINCE_CUDA=ON', '-DBINCE_WERROR=ON', architectures];
  const env = { CUDACXX: nvcc };
  const configured = await run('cmake', ['-S', root, '-B', folder, ...options], { env });
  if (!tally.check('CUDA: configure', configured.status === 0, configured.output)) return false;
  const build = ['--build', folder, '--target', 'bince_cuda', '--parallel', '2'];
  const built = await run('cmake', build, { env, timeoutSeconds: 3600 });
  const warnings = built.output.split('\n').filter((line) => /warning/i.test(line));
  const ok = built.status === 0 && !warnings.length;
  return tally.check('libbince_cuda.so compiles without warnings', ok, built.output);
}

async function checkLibrary(tally) {
  if (!has('nm') || !has('objdump')) return tally.skip('libbince_cuda.so', 'binutils are not installed');
  const { output } = await run('nm', ['-D', '--defined-only', library]);
  const names = output.split('\n').filter(Boolean);
  const exported = names.map((line) => line.split(' ').pop()).join(' ');
  tally.check('libbince_cuda.so exports its entry alone', exported === 'bince_cuda_plugin', output);
  const foreign = await foreignLibraries(library);
  tally.check('libbince_cuda.so needs the C and C++ run time alone', !foreign.length, foreign.join('\n'));
}

/** A C program with pointers and a stream of its own: on the CPU, in the simulator, and against an installation. */
async function checkExample(tally, scratch) {
  const program = join(scratch, 'device_pointers');
  const source = `${root}docs/examples/device_pointers.c`;
  const flags = ['-std=c11', '-Wall', '-Wextra', '-Wpedantic', '-Werror', `-I${root}native/include`];
  const built = await run('cc', [...flags, source, `-L${folder}`, '-lbince', '-lm', '-o', program]);
  if (!tally.check('C program with device pointers: compile', built.status === 0, built.output)) return;
  const env = { LD_LIBRARY_PATH: folder, BINCE_CUDA_LIBRARY: simulator };
  for (const backend of ['', 'cuda']) {
    const { status, output } = await run(program, [], { env: { ...env, BINCE_BACKEND: backend } });
    tally.check(`C program with device pointers: ${output.trim()}`, status === 0, output);
  }
}

/** What a machine with a GPU runs without Node, at tiny sizes in the simulator. */
async function checkBenchmarks(tally, scratch) {
  const numpy = await run('sh', ['-c', 'python3 -c "import numpy" || /usr/bin/python3 -c "import numpy"']);
  if (numpy.status !== 0) return tally.skip('gpu-check.sh', 'python3 has no numpy');
  const args = ['--simulate', '--build', folder, '--out', scratch];
  const families = ['contrastive', 'entropy', 'coding'];
  const program = `${root}scripts/gpu-check.sh`;
  tally.add('gpu-check.sh (simulated)', await run(program, [...args, 'build', ...families]));
}

/** Installed beside libbince.so it is found without being named: the program gets its reason, or runs. */
async function checkInstalled(tally, scratch) {
  const prefix = join(scratch, 'prefix');
  const installed = await run('cmake', ['--install', folder, '--prefix', prefix]);
  const found = await run('find', [prefix, '-name', 'libbince_cuda.so']);
  const env = {
    LD_LIBRARY_PATH: dirname(found.output.trim()),
    BINCE_CUDA_LIBRARY: '',
    BINCE_BACKEND: 'cuda',
  };
  const { status, output } = await run(join(scratch, 'device_pointers'), [], { env });
  const opened =
    status === 0 || (output.includes('CUDA is not available') && !output.includes('not found at'));
  tally.check('libbince_cuda.so is found beside libbince.so', opened, installed.output + output);
}

/** Whether it runs here; if not it has to say why. */
async function checkReason(tally) {
  const env = { BINCE_CUDA_LIBRARY: library, BINCE_TEST_CHILD: '1' };
  const child = await run(`${folder}/tests/cuda_loader_test`, ['child_tells_the_reason'], { env });
  const said = child.output.split('\n', 1)[0];
  const runs = /^cuda, \d+ devices$/.test(said);
  const reason = /^BINCE_UNSUPPORTED: CUDA is not available: (.+)$/.exec(said)?.[1];
  tally.check(`libbince_cuda.so on this machine: ${reason ?? said}`, runs || Boolean(reason), child.output);
  if (!runs && reason) tally.skip('kernels on a device', reason);
  return runs;
}
