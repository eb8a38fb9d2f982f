/** The codec: models, and .bince files that are written and read with them. */

export { DamagedFileError, type FilePart } from '../decoder/damage.js';
export type { RowForm } from '../decoder/file.js';
export type { BinceHeader, Coder, JsonValue, RowDtype } from '../decoder/header.js';
export type { Recovery } from '../decoder/recovery.js';
export { BinceError, type BinceErrorCode } from '../errors.js';
export type { CdfTables } from '../kernels/tables.js';
export type { Lanes } from './block_format.js';
export type { ByteSink } from './byte_sink.js';
export type { BinceInfo } from './file_info.js';
export {
  type CodecModel,
  checkTables,
  createModel,
  idealBits,
  loadModel,
  type ModelFields,
  modelHash,
  type NetworkTensor,
  saveModel,
} from './model.js';
export {
  type BadBlock,
  type Batch,
  type BatchOptions,
  BinceReader,
  type ReaderOptions,
  type RowOptions,
  type Verification,
} from './reader.js';
export type { Rows } from './row_check.js';
export {
  type SafetensorsDtype,
  SafetensorsFile,
  type TensorData,
  type TensorEntry,
  writeSafetensors,
} from './safetensors.js';
export type { WriterOptions } from './write_session.js';
export { BinceWriter, type RowBatch, type WriterStatistics } from './writer.js';
