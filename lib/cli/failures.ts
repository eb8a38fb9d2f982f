/** How a command ends: exit codes and the two lines `error: ...` and `hint: ...`. */
import { BinceError } from '../errors.js';
import { paint } from './terminal.js';

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  interrupted: 130,
  terminated: 143,
  closedPipe: 141,
} as const;

/** The reason of an abort that came from outside: a signal, or a reader that went away. */
export class Stopped extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.name = 'Stopped';
    this.exitCode = exitCode;
  }
}

/** Throws a usage error: exit code 2. */
export function usageError(message: string, hint?: string): never {
  throw new BinceError('BINCE_USAGE', message, hint === undefined ? {} : { hint });
}

/** Prints a failure as people and, with `json`, programs read it. Returns the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  if (error instanceof Stopped) {
    if (error.exitCode !== exitCodes.closedPipe) process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
  const { code, message, hint } = explain(error);
  process.stderr.write(`${paint(process.stderr, 'red', 'error:')} ${message}\n`);
  if (hint) process.stderr.write(`${paint(process.stderr, 'yellow', 'hint:')} ${hint}\n`);
  if (process.env['BINCE_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ event: 'error', code, message, hint })}\n`);
  return code === 'BINCE_USAGE' ? exitCodes.usage : exitCodes.failed;
}

function explain(error: unknown): { code: string; message: string; hint: string | undefined } {
  if (error instanceof BinceError) return { code: error.code, message: error.message, hint: error.hint };
  const { code, message } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { code: undefined, message: String(error) };
  if (code?.startsWith('E')) return { code: 'BINCE_IO', message, hint: undefined };
  return {
    code: 'BINCE_INTERNAL',
    message,
    hint: 'this is a fault of bince; run it again with BINCE_DEBUG=1 and report what it prints',
  };
}
