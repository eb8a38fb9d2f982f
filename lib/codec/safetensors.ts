/**
 * The safetensors format: u64 length of a JSON header, the header ({name: {dtype, shape, data_offsets}} and string
 * metadata under `__metadata__`), the tensors' bytes without gaps. Everything a file says of itself is checked before
 * use; tensors are read only when they are asked for.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { BinceError, invalidArgument } from '../errors.js';
import { readBytes } from '../file_bytes.js';
import { NewFileSink } from './byte_sink.js';
import { fileError } from './file_errors.js';

export type SafetensorsDtype =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL';

const kDtypeBytes: Readonly<Record<SafetensorsDtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

/** A longer header is taken for damage, as other readers do. */
const kMaxHeaderBytes = 100_000_000;
/** Tensors begin at a multiple of this, as other writers do. */
const kAlignment = 8;

/** A tensor of a file; `begin` and `end` are file offsets. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A tensor to be written: row-major, little-endian. */
export interface TensorData {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
}

/** An open .safetensors file. */
export class SafetensorsFile implements AsyncDisposable {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  private readonly file: FileHandle;

  private constructor(path: string, file: FileHandle, header: Header) {
    this.path = path;
    this.file = file;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
  }

  /** Opens a file and checks its header. Throws BINCE_CORRUPT_DATA where it is not sound. */
  static async open(path: string): Promise<SafetensorsFile> {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (cause) {
      throw fileError('read', path, cause);
    }
    try {
      return new SafetensorsFile(path, file, await readHeader(path, file));
    } catch (error) {
      await file.close();
      throw fileError('read', path, error);
    }
  }

  /** The tensor of this name; without it, BINCE_NOT_FOUND with the names that there are. */
  entry(name: string): TensorEntry {
    const entry = this.tensors.get(name);
    if (entry) return entry;
    const names = [...this.tensors.keys()];
    const some = names.slice(0, 8).join(', ') + (names.length > 8 ? `, ... (${names.length})` : '');
    throw new BinceError('BINCE_NOT_FOUND', `${this.path}: no tensor '${name}'; it has ${some || 'none'}`);
  }

