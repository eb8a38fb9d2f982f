/** Models: what a codec knows of its data. Integer tables are stored, never rebuilt from floats. */
import { createHash } from 'node:crypto';
import {
  isValidScalar,
  type JsonValue,
  kDtypes,
  kMaxChannels,
  kMaxEntries,
  kSymbolLimit,
  kTotal,
  type RowDtype,
} from '../decoder/header.js';
import { BinceError, describe, invalidArgument } from '../errors.js';
import type { CdfTables } from '../kernels/tables.js';
import { ByteWriter } from './byte_writer.js';
import { SafetensorsFile, type TensorData, writeSafetensors } from './safetensors.js';
import { codingBytes } from './section_bytes.js';

/** A tensor of the trained network, row-major. */
export interface NetworkTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** A codec: integer tables per channel and the scaling between values and symbols. */
export interface CodecModel {
  readonly name: string;
  /** How it was made: `ecsq`, `bottleneck`, `compressai`, ... */
  readonly method: string;
  /** Values of a row. */
  readonly channels: number;
  /** What rows are when they are given; int32 rows are symbols. */
  readonly dtype: RowDtype;
  /** The shape of one row; its product is `channels`. */
  readonly shape?: readonly number[];
  readonly tables: CdfTables;
  /** [channels] the table of each channel; absent: channel c uses table c. */
  readonly tableIndex?: Int32Array;
  /** [channels] each. A symbol s stands for ((s + median) * step) + shift. */
  readonly median: Float32Array;
  readonly step: Float32Array;
  readonly shift: Float32Array;
  /** Parameters that training can go on from; coding does not use them. */
  readonly network?: Readonly<Record<string, NetworkTensor>>;
  readonly metadata: Readonly<Record<string, JsonValue>>;
}

/** What {@link createModel} needs; the rest has defaults. */
export interface ModelFields extends Partial<CodecModel> {
  readonly method: string;
  readonly tables: CdfTables;
}

/**
 * A checked model. Defaults: name `unnamed`, dtype float32, as many channels as the table index or the tables have,
 * median 0, step 1, shift 0. Throws BINCE_INVALID_ARGUMENT for anything that could not be coded.
 */
export function createModel(fields: ModelFields): CodecModel {
  const { tables, tableIndex, shape, network } = fields;
  checkTables(tables);
  const channels = fields.channels ?? tableIndex?.length ?? tables.offset.length;
  if (!Number.isInteger(channels) || channels < 1 || channels > kMaxChannels) {
    invalidArgument('channels', `an integer from 1 to ${kMaxChannels}`, channels);
  }
  if (tableIndex) checkTableIndex(tableIndex, channels, tables.offset.length);
  else if (tables.offset.length !== channels)
    invalidArgument('tables', `${channels} tables`, tables.offset.length);
  if (shape && shape.reduce((a, b) => a * b, 1) !== channels) {
    invalidArgument('shape', `a product of ${channels}`, `[${shape.join(', ')}]`);
  }
  const dtype = fields.dtype ?? 'float32';
  if (!kDtypes.includes(dtype)) invalidArgument('dtype', kDtypes.join(', '), dtype);
  for (const [name, tensor] of Object.entries(network ?? {})) {
    const count = tensor.shape.reduce((a, b) => a * b, 1);
    if (count !== tensor.data.length) invalidArgument(`network.${name}`, `${count} values`, tensor.data);
  }
  return {
    name: checkText('name', fields.name ?? 'unnamed'),
    method: checkText('method', fields.method),
    channels,
    dtype,
    ...(shape ? { shape: [...shape] } : {}),
    tables,
    ...(tableIndex ? { tableIndex } : {}),
    median: checkScalars('median', fields.median, channels, 0),
    step: checkScalars('step', fields.step, channels, 1),
    shift: checkScalars('shift', fields.shift, channels, 0),
    ...(network ? { network } : {}),
    metadata: checkMetadata(fields.metadata ?? {}),
  };
}

function checkText(name: string, value: unknown): string {
  return typeof value === 'string' && value.length > 0
    ? value
    : invalidArgument(name, 'a non-empty string', value);
}

