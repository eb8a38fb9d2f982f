import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { float16ToFloat32, float32ToFloat16 } from '../../lib/data/half_floats.js';
import { NpyWriter, openVectors } from '../../lib/data/index.js';
import { normalRows, temporaryFolder } from './files.js';

const folder = temporaryFolder();

async function readBack(path: string): Promise<Float32Array> {
  const file = await openVectors(path);
  try {
    for await (const batch of file.batches()) return batch;
    throw new Error('no batch');
  } finally {
    await file.close();
  }
}

describe('NpyWriter', () => {
  it('writes what the reader reads', async () => {
    const values = normalRows(12, 1);
    const path = join(folder, 'a.npy');
    const writer = await NpyWriter.create(path, { rows: 4, channels: 3 });
    expect(readdirSync(folder)).not.toContain('a.npy'); // it appears when it is whole
    await writer.write(values.subarray(0, 6));
    await writer.write(values.subarray(6));
    await writer.finish();
    expect(await readBack(path)).toEqual(values);
    expect(readdirSync(folder)).toEqual(['a.npy']);
  });

  it('aligns the data at 64 bytes', async () => {
    const path = join(folder, 'b.npy');
    const writer = await NpyWriter.create(path, { rows: 1, channels: 1, dtype: 'float16' });
    await writer.write(Float32Array.of(1.5));
    await writer.finish();
    expect(readFileSync(path).length % 64).toBe(2);
    expect(await readBack(path)).toEqual(Float32Array.of(1.5));
  });

  it('leaves nothing after abort, or when rows are missing', async () => {
    const before = readdirSync(folder);
    const writer = await NpyWriter.create(join(folder, 'c.npy'), { rows: 2, channels: 1 });
    await writer.write(Float32Array.of(1));
    await writer.abort();
    const short = await NpyWriter.create(join(folder, 'c.npy'), { rows: 2, channels: 1 });
    await short.write(Float32Array.of(1));
    await expect(short.finish()).rejects.toThrow(/rows written: expected 2, received 1/);
    expect(readdirSync(folder)).toEqual(before);
  });

  it('says why a file cannot be written', async () => {
    const target = join(folder, 'no', 'such', 'x.npy');
    await expect(NpyWriter.create(target, { rows: 1, channels: 1 })).rejects.toMatchObject({
      code: 'BINCE_NOT_FOUND',
      message: expect.stringContaining(target),
    });
  });

  it('writes to a slow stream without losing the order', async () => {
    const chunks: Buffer[] = [];
    const stream = new Writable({
      highWaterMark: 8,
      write(chunk: Buffer, _encoding, done) {
        chunks.push(Buffer.from(chunk));
        setImmediate(done);
      },
    });
    const writer = await NpyWriter.create(stream, { rows: 3, channels: 2, dtype: 'int32' });
    const rows = new Int32Array(2);
    for (let i = 0; i < 3; i++) {
      rows.set([i, 10 + i]);
      await writer.write(rows);
    }
    await writer.finish();
    const bytes = Buffer.concat(chunks);
    expect(Array.from({ length: 6 }, (_, i) => bytes.readInt32LE(bytes.length - 24 + 4 * i))).toEqual([
      0, 10, 1, 11, 2, 12,
    ]);
  });
});

describe('float32ToFloat16', () => {
  it('is the inverse of float16ToFloat32', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i).filter(
      (b) => (b & 0x7c00) !== 0x7c00 || (b & 1023) === 0,
    );
    const values = new Float32Array(bits.length);
    float16ToFloat32(bits, values);
    const back = new Uint16Array(bits.length);
    float32ToFloat16(values, back);
    expect(back).toEqual(bits);
  });

  it('rounds to the nearest, ties to even', () => {
    const cases: [number, number][] = [
      [1 + 2 ** -11, 0x3c00],
      [1 + 3 * 2 ** -11, 0x3c02],
      [1 + 2 ** -11 + 2 ** -20, 0x3c01],
      [65519, 0x7bff],
      [65520, 0x7c00],
      [2 ** -25, 0],
      [2 ** -25 * 1.01, 1],
      [3 * 2 ** -25, 2],
      [2 ** -14 - 2 ** -26, 0x0400],
      [-1e9, 0xfc00],
      [Number.NaN, 0x7e00],
    ];
    const out = new Uint16Array(cases.length);
    float32ToFloat16(
      Float32Array.from(cases, ([value]) => value),
      out,
    );
    expect([...out]).toEqual(cases.map(([, bits]) => bits));
  });
});
