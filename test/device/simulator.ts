/**
 * CUDA without a device: tests of this folder name the simulator's library before the addon opens one.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/native.js';
import { finished } from '../cli/run_cli.js';

const given = process.env['BINCE_TEST_CUSIM'];

/** The simulator's library. */
export const simulator: string = given || join(packageRoot, 'build-native/libbince_cusim.so');

/** Why the tests that need it cannot run; undefined where they can. */
export const missing: string | undefined = existsSync(simulator)
  ? undefined
  : `no CUDA simulator at ${simulator}: build it (npm test -- native), or name it in BINCE_TEST_CUSIM`;

if (missing) console.warn(`skipped: ${missing}`);

/** Makes this process use the simulator. The addon reads the environment on the first use of a device. */
export function useSimulator(): void {
  if (!missing) process.env['BINCE_CUDA_LIBRARY'] = simulator;
}

/**
 * Runs a module's text in a process of its own with `bince` (the package's root) at hand; resolves to what it hands to
 * `report`.
 */
export async function inProcess(
  text: string,
  environment: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<unknown> {
  const source = `
    import * as bince from ${JSON.stringify(join(packageRoot, 'dist/index.js'))};
    const report = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
    const refusal = (fn) => { try { fn(); } catch ({ code, message, hint }) { return { code, message, hint }; } };
    ${text}`;
  const { code, stdout, stderr } = await finished(
    spawn(process.execPath, [...flags, '--input-type=module', '-e', source], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  if (code !== 0) throw new Error(`the process ended with ${code}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}
