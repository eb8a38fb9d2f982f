import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EventWriter } from '../../lib/report/index.js';
import { temporaryFolder } from '../data/files.js';

const folder = temporaryFolder();
let runs = 0;
const newRun = () => join(folder, `run${runs++}`);

/** CRC-32C bit by bit, from its definition. */
function crc32cBits(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function unmasked(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated << 15) | (rotated >>> 17)) >>> 0;
}

function records(file: Buffer): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    expect(unmasked(file.readUInt32LE(at + 8))).toBe(crc32cBits(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(data.length).toBe(length);
    expect(unmasked(file.readUInt32LE(at + 12 + length))).toBe(crc32cBits(data));
    out.push(data);
    at += 16 + length;
  }
  return out;
}

type Field = number | Buffer;

/** Any protobuf message: the values of each field, numbers for varint and fixed ones. */
function decode(data: Buffer): Record<number, Field[]> {
  const out: Record<number, Field[]> = {};
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = data[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(value);
    }
  };
  while (at < data.length) {
    const key = varint();
    const wire = key & 7;
    const length = wire === 2 ? varint() : { 0: 0, 1: 8, 5: 4 }[wire];
    if (length === undefined) throw new Error(`wire type ${wire}`);
    const bytes = data.subarray(at, at + length);
    const value: Field =
      wire === 0 ? varint() : wire === 1 ? bytes.readDoubleLE() : wire === 5 ? bytes.readFloatLE() : bytes;
    at += length;
    out[key >> 3] ??= [];
    out[key >> 3]!.push(value);
  }
  expect(at).toBe(data.length);
  return out;
}

const message = (field: Field[] | undefined) => decode(field![0] as Buffer);
const text = (field: Field[] | undefined) => (field![0] as Buffer).toString();
const doubles = (field: Field[] | undefined) => {
  const data = field![0] as Buffer;
  return Array.from({ length: data.length / 8 }, (_, i) => data.readDoubleLE(8 * i));
};

function write(fill: (events: EventWriter) => void, options = {}): Record<number, Field[]>[] {
  const run = newRun();
  const events = new EventWriter(run, options);
  fill(events);
  events.close();
  const names = readdirSync(run);
  expect(names).toHaveLength(1);
  expect(names[0]).toMatch(/^events\.out\.tfevents\.\d{10}\.[\w.-]+\.\d+\.\d+$/);
  return records(readFileSync(join(run, names[0]!))).map(decode);
}

describe('EventWriter', () => {
  it('begins with the version, then has an event a step with its scalars', () => {
    const before = Date.now() / 1000;
    const [version, ...events] = write((events) => {
      events.scalars(0, { 'loss/train': 2.5, rate: -1 });
      events.scalars(2 ** 40 + 3, { rate: 0.1 });
    });
    expect(text(version![3])).toBe('brain.Event:2');
    expect(version![1]![0]).toBeGreaterThanOrEqual(before - 1);
    expect(events.map((event) => event[2]![0])).toEqual([0, 2 ** 40 + 3]);
    const values = decode(events[0]![5]![0] as Buffer)[1]!.map((value) => decode(value as Buffer));
    expect(values.map((value) => [text(value[1]), value[2]![0]])).toEqual([
      ['loss/train', 2.5],
      ['rate', -1],
    ]);
  });

  it('keeps NaN and infinities, which TensorBoard shows as such', () => {
    const [, event] = write((events) => events.scalars(1, { a: Number.NaN, b: Number.POSITIVE_INFINITY }));
    const values = decode(event![5]![0] as Buffer)[1]!.map((value) => decode(value as Buffer)[2]![0]);
    expect(values).toEqual([Number.NaN, Number.POSITIVE_INFINITY]);
  });

  it.each([1, 3])('writes images of %i channels as PNG with their size', (channels) => {
    const image = { pixels: new Uint8Array(5 * 4 * channels).fill(77), width: 5, height: 4, channels };
    const [, event] = write((events) => events.image(7, 'sample', image));
    const value = message(message(event![5])[1]);
    expect(text(value[1])).toBe('sample');
    const stored = message(value[4]);
    expect([stored[1], stored[2], stored[3]]).toEqual([[4], [5], [channels]]);
    const png = stored[4]![0] as Buffer;
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([5, 4]);
  });

  it('writes histograms whose buckets hold every value', () => {
    const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i));
    const [, event] = write((events) => events.histogram(3, 'z', values));
    const histogram = message(message(message(event![5])[1])[5]);
    const sum = values.reduce((total, value) => total + value, 0);
    const squares = values.reduce((total, value) => total + value * value, 0);
    expect(histogram[1]![0]).toBe(Math.min(...values));
    expect(histogram[2]![0]).toBe(Math.max(...values));
    expect(histogram[3]![0]).toBe(1000);
    expect(histogram[4]![0]).toBeCloseTo(sum, 9);
    expect(histogram[5]![0]).toBeCloseTo(squares, 9);
    const [limits, counts] = [doubles(histogram[6]), doubles(histogram[7])];
    expect(limits.length).toBe(counts.length);
    let below = Number.NEGATIVE_INFINITY;
    for (const [i, limit] of limits.entries()) {
      expect(limit).toBeGreaterThan(below);
      const inside = values.filter((value) => value > below && value <= limit).length;
      // A value on the edge of two buckets may count in either.
      expect(Math.abs(inside - counts[i]!)).toBeLessThanOrEqual(1);
      below = limit;
    }
    expect(counts.reduce((total, count) => total + count, 0)).toBe(1000);
  });

  it('a histogram of one value has one bucket', () => {
    const [, event] = write((events) => events.histogram(3, 'z', [4, 4, 4]));
    const histogram = message(message(message(event![5])[1])[5]);
    expect([doubles(histogram[6]), doubles(histogram[7])]).toEqual([[4], [3]]);
  });

  it('a resumed run says from which step on earlier events are void', () => {
    const [, start, event] = write((events) => events.scalars(41, { a: 1 }), { resumeStep: 40 });
    expect(start![2]).toEqual([41]);
    expect(message(start![7])[1]).toEqual([1]);
    expect(event![2]).toEqual([41]);
  });

  it('has its events in the file after flush(), and two writers have two files', () => {
    const run = newRun();
    using first = new EventWriter(run);
    using second = new EventWriter(run);
    expect(first.path).not.toBe(second.path);
    first.scalars(1, { a: 1 });
    expect(records(readFileSync(first.path))).toHaveLength(1);
    first.flush();
    expect(records(readFileSync(first.path))).toHaveLength(2);
  });

  it('refuses what it cannot write', () => {
    const events = new EventWriter(newRun());
    expect(() => events.scalars(-1, { a: 1 })).toThrow(/step: expected an integer/);
    expect(() => events.scalars(1, { '': 1 })).toThrow(/tag: expected a name/);
    expect(() => events.scalars(1, { a: '1' as never })).toThrow(/a: expected a number/);
    expect(() => events.histogram(1, 'h', [])).toThrow(/h: expected at least one value/);
    expect(() => events.histogram(1, 'h', [1, Number.NaN])).toThrow(/h\[1\]: expected a finite number/);
    const image = { pixels: new Uint8Array(3), width: 2, height: 2, channels: 1 };
    expect(() => events.image(1, 'i', image)).toThrow(/pixels: expected Uint8Array\(4\)/);
    events.close();
    expect(() => events.scalars(1, { a: 1 })).toThrow(/is closed/);
  });
});
