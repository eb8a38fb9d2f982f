/**
 * A decoder of .bince files in TypeScript alone: no native code, no Node; it runs in a browser.
 *
 *     import { BinceFile, decodeFile } from 'bince/decoder';
 *     const { data, rows, channels } = decodeFile(bytes);           // everything, from a Uint8Array
 *     const file = await BinceFile.open(blob);                      // or parts, from a Blob
 *     const some = await file.rows(1000, 1010);
 */
export { BinceError, type BinceErrorCode } from '../errors.js';
export type { CdfTables } from '../kernels/tables.js';
export { DamagedFileError, type FilePart } from './damage.js';
export { BinceFile, type DecodedRows, type DecodeOptions, decodeFile, type RowForm } from './file.js';
export type { BinceHeader, Coder, JsonValue, RowDtype } from './header.js';
export type { Recovery } from './recovery.js';
export type { BlobLike, ByteSource } from './source.js';
