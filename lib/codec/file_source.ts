/** An open file as a source of bytes for the readers of the format. */
import type { FileHandle } from 'node:fs/promises';
import type { ByteSource } from '../decoder/source.js';
import { BinceError } from '../errors.js';
import { fileError } from './file_errors.js';

export async function fileSource(file: FileHandle, path: string): Promise<ByteSource> {
  const info = await file.stat();
  if (!info.isFile()) {
    throw new BinceError('BINCE_IO', `cannot read ${path}: it is not a regular file`, {
      hint: 'write a pipe to a file first: rows are read by random access',
    });
  }
  return {
    size: info.size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        let bytesRead: number;
        try {
          ({ bytesRead } = await file.read(bytes, done, length - done, offset + done));
        } catch (cause) {
          throw fileError('read', path, cause);
        }
        if (bytesRead === 0)
          throw new BinceError('BINCE_IO', `cannot read ${path}: it became shorter meanwhile`);
        done += bytesRead;
      }
      return bytes;
    },
  };
}
