import { spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockFile, lockRun } from '../../lib/train/run_lock.js';
import { temporaryFolder } from '../data/files.js';

const folder = temporaryFolder();
const busy = { code: 'BINCE_INVALID_ARGUMENT', message: expect.stringMatching(/is being trained by/) };

describe('lockRun', () => {
  it('gives a folder to one at a time', async () => {
    const path = join(folder, 'one', 'deep');
    const lock = (await lockRun(path, false))!;
    await expect(lockRun(path, false)).rejects.toMatchObject(busy);
    await expect(lockRun(path, true)).rejects.toThrow(`process ${process.pid} on ${hostname()}`);
    await lock.release();
    expect(readdirSync(path)).toEqual([]);
    await (await lockRun(path, true))!.release();
  });

  it('lets one of many have it', async () => {
    const path = join(folder, 'race');
    const tries = await Promise.allSettled(Array.from({ length: 20 }, () => lockRun(path, false)));
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('makes no folder where one was to be there', async () => {
    expect(await lockRun(join(folder, 'missing'), true)).toBeUndefined();
    expect(existsSync(join(folder, 'missing'))).toBe(false);
  });

  it('takes over from a process that is gone', async () => {
    const path = join(folder, 'stale');
    const gone = spawn(process.execPath, ['-e', '0']);
    await new Promise((resolve) => gone.once('close', resolve));
    await (await lockRun(path, false))!.release();
    const write = (owner: object) => writeFileSync(join(path, lockFile), JSON.stringify(owner));
    write({ pid: gone.pid, host: hostname(), started: '1' });
    await (await lockRun(path, false))!.release();
    // The same pid, but of a process that began at another time.
    write({ pid: process.pid, host: hostname(), started: '1' });
    await (await lockRun(path, false))!.release();
    expect(readdirSync(path)).toEqual([]);
  });

  it('does not judge processes of other machines, nor what it cannot read', async () => {
    const path = join(folder, 'elsewhere');
    await (await lockRun(path, false))!.release();
    for (const text of [JSON.stringify({ pid: 1, host: 'elsewhere.invalid', started: '1' }), 'noise']) {
      writeFileSync(join(path, lockFile), text);
      await expect(lockRun(path, false)).rejects.toMatchObject(busy);
    }
  });
});
