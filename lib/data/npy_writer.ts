/** Writes a .npy file row by row: streamed, and put in place by rename once it is whole. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { BinceError, invalidArgument } from '../errors.js';
import { float32ToFloat16 } from './half_floats.js';
import { buildNpyHeader } from './npy_header.js';

export interface NpyShape {
  readonly rows: number;
  readonly channels: number;
  readonly dtype?: 'float32' | 'float16' | 'int32';
}

const descrOf = { float32: '<f4', float16: '<f2', int32: '<i4' } as const;

/** Where bytes go: a file that appears when it is complete, or a stream. */
interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  abort(): Promise<void>;
}

/** A .npy file being written. `finish` puts it in place, `abort` leaves nothing behind. */
export class NpyWriter {
  readonly #sink: Sink;
  readonly #shape: Required<NpyShape>;
  #rows = 0;

  private constructor(sink: Sink, shape: Required<NpyShape>) {
    this.#sink = sink;
    this.#shape = shape;
  }

  /** Starts a file (given as a path) or a stream. The number of rows must be known: it stands in the header. */
  static async create(target: string | Writable, shape: NpyShape): Promise<NpyWriter> {
    const { rows, channels, dtype = 'float32' } = shape;
    if (!Number.isSafeInteger(rows) || rows < 0) invalidArgument('rows', 'a number of rows', rows);
    if (!Number.isInteger(channels) || channels < 1)
      invalidArgument('channels', 'a positive integer', channels);
    const sink = typeof target === 'string' ? await RenamedFile.create(target) : new StreamSink(target);
    const writer = new NpyWriter(sink, { rows, channels, dtype });
    await writer.#write(buildNpyHeader(descrOf[dtype], [rows, channels]));
    return writer;
  }

  /** Appends whole rows. */
  async write(values: Float32Array | Int32Array): Promise<void> {
    const { channels, dtype, rows } = this.#shape;
    if (values.length % channels !== 0)
      invalidArgument('values', `whole rows of ${channels} channels`, values);
    if ((dtype === 'int32') !== values instanceof Int32Array)
      invalidArgument('values', dtype === 'int32' ? 'an Int32Array' : 'a Float32Array', values);
    this.#rows += values.length / channels;
    if (this.#rows > rows) invalidArgument('values', `at most ${rows} rows in all`, values);
    if (dtype === 'float16') {
      const bits = new Uint16Array(values.length);
      float32ToFloat16(values as Float32Array, bits);
      await this.#write(new Uint8Array(bits.buffer));
    } else {
      await this.#write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#sink.write(bytes);
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  /** Checks that every row was written, and puts the file in place. */
  async finish(): Promise<void> {
    if (this.#rows !== this.#shape.rows) {
      await this.abort();
      invalidArgument('rows written', String(this.#shape.rows), this.#rows);
    }
    await this.#sink.finish();
  }

  async abort(): Promise<void> {
    await this.#sink.abort();
  }
}

class RenamedFile implements Sink {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  #open = true;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  static async create(path: string): Promise<RenamedFile> {
    const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
    try {
      return new RenamedFile(path, temporary, await open(temporary, 'wx'));
    } catch (cause) {
      throw writeError(path, cause);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done);
        done += bytesWritten;
      }
    } catch (cause) {
      throw writeError(this.#path, cause);
    }
  }

  async finish(): Promise<void> {
    try {
      await this.#file.datasync();
      await this.#file.close();
      this.#open = false;
      await rename(this.#temporary, this.#path);
    } catch (cause) {
      await this.abort();
      throw writeError(this.#path, cause);
    }
  }

  async abort(): Promise<void> {
    if (this.#open) await this.#file.close();
    this.#open = false;
    await rm(this.#temporary, { force: true });
  }
}

class StreamSink implements Sink {
  readonly #stream: Writable;
  constructor(stream: Writable) {
    this.#stream = stream;
  }
  async write(bytes: Uint8Array): Promise<void> {
    // The stream may keep the bytes after write() returns, and the caller may reuse them: copy.
    if (!this.#stream.write(bytes.slice())) await once(this.#stream, 'drain');
  }
  async finish(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.write('', (error) => (error ? reject(error) : resolve()));
    });
  }
  async abort(): Promise<void> {}
}

function writeError(path: string, cause: unknown): BinceError {
  const code = (cause as NodeJS.ErrnoException).code;
  const hints: Record<string, string> = {
    ENOSPC: 'the disk is full; nothing was left in place',
    ENOENT: `make the folder first: mkdir -p ${dirname(path)}`,
    EACCES: 'choose a folder that you may write to with -o',
    EISDIR: 'name a file, not a folder, with -o',
  };
  const hint = code === undefined ? undefined : hints[code];
  return new BinceError('BINCE_IO', `${path}: cannot be written (${code ?? String(cause)})`, {
    ...(hint === undefined ? {} : { hint }),
    cause,
  });
}
