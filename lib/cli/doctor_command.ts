/** `bince doctor`: what this machine offers, what is wrong, and what to do about it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { type Cuda, device } from '../device/index.js';
import { BinceError } from '../errors.js';
import { type Description, describe } from '../kernels/index.js';
import { packageRoot } from '../native.js';
import { createCommand, setAction } from './command.js';
import { exitCodes } from './failures.js';
import type { CommonOptions } from './options.js';
import { bytes, fields, paint } from './terminal.js';

interface Problem {
  readonly problem: string;
  readonly hint: string;
}

interface Diagnosis {
  readonly ok: boolean;
  readonly node: string;
  readonly platform: string;
  readonly processors: number;
  readonly package: string;
  readonly addon: string | null;
  readonly native: Description | null;
  /** CUDA devices, or why there are none, which is no problem. */
  readonly cuda: Cuda | null;
  /** By backend: `ok`, or what went wrong. */
  readonly selfTest: Record<string, string>;
  readonly environment: Record<string, string>;
  readonly problems: readonly Problem[];
}

export function doctorCommand(): Command {
  const command = createCommand({
    name: 'doctor',
    summary: 'tell what bince uses on this machine, and what is wrong',
    examples: ['doctor', 'doctor --json', 'doctor --backend avx2'],
  });
  return setAction<CommonOptions>(command, async ({ report }) => {
    const diagnosis = await diagnose();
    await report.result({ event: 'doctor', ...diagnosis }, () => describeDiagnosis(diagnosis));
    if (!diagnosis.ok) process.exitCode = exitCodes.failed;
  });
}

const kLeastNode = [20, 19] as const;

async function diagnose(): Promise<Diagnosis> {
  const problems: Problem[] = [];
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < kLeastNode[0] || (major === kLeastNode[0] && minor < kLeastNode[1])) {
    problems.push({
      problem: `Node ${process.versions.node} is older than 20.19`,
      hint: 'install Node 20.19 or later',
    });
  }
  if (process.platform !== 'linux') {
    problems.push({ problem: `${process.platform} is not supported`, hint: 'use Linux, a container or WSL' });
  }
  const addon = addonPath();
  let native: Description | null = null;
  try {
    native = describe();
  } catch (error) {
    const hint = (error instanceof BinceError && error.hint) || 'unset BINCE_BACKEND and BINCE_THREADS';
    problems.push({ problem: error instanceof Error ? error.message : String(error), hint });
  }
  if (native && process.arch === 'x64' && !native.backends.includes('avx2')) {
    problems.push({
      problem: 'this processor (or virtual machine) offers no AVX2: only the slow reference kernels run',
      hint: 'on a virtual machine, pass the host processor through (for example -cpu host)',
    });
  }
  const selfTest = await testBackends(native?.backends ?? []);
  for (const [backend, outcome] of Object.entries(selfTest)) {
    if (outcome === 'ok') continue;
    problems.push({
      problem: `the self-test of ${backend} failed: ${outcome}`,
      hint: 'build the addon again (bince build); until then choose another: BINCE_BACKEND=ref',
    });
  }
  return {
    ok: problems.length === 0,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}${libc()}`,
    processors: availableParallelism(),
    package: packageRoot,
    addon,
    native,
    cuda: native && describeCuda(),
    selfTest,
    environment: Object.fromEntries(
      Object.entries(process.env).filter((entry): entry is [string, string] => entry[0].startsWith('BINCE_')),
    ),
    problems,
  };
}

/** Encodes, decodes and computes a loss on every backend, each in a process of its own. */
async function testBackends(backends: readonly string[]): Promise<Record<string, string>> {
  const program = fileURLToPath(new URL('./self_test_main.js', import.meta.url));
  const outcomes = backends.map(async (backend): Promise<[string, string]> => {
    const env = { ...process.env, BINCE_BACKEND: backend };
    const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return [backend, code === 0 ? 'ok' : said || `it ended with ${signal ?? code}`];
  });
  return Object.fromEntries(await Promise.all(outcomes));
}

function describeCuda(): Cuda {
  const { available, reason } = device.cuda;
  try {
    return { available, reason, devices: device.cuda.devices };
  } catch (error) {
    // A device that is there but does not answer.
    return { available: false, reason: error instanceof Error ? error.message : String(error), devices: [] };
  }
}

function libc(): string {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  const glibc = report?.header?.glibcVersionRuntime;
  return glibc ? ` (glibc ${glibc})` : '';
}

/** The file that the loader takes, or null when there is none. */
function addonPath(): string | null {
  try {
    const load = createRequire(import.meta.url)('node-gyp-build') as { path(folder: string): string };
    return load.path(packageRoot);
  } catch {
    return null;
  }
}

function describeDiagnosis(diagnosis: Diagnosis): string {
  const { native } = diagnosis;
  const rows: [string, string][] = [
    ['node', diagnosis.node],
    ['platform', diagnosis.platform],
    ['addon', diagnosis.addon ?? 'not built'],
  ];
  if (native) {
    rows.push(['version', `${native.version}, C ABI ${native.abi}`]);
    rows.push(['backend', `${native.backend} (this machine can run ${native.backends.join(', ')})`]);
    rows.push(['threads', `${native.threads} of ${diagnosis.processors} processors`]);
    const cuda = diagnosis.cuda?.devices.map(
      ({ index, name, computeCapability, totalBytes, driver }) =>
        `cuda:${index} ${name} (compute ${computeCapability}, ${bytes(totalBytes)}, driver for CUDA ${driver})`,
    );
    rows.push(['cuda', cuda?.join('; ') || (diagnosis.cuda?.reason ?? 'none')]);
    const tested = Object.entries(diagnosis.selfTest).map(([name, outcome]) => `${name} ${outcome}`);
    rows.push(['self-test', `${tested.join(', ')} (coders and InfoNCE)`]);
    rows.push(['processor', native.cpuFeatures.join(' ') || 'no SIMD features that bince uses']);
  }
  const environment = Object.entries(diagnosis.environment).map(([name, value]) => `${name}=${value}`);
  if (environment.length) rows.push(['environment', environment.join(' ')]);
  const verdict = diagnosis.problems.map(
    ({ problem, hint }) =>
      `${paint(process.stdout, 'red', 'problem:')} ${problem}\n${paint(process.stdout, 'yellow', 'hint:')} ${hint}`,
  );
  if (diagnosis.ok) verdict.push(paint(process.stdout, 'green', 'all is well'));
  return [fields(rows), ...verdict].join('\n');
}
