/** Names of files on the command line: `-` is stdout, and some mistakes are worth a hint. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BinceError } from '../errors.js';
import { usageError } from './failures.js';

/** Where `-o` writes: a path, or stdout for `-`, which must then be no terminal. */
export function outputTarget(path: string, json: boolean): string | NodeJS.WriteStream {
  if (path !== '-') return path;
  if (json) usageError('-o - and --json both write to stdout', 'write the data to a file: -o FILE');
  if (process.stdout.isTTY)
    usageError('binary data is not written to a terminal', 'send it to a file or a program: ... -o - > FILE');
  return process.stdout;
}

/** Turns a missing input into an error with a hint; opening would tell less. */
export async function checkInput(path: string, what: string): Promise<void> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT')
      throw new BinceError('BINCE_IO', `${path}: cannot be read (${cause.code})`, { cause });
    throw new BinceError('BINCE_NOT_FOUND', `${path}: no such file`, {
      hint: `check the name and the folder you are in; expected ${what}`,
      cause,
    });
  });
  if (found.isDirectory())
    throw new BinceError('BINCE_IO', `${path}: is a folder`, { hint: `name a file in it: ${what}` });
}

/** Fails before the work, not after it, where the output cannot be put in place or would replace an input. */
export async function checkOutput(path: string, ...inputs: readonly string[]): Promise<void> {
  if (path === '-') return;
  const folder = dirname(path);
  const parent = await stat(folder).catch(() => undefined);
  if (!parent?.isDirectory()) {
    throw new BinceError('BINCE_NOT_FOUND', `cannot write ${path}: there is no folder ${folder}`, {
      hint: `make it first: mkdir -p ${folder}`,
    });
  }
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory())
    throw new BinceError('BINCE_IO', `cannot write ${path}: it is a folder`, {
      hint: 'name a file in it with -o',
    });
  for (const input of inputs) {
    const read = existing && (await stat(input).catch(() => undefined));
    if (read && read.dev === existing.dev && read.ino === existing.ino)
      usageError(`-o ${path} is the input ${input}, which would be lost`, 'choose another name with -o');
  }
}
