/** An open file as a source of bytes for the readers of the format. */
import type { FileHandle } from 'node:fs/promises';
import type { ByteSource } from '../decoder/source.js';
import { BinceError } from '../errors.js';
import { fileError } from './file_errors.js';

/** A source that can also read into memory that is there already. */
export interface FileSource extends ByteSource {
  /** Fills `target` with the bytes from `offset` on. */
  readInto(target: Uint8Array, offset: number): Promise<void>;
}

/** Node takes no 2^31 bytes in one call. */
const mostAtOnce = 2 ** 30;

export async function fileSource(file: FileHandle, path: string): Promise<FileSource> {
  const info = await file.stat();
  if (!info.isFile()) {
    throw new BinceError('BINCE_IO', `cannot read ${path}: it is not a regular file`, {
      hint: 'write a pipe to a file first: rows are read by random access',
    });
  }
  const readInto = async (target: Uint8Array, offset: number) => {
    for (let done = 0; done < target.length; ) {
      let bytesRead: number;
      try {
        const length = Math.min(target.length - done, mostAtOnce);
        ({ bytesRead } = await file.read(target, done, length, offset + done));
      } catch (cause) {
        throw fileError('read', path, cause);
      }
      if (bytesRead === 0)
        throw new BinceError('BINCE_IO', `cannot read ${path}: it became shorter meanwhile`);
      done += bytesRead;
    }
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
