/** Makes the parts of a .bince file that are not blocks: header, index, trailer (docs/FORMAT.md). */
import { crc32c } from '../decoder/crc32c.js';
import {
  type Coder,
  type JsonValue,
  kCoders,
  kDtypes,
  kFlagMedian,
  kFlagShift,
  kFlagStep,
  kFlagTableIndex,
  kFormatVersion,
  kMagic,
  type RowDtype,
} from '../decoder/header.js';
import { kTagIndex, kTrailerMagic, sectionCrc } from '../decoder/sections.js';
import type { CdfTables } from '../kernels/tables.js';
import { ByteWriter } from './byte_writer.js';

/** What a decoder needs besides the blocks; a CodecModel and a parsed header both are this. */
export interface Coding {
  readonly channels: number;
  readonly tables: CdfTables;
  readonly tableIndex?: Int32Array | undefined;
  readonly median?: Float32Array | undefined;
  readonly step?: Float32Array | undefined;
  readonly shift?: Float32Array | undefined;
}

/** The tables and scalars as the header holds them; the same coding always gives the same bytes. */
export function codingBytes(coding: Coding): { flags: number; tables: Uint8Array; rest: Uint8Array } {
  const { tables, channels } = coding;
  const tableBytes = new ByteWriter(4 * tables.cdf.length);
  for (let t = 0; t < tables.offset.length; t++) {
    const first = tables.start[t]!;
    const entries = tables.start[t + 1]! - first - 1;
    tableBytes.varint(entries).zigzag(tables.offset[t]!);
    for (let e = first; e < first + entries; e++) tableBytes.varint(tables.cdf[e + 1]! - tables.cdf[e]!);
  }
  const tableIndex =
    coding.tableIndex && !isIdentity(coding.tableIndex, tables) ? coding.tableIndex : undefined;
  const median = unlessAll(coding.median, 0);
  const step = unlessAll(coding.step, 1);
  const shift = unlessAll(coding.shift, 0);
  const rest = new ByteWriter(16 * channels);
  for (const table of tableIndex ?? []) rest.varint(table);
  for (const values of [median, step, shift]) if (values) rest.floats(values);
  const flags =
    (median ? kFlagMedian : 0) |
    (step ? kFlagStep : 0) |
    (shift ? kFlagShift : 0) |
    (tableIndex ? kFlagTableIndex : 0);
  return { flags, tables: tableBytes.finish(), rest: rest.finish() };
}

function isIdentity(index: Int32Array, tables: CdfTables): boolean {
  return index.length === tables.offset.length && index.every((table, c) => table === c);
}

function unlessAll(values: Float32Array | undefined, neutral: number): Float32Array | undefined {
  return values?.some((value) => !Object.is(value, neutral)) ? values : undefined;
}

export interface HeaderFields {
  readonly coder: Coder;
  readonly lanes: number;
  readonly blockRows: number;
  readonly dtype: RowDtype;
  readonly json: { readonly [key: string]: JsonValue };
}

/** Magic and header; `crc` is the header CRC that every section needs. */
export function headerBytes(coding: Coding, fields: HeaderFields): { bytes: Uint8Array; crc: number } {
  const { flags, tables, rest } = codingBytes(coding);
  const json = new TextEncoder().encode(JSON.stringify(fields.json));
  const payload = new ByteWriter(64 + json.length + tables.length + rest.length)
    .u16(kFormatVersion)
    .u8(kCoders.indexOf(fields.coder))
    .u8(Math.log2(fields.lanes))
    .u32(coding.channels)
    .u32(fields.blockRows)
    .u8(kDtypes.indexOf(fields.dtype))
    .u8(flags)
    .u16(0)
    .u32(coding.tables.offset.length)
    .u32(json.length)
    .u32(tables.length)
    .u32(0)
    .raw(json)
    .raw(tables)
    .raw(rest)
    .finish();
  const crc = crc32c(payload);
  const bytes = new ByteWriter(16 + payload.length)
    .raw(kMagic)
    .u32(payload.length)
    .u32(crc)
    .raw(payload)
    .finish();
  return { bytes, crc };
}

/** Blocks that follow each other without a gap. */
export interface BlockRun {
  readonly offset: number;
  readonly rows: number[];
  readonly bytes: number[];
}

/** The index and the trailer that stand at `offset`. */
export function indexAndTrailer(
  runs: readonly BlockRun[],
  header: { readonly crc: number; readonly blockRows: number },
  offset: number,
): Uint8Array {
  const index = new ByteWriter().varint(runs.length);
  let rows = 0;
  for (const run of runs) {
    index.varint(run.offset).varint(run.rows.length);
    for (let i = 0; i < run.rows.length; i++) {
      index.varint(run.rows[i] === header.blockRows ? 0 : run.rows[i]!).varint(run.bytes[i]!);
      rows += run.rows[i]!;
    }
  }
  const payload = index.finish();
  const body = new ByteWriter().u64(offset).u64(rows).finish();
  return new ByteWriter(payload.length + 64)
    .u8(kTagIndex)
    .varint(payload.length)
    .u32(sectionCrc(payload, header))
    .raw(payload)
    .raw(body)
    .u32(sectionCrc(body, header))
    .raw(kTrailerMagic)
    .finish();
}
