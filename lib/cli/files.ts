/** Names of files on the command line: `-` is stdout, and some mistakes are worth a hint. */
import { stat } from 'node:fs/promises';
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
