/** What all commands share: common options, a signal that Ctrl-C aborts, a reporter. */
import { Command } from 'commander';
import { type CommonOptions, commonOptions } from './options.js';
import { Reporter } from './terminal.js';

/** What a command's action gets beside its own arguments. */
export interface Session {
  /** Aborts on Ctrl-C, SIGTERM and when the reader of stdout goes away. */
  readonly signal: AbortSignal;
  readonly report: Reporter;
}

/** Set by main.ts before a command runs. */
export const interruption = new AbortController();

export interface CommandText {
  readonly name: string;
  readonly summary: string;
  /** Lines of the help's examples, without the leading `bince`. */
  readonly examples: readonly string[];
}

/** A command with the common options and examples in its help. */
export function createCommand({ name, summary, examples }: CommandText): Command {
  const command = new Command(name).description(summary);
  command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  bince ${line}`).join('\n')}`);
  return command;
}

/** Adds the common options (last, so that the command's own stand first in its help) and the action. */
export function setAction<Options extends CommonOptions>(
  command: Command,
  run: (session: Session, options: Options, args: string[]) => Promise<void>,
): Command {
  command.optionsGroup('Common options:');
  for (const option of commonOptions('command')) command.addOption(option);
  return command.action(async (...received: unknown[]) => {
    const options = command.optsWithGlobals<Options>();
    applyToEnvironment(options);
    const report = new Reporter(options);
    await run({ signal: interruption.signal, report }, options, received.slice(0, -2) as string[]);
  });
}

/** The addon reads its settings from the environment when it loads, which no command has done yet. */
function applyToEnvironment(options: CommonOptions): void {
  if (options.threads !== undefined) process.env['BINCE_THREADS'] = String(options.threads);
  if (options.backend !== undefined) process.env['BINCE_BACKEND'] = options.backend;
}
