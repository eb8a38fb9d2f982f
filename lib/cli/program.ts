/** The command line: which commands there are, and how one ends. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { packageRoot } from '../native.js';
import { interruption } from './command.js';
import { exitCodes, reportFailure } from './failures.js';
import { commonOptions } from './options.js';
import { paint } from './terminal.js';

function version(): string {
  return (JSON.parse(readFileSync(`${packageRoot}/package.json`, 'utf8')) as { version: string }).version;
}

/** In the order of the help. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  train: async () => (await import('./train_command.js')).trainCommand(),
  eval: async () => (await import('./eval_command.js')).evalCommand(),
  plot: async () => (await import('./plot_command.js')).plotCommand(),
  fit: async () => (await import('./fit_command.js')).fitCommand(),
  compress: async () => (await import('./compress_command.js')).compressCommand(),
  decompress: async () => (await import('./decompress_command.js')).decompressCommand(),
  inspect: async () => (await import('./inspect_command.js')).inspectCommand(),
  import: async () => (await import('./import_command.js')).importCommand(),
  demo: async () => (await import('./demo_command.js')).demoCommand(),
  doctor: async () => (await import('./doctor_command.js')).doctorCommand(),
  build: async () => (await import('./build_command.js')).buildCommand(),
};

/** The one command that is asked for, which starts sooner; all of them for help, and where none is recognised. */
async function loadCommands(first = ''): Promise<Command[]> {
  if (Object.hasOwn(commands, first)) return [await commands[first]!()];
  return Promise.all(Object.values(commands).map((load) => load()));
}

async function createProgram(asked: string | undefined): Promise<Command> {
  const program = new Command('bince')
    .description('Makes embeddings and features 10 to 20 times smaller, and reads them back.')
    .version(version(), '-V, --version', 'print the version')
    .enablePositionalOptions()
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help of a command');
  program.optionsGroup('Common options:');
  for (const option of commonOptions('program')) program.addOption(option);
  program.addHelpText(
    'after',
    `
Examples:
  bince train bince --data mnist
  bince fit embeddings.npy -o model.safetensors --bits 1000
  bince compress embeddings.npy -m model.safetensors -o embeddings.bince
  bince decompress embeddings.bince -o back.npy --rows 0:100
  bince demo

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`,
  );
  for (const command of await loadCommands(asked)) program.addCommand(command);
  applyToAll(program, (command) => {
    command.exitOverride();
    command.configureOutput({
      outputError: (text, write) => {
        write(text.replace(/^error:/, paint(process.stderr, 'red', 'error:')));
        const path = commandPath(command);
        write(`${paint(process.stderr, 'yellow', 'hint:')} ${path} --help\n`);
      },
    });
  });
  return program;
}

function applyToAll(command: Command, change: (command: Command) => void): void {
  change(command);
  for (const child of command.commands) applyToAll(child, change);
}

function commandPath(command: Command): string {
  return command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
}

/** Runs a command line (without the program's name); returns the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    const program = await createProgram(args[0]);
    if (args.length === 0) {
      program.outputHelp({ error: true });
      return exitCodes.usage;
    }
    await program.parseAsync(args, { from: 'user' });
    interruption.signal.throwIfAborted();
    return Number(process.exitCode ?? exitCodes.done);
  } catch (error) {
    // Commander has printed its own: help and version (0), or a usage error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    const reason = interruption.signal.aborted ? interruption.signal.reason : error;
    return reportFailure(reason, args.includes('--json'));
  }
}
