/**
 * A second, independent encoder of .bince files, straight from docs/FORMAT.md: slow, and short enough to be believed.
 * The native encoder is compared with it byte for byte.
 */
import type { CdfTables } from '../../lib/kernels/tables.js';

export interface ReferenceFormat {
  tables: CdfTables;
  tableIndex?: Int32Array;
  channels: number;
  blockRows: number;
  lanes: number;
  coder: 'rans' | 'range';
  median?: Float32Array;
  step?: Float32Array;
  shift?: Float32Array;
  dtype?: number;
  json?: object;
}

/** Growing little-endian bytes. */
export class Bytes {
  readonly list: number[] = [];

  uint(value: number | bigint, bytes: number): this {
    let rest = BigInt(value);
    for (let i = 0; i < bytes; i++, rest >>= 8n) this.list.push(Number(rest & 255n));
    return this;
  }

  varint(value: number): this {
    let rest = BigInt(value);
    for (; rest >= 128n; rest >>= 7n) this.list.push(Number(rest & 127n) | 128);
    this.list.push(Number(rest));
    return this;
  }

  floats(values: Float32Array): this {
    for (const byte of new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
      this.list.push(byte);
    return this;
  }

  add(bytes: Iterable<number>): this {
    for (const byte of bytes) this.list.push(byte);
    return this;
  }

  get array(): Uint8Array {
    return Uint8Array.from(this.list);
  }
}

/** CRC-32C bit by bit. */
export function slowCrc32c(bytes: Iterable<number>): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** The header payload. */
export function headerPayload(format: ReferenceFormat): Uint8Array {
  const { tables, tableIndex, median, step, shift } = format;
  const json = new TextEncoder().encode(JSON.stringify(format.json ?? {}));
  const tableBytes = new Bytes();
  for (let t = 0; t < tables.offset.length; t++) {
    const cdf = tables.cdf.subarray(tables.start[t]!, tables.start[t + 1]!);
    const offset = tables.offset[t]!;
    tableBytes.varint(cdf.length - 1).varint(offset >= 0 ? 2 * offset : -2 * offset - 1);
    for (let i = 1; i < cdf.length; i++) tableBytes.varint(cdf[i]! - cdf[i - 1]!);
  }
  const payload = new Bytes()
    .uint(1, 2)
    .uint(format.coder === 'rans' ? 0 : 1, 1)
    .uint(Math.log2(format.lanes), 1)
    .uint(format.channels, 4)
    .uint(format.blockRows, 4)
    .uint(format.dtype ?? 1, 1)
    .uint((median ? 1 : 0) + (step ? 2 : 0) + (shift ? 4 : 0) + (tableIndex ? 8 : 0), 1)
    .uint(0, 2)
    .uint(tables.offset.length, 4)
    .uint(json.length, 4)
    .uint(tableBytes.list.length, 4)
    .uint(0, 4)
    .add(json)
    .add(tableBytes.list);
  for (const table of tableIndex ?? []) payload.varint(table);
  for (const values of [median, step, shift]) if (values) payload.floats(values);
  return payload.array;
}

interface Token {
  start: number;
  frequency: number;
  /** The escape's number, if the symbol is outside the table. */
  escape?: number;
}

function token(format: ReferenceFormat, channel: number, symbol: number): Token {
  const { tables } = format;
  const table = format.tableIndex ? format.tableIndex[channel]! : channel;
  const cdf = tables.cdf.subarray(tables.start[table]!, tables.start[table + 1]!);
  const m = cdf.length - 2;
  const v = symbol - tables.offset[table]!;
  const entry = v >= 0 && v < m ? v : m;
  const made: Token = { start: cdf[entry]!, frequency: cdf[entry + 1]! - cdf[entry]! };
  if (v < 0) made.escape = -2 * v - 1;
  if (v >= m) made.escape = 2 * (v - m);
  return made;
}

/** The symbol of a value. */
export function quantize(format: ReferenceFormat, channel: number, x: number): number {
  const f = Math.fround;
  const gain = f(1 / (format.step ? format.step[channel]! : 1));
  const y = f(f(f(x - (format.shift ? format.shift[channel]! : 0)) * gain) - (format.median?.[channel] ?? 0));
  const down = Math.floor(y);
  const rest = y - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
}

/** Words and escapes of one block of symbols [rows, C]. */
export function encodePayload(
  format: ReferenceFormat,
  symbols: ArrayLike<number>,
): { words: number[]; escapes: number[] } {
  const { channels } = format;
  const rows = symbols.length / channels;
  const lanes = format.coder === 'rans' ? format.lanes : 1;
  const order: { lane: number; token: Token }[] = [];
  for (let group = 0; group < rows; group += lanes) {
    for (let c = 0; c < channels; c++) {
      for (let row = group; row < Math.min(group + lanes, rows); row++) {
        order.push({ lane: row - group, token: token(format, c, symbols[row * channels + c]!) });
      }
    }
  }
  const escapes = new Bytes();
  for (const { token } of order) if (token.escape !== undefined) escapes.varint(token.escape);
  const words = format.coder === 'rans' ? ransWords(order, Math.min(lanes, rows)) : rangeWords(order);
  return { words, escapes: escapes.list };
}

function ransWords(order: { lane: number; token: Token }[], active: number): number[] {
  const states = new Array<number>(active).fill(65536);
  const emitted: number[] = [];
  for (const { lane, token } of order.toReversed()) {
    let x = states[lane]!;
    if (x >= token.frequency * 65536) {
      emitted.push(x % 65536);
      x = Math.floor(x / 65536);
    }
    states[lane] = Math.floor(x / token.frequency) * 65536 + (x % token.frequency) + token.start;
  }
  return [...states.flatMap((x) => [x % 65536, Math.floor(x / 65536)]), ...emitted.reverse()];
}

/** Arbitrary precision: all words so far and the 48 bits of low are one number, so carries take care of themselves. */
function rangeWords(order: { token: Token }[]): number[] {
  let low = 0n;
  let range = 1n << 48n;
  let count = 0;
  for (const { token } of order) {
    const r = range >> 16n;
    low += r * BigInt(token.start);
    range =
      token.start + token.frequency === 65536 ? range - r * BigInt(token.start) : r * BigInt(token.frequency);
    if (range < 1n << 32n) {
      low <<= 16n;
      range <<= 16n;
      count++;
    }
  }
  let number = (low + (1n << 32n) - 1n) >> 32n;
  const words: number[] = [];
  for (let i = 0; i <= count; i++, number >>= 16n) words.unshift(Number(number & 65535n));
  return words;
}

/** One block section. */
export function encodeBlock(
  format: ReferenceFormat,
  headerCrc: number,
  block: number,
  symbols: ArrayLike<number>,
): Uint8Array {
  const rows = symbols.length / format.channels;
  const { words, escapes } = encodePayload(format, symbols);
  const payload = new Bytes();
  for (const word of words) payload.uint(word, 2);
  payload.add(escapes);
  const payloadBytes = payload.list.length;
  const crc = slowCrc32c(
    new Bytes()
      .uint(headerCrc, 4)
      .uint(block, 8)
      .uint(rows, 4)
      .uint(payloadBytes, 4)
      .uint(escapes.length, 4)
      .add(payload.list).list,
  );
  const short = rows !== format.blockRows;
  const section = new Bytes().uint(0x40 + (short ? 1 : 0) + (escapes.length > 0 ? 2 : 0), 1);
  if (short) section.varint(rows);
  if (escapes.length > 0) section.varint(escapes.length);
  return section.varint(payloadBytes).uint(crc, 4).add(payload.list).array;
}

/** A finished file; each element of `parts` is the symbols of one session of writing (the first, then each append). */
export function encodeFile(format: ReferenceFormat, parts: readonly ArrayLike<number>[]): Uint8Array {
  const payload = headerPayload(format);
  const headerCrc = slowCrc32c(payload);
  const file = new Bytes()
    .add([0x89, 0x42, 0x4e, 0x43, 0x45, 0x0d, 0x0a, 0x1a])
    .uint(payload.length, 4)
    .uint(headerCrc, 4)
    .add(payload);
  const runs: { offset: number; blocks: { rows: number; bytes: number }[] }[] = [];
  let block = 0;
  for (const symbols of parts) {
    const all = Array.from(symbols);
    const run = { offset: file.list.length, blocks: [] as { rows: number; bytes: number }[] };
    const size = format.blockRows * format.channels;
    for (let at = 0; at < all.length; at += size) {
      const values = all.slice(at, at + size);
      const section = encodeBlock(format, headerCrc, block++, values);
      run.blocks.push({ rows: values.length / format.channels, bytes: section.length });
      file.add(section);
    }
    if (run.blocks.length > 0) runs.push(run);
    addIndex(file, format, headerCrc, runs);
  }
  return file.array;
}

function addIndex(
  file: Bytes,
  format: ReferenceFormat,
  headerCrc: number,
  runs: { offset: number; blocks: { rows: number; bytes: number }[] }[],
): void {
  const index = new Bytes().varint(runs.length);
  let rows = 0;
  for (const run of runs) {
    index.varint(run.offset).varint(run.blocks.length);
    for (const block of run.blocks) {
      index.varint(block.rows === format.blockRows ? 0 : block.rows).varint(block.bytes);
      rows += block.rows;
    }
  }
  const offset = file.list.length;
  file.uint(0x49, 1).varint(index.list.length);
  file.uint(slowCrc32c(new Bytes().uint(headerCrc, 4).add(index.list).list), 4).add(index.list);
  const body = new Bytes().uint(offset, 8).uint(rows, 8);
  const crc = slowCrc32c(new Bytes().uint(headerCrc, 4).add(body.list).list);
  file.add(body.list).uint(crc, 4).add([0x42, 0x4e, 0x43, 0x45, 0x4e, 0x44, 0x0d, 0x0a]);
}