/** Checks that metadata survives JSON. */
export function checkMetadata(value: unknown): Readonly<Record<string, JsonValue>> {
  try {
    const text = JSON.stringify(value);
    if (typeof value === 'object' && value !== null && text.startsWith('{')) return JSON.parse(text);
  } catch {
    // A cycle or a BigInt: told below.
  }
  return invalidArgument('metadata', 'an object of JSON values', value);
}

function checkScalars(
  name: 'median' | 'step' | 'shift',
  values: Float32Array | undefined,
  channels: number,
  fallback: number,
): Float32Array {
  if (values === undefined) return new Float32Array(channels).fill(fallback);
  if (!(values instanceof Float32Array) || values.length !== channels) {
    invalidArgument(name, `Float32Array(${channels})`, values);
  }
  const bad = values.findIndex((value) => !isValidScalar(name, value));
  if (bad >= 0) {
    invalidArgument(
      `${name}[${bad}]`,
      name === 'step' ? 'a positive normal number' : 'a finite number',
      values[bad],
    );
  }
  return values;
}

function checkTableIndex(index: Int32Array, channels: number, tableCount: number): void {
  if (!(index instanceof Int32Array) || index.length !== channels) {
    invalidArgument('tableIndex', `Int32Array(${channels})`, index);
  }
  const bad = index.findIndex((table) => table < 0 || table >= tableCount);
  if (bad >= 0) invalidArgument(`tableIndex[${bad}]`, `a table below ${tableCount}`, index[bad]);
}

/** Checks that tables rise strictly from 0 to 65536, with an escape entry and an offset inside the symbols. */
export function checkTables(tables: CdfTables): void {
  const { cdf, start, offset } = tables;
  for (const [name, value] of Object.entries({ cdf, start, offset })) {
    if (!(value instanceof Int32Array)) invalidArgument(`tables.${name}`, 'an Int32Array', value);
  }
  if (offset.length < 1) invalidArgument('tables.offset', 'at least one table', offset);
  if (start.length !== offset.length + 1)
    invalidArgument('tables.start', `Int32Array(${offset.length + 1})`, start);
  if (start[0] !== 0 || start.at(-1) !== cdf.length) {
    invalidArgument('tables.start', `0 to ${cdf.length}`, `${start[0]} to ${start.at(-1)}`);
  }
  for (let t = 0; t < offset.length; t++) {
    const first = start[t]!;
    const end = start[t + 1]!;
    const entries = end - first - 1;
    if (entries < 2 || entries > kMaxEntries) {
      invalidArgument(
        `table ${t}`,
        `2 to ${kMaxEntries} entries, the last one the escape`,
        `${entries} entries`,
      );
    }
    if (Math.abs(offset[t]!) >= kSymbolLimit)
      invalidArgument(`table ${t}`, 'an offset below 2^30', offset[t]);
    let rises = cdf[first] === 0 && cdf[end - 1] === kTotal;
    for (let i = first + 1; i < end && rises; i++) rises = cdf[i]! > cdf[i - 1]!;
    if (!rises) invalidArgument(`table ${t}`, `a strict rise from 0 to ${kTotal}`, 'another sequence');
  }
}

/** SHA-256, in hex, of what decides the coded bytes: tables, table index, median, step, shift (docs/FORMAT.md). */
export function modelHash(model: Parameters<typeof codingBytes>[0]): string {
  const { flags, tables, rest } = codingBytes(model);
  const prefix = new ByteWriter().u32(model.channels).u32(model.tables.offset.length).u8(flags).finish();
  return createHash('sha256').update(prefix).update(tables).update(rest).digest('hex');
}

/** The entropy of a row under the model's own tables, in bits; escape bytes are not counted. */
export function idealBits(model: Parameters<typeof codingBytes>[0]): number {
  const { cdf, start, offset } = model.tables;
  const bits = Float64Array.from(offset, (_, t) => {
    let sum = 0;
    for (let i = start[t]! + 1; i < start[t + 1]!; i++) {
      const frequency = cdf[i]! - cdf[i - 1]!;
      sum += (frequency / kTotal) * (16 - Math.log2(frequency));
    }
    return sum;
  });
  let total = 0;
  for (let c = 0; c < model.channels; c++) total += bits[model.tableIndex ? model.tableIndex[c]! : c]!;
  return total;
}

