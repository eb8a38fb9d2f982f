/** An open file as a source of bytes for the readers of the format. */
import type { FileHandle } from 'node:fs/promises';
import type { ByteSource } from '../decoder/source.js';
import { BinceError } from '../errors.js';
import { readBytes } from '../file_bytes.js';
import { fileError } from './file_errors.js';

/** A source that can also read into memory that is there already. */
export interface FileSource extends ByteSource {
  /** Fills `target` with the bytes from `offset` on. */
  readInto(target: Uint8Array, offset: number): Promise<void>;
}

export async function fileSource(file: FileHandle, path: string): Promise<FileSource> {
  const info = await file.stat();
  if (!info.isFile()) {
    throw new BinceError('BINCE_IO', `cannot read ${path}: it is not a regular file`, {
      hint: 'write a pipe to a file first: rows are read by random access',
    });
  }
  const readInto = async (target: Uint8Array, offset: number) => {
    let done: number;
    try {
      done = await readBytes(file, target, offset);
    } catch (cause) {
      throw fileError('read', path, cause);
    }
    if (done < target.length)
      throw new BinceError('BINCE_IO', `cannot read ${path}: it became shorter meanwhile`);
  };
  return {
    size: info.size,
    readInto,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      await readInto(bytes, offset);
      return bytes;
    },
  };
}
