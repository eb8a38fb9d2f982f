#!/usr/bin/env node
/** The command line: `bince <command>`. */
import { interruption } from './command.js';
import { exitCodes, Stopped } from './failures.js';
import { runCommandLine } from './program.js';

function stopOnSignals(): void {
  const stop = (reason: Stopped) => {
    // A second Ctrl-C does not wait for the clean-up.
    if (interruption.signal.aborted) process.exit(reason.exitCode);
    interruption.abort(reason);
  };
  process.on('SIGINT', () => stop(new Stopped('interrupted', exitCodes.interrupted)));
  process.on('SIGTERM', () => stop(new Stopped('terminated', exitCodes.terminated)));
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!interruption.signal.aborted)
      interruption.abort(new Stopped('the reader of stdout went away', exitCodes.closedPipe));
  });
  process.stderr.on('error', () => undefined);
}

stopOnSignals();
process.exitCode = await runCommandLine(process.argv.slice(2));
