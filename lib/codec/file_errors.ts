/** Errors of the file system as BinceErrors that say which file, what was tried and what to do. */
import { BinceError } from '../errors.js';

const kReasons: Readonly<Record<string, { text: string; hint?: string }>> = {
  ENOENT: { text: 'no such file or folder' },
  EACCES: { text: 'permission denied' },
  EPERM: { text: 'operation not permitted' },
  EISDIR: { text: 'it is a folder' },
  ENOTDIR: { text: 'a part of the path is not a folder' },
  EROFS: { text: 'the file system is read-only' },
  ENOSPC: { text: 'no space is left on the device', hint: 'free some space or write to another place' },
  EDQUOT: { text: 'the disk quota is used up', hint: 'free some space or write to another place' },
  EFBIG: { text: 'the file would be larger than is allowed here' },
  EPIPE: { text: 'the reading end of the pipe was closed' },
  ERR_STREAM_DESTROYED: { text: 'it was closed' },
  ERR_STREAM_WRITE_AFTER_END: { text: 'it was ended' },
  ERR_STREAM_PREMATURE_CLOSE: { text: 'it was closed' },
  EMFILE: { text: 'too many open files' },
};

/** `cannot <action> <path>: <reason>` for an error of the operating system; any other error as it is. */
export function fileError(action: string, path: string, cause: unknown): Error {
  const { code, syscall } = (cause ?? {}) as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : kReasons[code];
  if (!(cause instanceof Error) || cause instanceof BinceError) return cause as Error;
  if (!known && syscall === undefined) return cause;
  return new BinceError(
    code === 'ENOENT' ? 'BINCE_NOT_FOUND' : 'BINCE_IO',
    `cannot ${action} ${path}: ${known?.text ?? cause.message}`,
    { cause, ...(known?.hint ? { hint: known.hint } : {}) },
  );
}
