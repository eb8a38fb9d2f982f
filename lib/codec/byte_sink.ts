/** Where a writer's bytes go: a file that is put in place by rename, the end of an existing file, or a stream. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BinceError } from '../errors.js';
import { mostBytesAtOnce } from '../file_bytes.js';
import { fileError } from './file_errors.js';

/** Takes bytes in order. After `close` they are safe; after `abort` nothing of them is left where that is possible. */
export interface ByteSink {
  /** Whether the memory of `write` may be used again once its promise is settled. Without it, it is left alone. */
  readonly copies?: boolean;
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

/** Writes all of `bytes` at `position` (null: at the file's own position). */
async function writeFully(file: FileHandle, bytes: Uint8Array, position: number | null): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const at = position === null ? null : position + done;
    const { bytesWritten } = await file.write(
      bytes,
      done,
      Math.min(bytes.length - done, mostBytesAtOnce),
      at,
    );
    if (bytesWritten === 0) throw new BinceError('BINCE_IO', 'the file takes no more bytes');
    done += bytesWritten;
  }
}

/**
 * A new file that appears under its name whole or not at all: written beside it under a temporary name, synced, then
 * renamed. A path that is no regular file (a device, a named pipe) is written directly.
 */
export class NewFileSink implements ByteSink {
  readonly copies = true;
  private readonly path: string;
  private readonly temporary: string | undefined;
  private readonly file: FileHandle;
  private open = true;

  private constructor(path: string, temporary: string | undefined, file: FileHandle) {
    this.path = path;
    this.temporary = temporary;
    this.file = file;
  }

  /** With `overwrite` false a file that is already there is an error. */
  static async create(path: string, overwrite = true): Promise<NewFileSink> {
    try {
      const existing = await stat(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (existing?.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
      if (existing && !existing.isFile()) return new NewFileSink(path, undefined, await open(path, 'w'));
      if (existing && !overwrite) {
        throw new BinceError('BINCE_IO', `cannot write ${path}: it is there already`, {
          hint: 'choose another name or allow overwriting',
        });
      }
      const target = existing ? await realpath(path) : path;
      const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
      const file = await open(temporary, 'wx', existing ? existing.mode & 0o777 : 0o666);
      return new NewFileSink(target, temporary, file);
    } catch (cause) {
      throw fileError('write', path, cause);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await writeFully(this.file, bytes, null);
    } catch (cause) {
      throw fileError('write', this.path, cause);
    }
  }

  async close(): Promise<void> {
    try {
      if (this.temporary === undefined) {
        this.open = false;
        await this.file.close();
        return;
      }
      await this.file.sync();
      this.open = false;
      await this.file.close();
      await rename(this.temporary, this.path);
      await syncFolder(dirname(this.path));
    } catch (cause) {
      await this.abort();
      throw fileError('write', this.path, cause);
    }
  }

  async abort(): Promise<void> {
    if (this.open) {
      this.open = false;
      await this.file.close().catch(() => {});
    }
    if (this.temporary !== undefined) await unlink(this.temporary).catch(() => {});
  }
}

/** Makes a rename last; file systems that cannot sync a folder are left to their own ways. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!['EINVAL', 'EPERM', 'ENOTSUP', 'EBADF'].includes(code)) throw error;
  } finally {
    await folder.close();
  }
}

/** Writes after the end of an open file; `abort` cuts it back to what it was. */
export class AppendSink implements ByteSink {
  readonly copies = true;
  private readonly path: string;
  private readonly file: FileHandle;
  private readonly begin: number;
  private position: number;
  private open = true;

  constructor(path: string, file: FileHandle, begin: number) {
    this.path = path;
    this.file = file;
    this.begin = begin;
    this.position = begin;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await writeFully(this.file, bytes, this.position);
      this.position += bytes.length;
    } catch (cause) {
      throw fileError('append to', this.path, cause);
    }
  }

  async close(): Promise<void> {
    try {
      await this.file.sync();
      this.open = false;
      await this.file.close();
    } catch (cause) {
      await this.abort();
      throw fileError('append to', this.path, cause);
    }
  }

  async abort(): Promise<void> {
    if (!this.open) return;
    this.open = false;
    try {
      await this.file.truncate(this.begin);
      await this.file.sync();
    } catch (cause) {
      throw fileError('restore', this.path, cause);
    } finally {
      await this.file.close().catch(() => {});
    }
  }
}

/** Writes to a Node stream and waits for each write. The process's own stdout and stderr are left open. */
export class StreamSink implements ByteSink {
  private readonly stream: NodeJS.WritableStream;
  private failure: Error | undefined;
  private readonly onError = (error: Error) => {
    this.failure ??= error;
  };

  constructor(stream: NodeJS.WritableStream) {
    this.stream = stream;
    stream.on('error', this.onError);
  }

  private get isStandard(): boolean {
    return this.stream === process.stdout || this.stream === process.stderr;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.finished((done) => this.stream.write(bytes, done));
  }

  async close(): Promise<void> {
    if (this.isStandard) await this.finished((done) => this.stream.write(new Uint8Array(0), done));
    else await this.finished((done) => this.stream.end(done));
    this.stream.off('error', this.onError);
  }

  async abort(): Promise<void> {
    if (!this.isStandard) (this.stream as { destroy?: () => void }).destroy?.();
  }

  /** Runs one operation; the stream's failure ends it too, also where the stream never calls back. */
  private async finished(start: (done: (error?: Error | null) => void) => void): Promise<void> {
    let onFailure: ((error: Error) => void) | undefined;
    let onClose: (() => void) | undefined;
    try {
      if (this.failure) throw this.failure;
      await new Promise<void>((resolve, reject) => {
        onFailure = reject;
        onClose = () => reject(Object.assign(new Error('the stream was closed'), { code: 'EPIPE' }));
        this.stream.on('error', onFailure).on('close', onClose);
        start((error) => (error ? reject(error) : resolve()));
      });
    } catch (cause) {
      throw fileError('write to', 'the stream', cause);
    } finally {
      if (onFailure) this.stream.off('error', onFailure);
      if (onClose) this.stream.off('close', onClose);
    }
  }
}
