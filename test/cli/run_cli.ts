/** Runs the built command line as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { runCommandLine } from '../../lib/cli/program.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

const cleanEnvironment = { ...process.env, NO_COLOR: '1', CI: '' };

export function startCli(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  if (!existsSync(main)) throw new Error('dist/ is missing: build it first (npm run build)');
  return spawn(process.execPath, [main, ...args], {
    env: { ...cleanEnvironment, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export async function finished(child: ChildProcess): Promise<Outcome> {
  const out: Buffer[] = [];
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const bytes = Buffer.concat(out);
  return { code, stdout: bytes.toString('utf8'), stderr, bytes };
}

export function cli(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return finished(startCli(args, env));
}

/** Runs a command that must succeed. */
export async function succeed(...args: string[]): Promise<Outcome> {
  const outcome = await cli(args);
  expect(outcome.stderr).not.toContain('error:');
  expect(outcome.code).toBe(0);
  return outcome;
}

/**
 * Runs a command in this process, which is much faster: for commands that end before there is much to do. One at a
 * time, since it listens to what the process prints.
 */
async function cliInProcess(args: readonly string[]): Promise<Outcome> {
  process.env['NO_COLOR'] = '1';
  const printed = { stdout: '', stderr: '' };
  const restore = (['stdout', 'stderr'] as const).map((name) => {
    const write = process[name].write;
    process[name].write = ((text: string) => {
      printed[name] += text;
      return true;
    }) as typeof write;
    return () => {
      process[name].write = write;
    };
  });
  const exitCode = process.exitCode;
  try {
    const code = await runCommandLine(args);
    return { code, ...printed, bytes: Buffer.from(printed.stdout) };
  } finally {
    process.exitCode = exitCode;
    for (const undo of restore) undo();
  }
}

/** Runs a command that must fail as people are told: `error: ...`, `hint: ...`. Returns stderr. */
export async function fails(code: 1 | 2, ...args: string[]): Promise<string> {
  const outcome = await cliInProcess(args);
  expect(outcome.stderr).toMatch(/^error: .+/m);
  expect(outcome.stderr).not.toMatch(/ {4}at .*:\d+:\d+/); // no stack
  expect(outcome.code).toBe(code);
  return outcome.stderr;
}

/** The JSON objects of an output, one a line. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
