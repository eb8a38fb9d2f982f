/**
 * Runs the self-test in a process of its own, since the addon takes its backend from BINCE_BACKEND when it is
 * loaded. The message of a failure goes to stdout.
 */
import { testKernels } from './self_test.js';

try {
  testKernels();
} catch (error) {
  process.stdout.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