const kModelFormat = 'bince-model';
const kModelVersion = '1';
const kNetworkPrefix = 'network.';

/** Writes a model as .safetensors, whole or not at all. */
export async function saveModel(path: string, model: CodecModel): Promise<void> {
  const checked = createModel(model);
  const { name, method, channels, dtype, shape, metadata, tables } = checked;
  const i32 = (data: Int32Array): TensorData => ({ dtype: 'I32', shape: [data.length], data });
  const f32 = (data: Float32Array): TensorData => ({ dtype: 'F32', shape: [data.length], data });
  const tensors: Record<string, TensorData> = {
    'tables.cdf': i32(tables.cdf),
    'tables.start': i32(tables.start),
    'tables.offset': i32(tables.offset),
    ...(checked.tableIndex ? { table_index: i32(checked.tableIndex) } : {}),
    median: f32(checked.median),
    step: f32(checked.step),
    shift: f32(checked.shift),
  };
  for (const [key, tensor] of Object.entries(checked.network ?? {})) {
    const type = tensor.data instanceof Float32Array ? 'F32' : 'I32';
    tensors[kNetworkPrefix + key] = { dtype: type, shape: tensor.shape, data: tensor.data };
  }
  await writeSafetensors(path, tensors, {
    format: kModelFormat,
    version: kModelVersion,
    hash: modelHash(checked),
    config: JSON.stringify({ name, method, channels, dtype, ...(shape ? { shape } : {}), metadata }),
  });
}

/** Reads a model that {@link saveModel} wrote; everything in it is checked. */
export async function loadModel(path: string): Promise<CodecModel> {
  await using file = await SafetensorsFile.open(path);
  const { metadata } = file;
  if (metadata['format'] !== kModelFormat) {
    throw new BinceError('BINCE_INVALID_VALUE', `${path}: not a model of bince`, {
      hint: 'make one with `bince fit`, or import one of CompressAI with `bince import compressai`',
    });
  }
  if (metadata['version'] !== kModelVersion) {
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      `${path}: model version ${metadata['version']}, this reads ${kModelVersion}`,
    );
  }
  const config = parseConfig(path, metadata['config']);
  const names = [...file.tensors.keys()].filter((name) => name.startsWith(kNetworkPrefix));
  const network: Record<string, NetworkTensor> = {};
  for (const name of names) {
    const entry = file.entry(name);
    const data = entry.dtype === 'I32' ? await file.readInt32(name) : await file.readFloat32(name);
    network[name.slice(kNetworkPrefix.length)] = { shape: entry.shape, data };
  }
  const fields = {
    ...config,
    tables: {
      cdf: await file.readInt32('tables.cdf'),
      start: await file.readInt32('tables.start'),
      offset: await file.readInt32('tables.offset'),
    },
    ...(file.tensors.has('table_index') ? { tableIndex: await file.readInt32('table_index') } : {}),
    median: await file.readFloat32('median'),
    step: await file.readFloat32('step'),
    shift: await file.readFloat32('shift'),
    ...(names.length > 0 ? { network } : {}),
  };
  return checkLoaded(path, fields as ModelFields, metadata['hash']);
}

function parseConfig(path: string, text: string | undefined): Record<string, unknown> {
  try {
    const config: unknown = JSON.parse(text ?? '');
    if (typeof config === 'object' && config !== null) {
      const { name, method, channels, dtype, shape, metadata } = config as Record<string, unknown>;
      return { name, method, channels, dtype, ...(shape === undefined ? {} : { shape }), metadata };
    }
  } catch {
    // Told below.
  }
  throw new BinceError(
    'BINCE_CORRUPT_DATA',
    `${path}: its config is no JSON object, received ${describe(text)}`,
  );
}

function checkLoaded(path: string, fields: ModelFields, hash: string | undefined): CodecModel {
  let model: CodecModel;
  try {
    model = createModel(fields);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: ${detail}`, { cause });
  }
  if (hash !== undefined && hash !== modelHash(model)) {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: its tables do not have the hash that it names`);
  }
  return model;
}
