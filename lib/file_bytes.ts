/** Whole reads of open files. */
import type { FileHandle } from 'node:fs/promises';

/** Bytes that one call reads or writes: Node takes no 2^31. */
export const mostBytesAtOnce = 2 ** 30;

/** Fills `bytes` from `position` on; returns how many there are, fewer where the file ends before. */
export async function readBytes(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(bytes.length - done, mostBytesAtOnce);
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
