import type { FileHandle } from 'node:fs/promises';
import { BinceError } from '../errors.js';
import { matrixShape } from './npy_reader.js';
import { type RowLayout, readFully } from './row_file.js';

/** .fvecs: every row is an int32 number of channels and that many float32. The first row tells the layout. */
export async function readFvecsLayout(file: FileHandle, fileBytes: number, path: string): Promise<RowLayout> {
  if (fileBytes === 0) matrixShape([0, 0], path);
  if (fileBytes < 8)
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: only ${fileBytes} bytes, too short for .fvecs`);
  const prefix = new Uint8Array(4);
  await readFully(file, prefix, 0, path);
  const channels = new DataView(prefix.buffer).getInt32(0, true);
  if (channels < 1 || channels > 1 << 20) {
    throw new BinceError(
      'BINCE_CORRUPT_DATA',
      `${path}: its first row claims ${channels} channels, expected 1 to ${1 << 20}`,
      { hint: 'is it really an .fvecs file (int32 length, then float32 values, for each row)?' },
    );
  }
  const rowBytes = 4 + 4 * channels;
  if (fileBytes % rowBytes !== 0) {
    throw new BinceError(
      'BINCE_CORRUPT_DATA',
      `${path}: ${fileBytes} bytes are not a whole number of rows of ${channels} channels (${rowBytes} bytes each)`,
      { hint: 'the file was cut off, or its rows differ in length' },
    );
  }
  return {
    format: 'fvecs',
    rows: fileBytes / rowBytes,
    channels,
    dtype: 'float32',
    offset: 0,
    prefixBytes: 4,
  };
}
