/** A run folder belongs to one trainer at a time: run.lock names the process. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileError } from '../codec/file_errors.js';
import { BinceError } from '../errors.js';

export const lockFile = 'run.lock';

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in the system's clock ticks: a later process may have the same pid. */
  readonly started: string | undefined;
}

export interface RunLock {
  release(): Promise<void>;
}

/**
 * Takes a run folder, which is made if it is missing, unless `existing` says that only one that is there will do (then
 * undefined). The lock of a process that is gone does not count. Throws BINCE_INVALID_ARGUMENT where another trainer,
 * of this process or another, has the folder.
 */
export async function lockRun(folder: string, existing: boolean): Promise<RunLock | undefined> {
  if (existing && !(await stat(folder).catch(() => undefined))?.isDirectory()) return undefined;
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw fileError('make the folder', folder, cause);
  });
  const path = join(folder, lockFile);
  const owner: Owner = { pid: process.pid, host: hostname(), started: startOf(process.pid) };
  while (!(await create(path, JSON.stringify(owner)))) await removeStale(folder, path);
  return { release: () => unlink(path).catch(() => undefined) };
}

/** Returns false where the file is there already. */
async function create(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, `${text}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw fileError('write', path, error);
  }
}

/** Removes the lock of a process that is gone; throws where it is alive. */
async function removeStale(folder: string, path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return; // released in the meantime
  const owner = parseOwner(text);
  if (!owner || isAlive(owner)) throw inUse(folder, owner);
  // Of two that find the same stale lock one moves it away; what the other would move is looked at first.
  const aside = `${path}.${randomUUID()}`;
  await rename(path, aside).catch(() => undefined);
  const moved = await readFile(aside, 'utf8').catch(() => undefined);
  if (moved !== undefined && moved !== text) {
    await rename(aside, path);
    throw inUse(folder, parseOwner(moved));
  }
  await unlink(aside).catch(() => undefined);
}

function parseOwner(text: string): Owner | undefined {
  try {
    const { pid, host, started } = JSON.parse(text) as Owner;
    return Number.isInteger(pid) ? { pid, host, started } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, host, started }: Owner): boolean {
  if (host !== hostname()) return true; // not to be told from here
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return started === startOf(pid);
}

/** Field 22 of /proc/pid/stat; undefined on systems without it. */
function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function inUse(folder: string, owner: Owner | undefined): BinceError {
  const who = owner ? `process ${owner.pid} on ${owner.host}` : 'another process';
  return new BinceError('BINCE_INVALID_ARGUMENT', `${folder} is being trained by ${who}`, {
    hint: `wait for it, or name another folder; if it is gone, remove ${join(folder, lockFile)}`,
  });
}
