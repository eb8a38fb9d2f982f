/**
 * CUDA without a device: tests of this folder name the simulator's library before the addon opens one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/native.js';

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