  /** The bytes of a tensor, or of its elements [begin, end). */
  async readBytes(
    name: string,
    range?: { readonly begin: number; readonly end: number },
  ): Promise<Uint8Array> {
    const entry = this.entry(name);
    const width = kDtypeBytes[entry.dtype];
    const count = (entry.end - entry.begin) / width;
    const { begin, end } = range ?? { begin: 0, end: count };
    if (!Number.isInteger(begin) || !Number.isInteger(end) || begin < 0 || end < begin || end > count) {
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `range: expected 0 <= begin <= end <= ${count}, received ${begin} and ${end}`,
      );
    }
    const bytes = new Uint8Array((end - begin) * width);
    await readFully(this.file, this.path, bytes, entry.begin + begin * width);
    return bytes;
  }

  /** A tensor, or its elements [begin, end), as float32; integers and float64 are rounded. */
  async readFloat32(
    name: string,
    range?: { readonly begin: number; readonly end: number },
  ): Promise<Float32Array> {
    const { dtype } = this.entry(name);
    const bytes = await this.readBytes(name, range);
    if (dtype === 'F32') return new Float32Array(bytes.buffer);
    return Float32Array.from(elements(bytes, dtype));
  }

  /** An integer tensor as int32. Throws BINCE_INVALID_VALUE for a value outside int32. */
  async readInt32(name: string): Promise<Int32Array> {
    const { dtype } = this.entry(name);
    if (!/^[IU]|^BOOL$/.test(dtype)) {
      throw new BinceError(
        'BINCE_UNSUPPORTED',
        `${this.path}: '${name}' has the dtype ${dtype}, expected integers`,
      );
    }
    const bytes = await this.readBytes(name);
    if (dtype === 'I32') return new Int32Array(bytes.buffer);
    const values = elements(bytes, dtype);
    const bad = values.findIndex((value) => value !== (value | 0));
    if (bad >= 0) {
      throw new BinceError(
        'BINCE_INVALID_VALUE',
        `${this.path}: '${name}' holds ${values[bad]}, outside int32`,
      );
    }
    return Int32Array.from(values);
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

interface Header {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

async function readFully(file: FileHandle, path: string, into: Uint8Array, position: number): Promise<void> {
  const done = await readBytes(file, into, position);
  if (done < into.length) throw new BinceError('BINCE_CORRUPT_DATA', `${path}: it ends too early`);
}

async function readHeader(path: string, file: FileHandle): Promise<Header> {
  const info = await file.stat();
  if (!info.isFile()) throw new BinceError('BINCE_IO', `cannot read ${path}: it is not a regular file`);
  const { size } = info;
  const fail = (detail: string): never => {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: not a sound .safetensors file: ${detail}`);
  };
  if (size < 8) fail(`it has ${size} bytes`);
  const prelude = new Uint8Array(8);
  await readFully(file, path, prelude, 0);
  const length = Number(new DataView(prelude.buffer).getBigUint64(0, true));
  if (length > Math.min(size - 8, kMaxHeaderBytes)) fail(`a header of ${length} bytes in a file of ${size}`);
  const bytes = new Uint8Array(length);
  await readFully(file, path, bytes, 8);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    fail('its header is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) fail('its header is no object');
  return parseHeader(json as Record<string, unknown>, 8 + length, size, fail);
}

function parseHeader(
  json: Record<string, unknown>,
  dataBegin: number,
  size: number,
  fail: (detail: string) => never,
): Header {
  const metadata: Record<string, string> = {};
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(json)) {
    if (typeof value !== 'object' || value === null) fail(`'${name}' is no object`);
    if (name === '__metadata__') {
      for (const [key, text] of Object.entries(value as object)) {
        if (typeof text !== 'string') fail(`the metadata '${key}' is no string`);
        metadata[key] = text;
      }
    } else {
      tensors.set(name, parseEntry(name, value as Record<string, unknown>, dataBegin, fail));
    }
  }
  let at = dataBegin;
  for (const entry of [...tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== at)
      fail(`'${entry.name}' ${entry.begin < at ? 'overlaps another tensor' : 'follows a gap'}`);
    if (entry.end > size) fail(`'${entry.name}' ends at byte ${entry.end} of ${size}`);
    at = entry.end;
  }
  if (at !== size) fail(`${size - at} bytes after the last tensor`);
  return { tensors, metadata };
}

function parseEntry(
  name: string,
  value: Record<string, unknown>,
  dataBegin: number,
  fail: (detail: string) => never,
): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(kDtypeBytes, dtype))
    fail(`'${name}' has the dtype ${dtype}`);
  if (!isCounts(shape)) return fail(`'${name}' has the shape ${JSON.stringify(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2) return fail(`'${name}' has no data_offsets`);
  const [begin, end] = offsets as [number, number];
  const bytes = shape.reduce((product, n) => product * n, kDtypeBytes[dtype as SafetensorsDtype]);
  if (end - begin !== bytes) fail(`'${name}' has ${end - begin} bytes where its shape needs ${bytes}`);
  return { name, dtype: dtype as SafetensorsDtype, shape, begin: dataBegin + begin, end: dataBegin + end };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function elements(bytes: Uint8Array, dtype: SafetensorsDtype): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const readers: Record<SafetensorsDtype, (at: number) => number> = {
    F64: (at) => view.getFloat64(at, true),
    F32: (at) => view.getFloat32(at, true),
    F16: (at) => halfToNumber(view.getUint16(at, true)),
    BF16: (at) => bfloatToNumber(view.getUint16(at, true)),
    I64: (at) => Number(view.getBigInt64(at, true)),
    I32: (at) => view.getInt32(at, true),
    I16: (at) => view.getInt16(at, true),
    I8: (at) => view.getInt8(at),
    U64: (at) => Number(view.getBigUint64(at, true)),
    U32: (at) => view.getUint32(at, true),
    U16: (at) => view.getUint16(at, true),
    U8: (at) => view.getUint8(at),
    BOOL: (at) => view.getUint8(at),
  };
  const read = readers[dtype];
  const width = kDtypeBytes[dtype];
  const out = new Float64Array(bytes.length / width);
  for (let i = 0; i < out.length; i++) out[i] = read(i * width);
  return out;
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

const bfloatBits = new Uint32Array(1);
const bfloatValue = new Float32Array(bfloatBits.buffer);

function bfloatToNumber(bits: number): number {
  bfloatBits[0] = bits << 16;
  return bfloatValue[0]!;
}

/** Writes a file of tensors, whole or not at all. Wider types stand first, so that each is aligned. */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, TensorData>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const order = Object.entries(tensors).sort(
    ([a, x], [b, y]) => kDtypeBytes[y.dtype] - kDtypeBytes[x.dtype] || (a < b ? -1 : 1),
  );
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  let at = 0;
  for (const [name, { dtype, shape, data }] of order) {
    const bytes = shape.reduce((product, n) => product * n, kDtypeBytes[dtype]);
    if (bytes !== data.byteLength) invalidArgument(name, `${bytes} bytes for its shape`, data);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(json.length / kAlignment) * kAlignment, ' ');
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const sink = await NewFileSink.create(path);
  try {
    await sink.write(length);
    await sink.write(padded);
    for (const [, { data }] of order) {
      await sink.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  } catch (error) {
    await sink.abort();
    throw error;
  }
  await sink.close();
}
