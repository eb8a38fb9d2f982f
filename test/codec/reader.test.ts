import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BinceReader, BinceWriter, type CodecModel, idealBits, modelHash } from '../../lib/codec/index.js';
import { gridRows, randomModel, temporaryFolder } from './models.js';

const kModel = randomModel(21, 4, { shape: [2, 2], metadata: { source: 'test' } });

async function writeRows(model: CodecModel, rows: Float32Array, options = {}): Promise<string> {
  const path = join(await temporaryFolder(), 'rows.bince');
  const writer = await BinceWriter.create(path, model, options);
  await writer.write(rows);
  await writer.close();
  return path;
}

describe('BinceReader', () => {
  it('gives any range of rows', async () => {
    const rows = gridRows(kModel, 203);
    const path = await writeRows(kModel, rows, { blockRows: 16 });
    await using reader = await BinceReader.open(path);
    const cut = fc.integer({ min: 0, max: 203 });
    await fc.assert(
      fc.asyncProperty(cut, cut, async (a, b) => {
        const [begin, end] = [Math.min(a, b), Math.max(a, b)];
        expect(await reader.rows(begin, end)).toEqual(rows.subarray(4 * begin, 4 * end));
      }),
      { numRuns: 60 },
    );
  });

  it('reads only the blocks that are asked for', async () => {
    const rows = gridRows(kModel, 200);
    const path = await writeRows(kModel, rows, { blockRows: 10 });
    const bytes = await readFile(path);
    const file = await open(path);
    let readBytes = 0;
    const counting = new Proxy(file, {
      get(target, key) {
        if (key !== 'read') return Reflect.get(target, key).bind(target);
        return (into: Uint8Array, offset: number, length: number, position: number) => {
          readBytes += length;
          return target.read(into, offset, length, position);
        };
      },
    });
    const reader = await BinceReader.open(counting);
    const opened = readBytes;
    await reader.rows(55, 57);
    expect(readBytes - opened).toBeLessThan((bytes.length - reader.info.headerBytes) / 15);
    await reader.close();
    expect((await file.stat()).size).toBe(bytes.length);
    await file.close();
  });

  it('gives batches in the same few arrays when asked to', async () => {
    const rows = gridRows(kModel, 2011);
    await using reader = await BinceReader.open(await writeRows(kModel, rows, { blockRows: 100 }));
    for (const options of [{}, { begin: 150, end: 1999, batchRows: 70 }, { as: 'float32' as const }]) {
      const { begin = 0, end = 2011 } = options;
      let row = begin;
      const memories = new Set<ArrayBufferLike>();
      for await (const { firstRow, rows: count, data } of reader.batches({ ...options, reuse: true })) {
        expect(firstRow).toBe(row);
        expect(data).toEqual(rows.subarray(4 * row, 4 * (row + count)));
        memories.add(data.buffer);
        row += count;
      }
      expect(row).toBe(end);
      expect(memories.size).toBeLessThanOrEqual(2);
    }
    const kept = [];
    for await (const { data } of reader.batches({ batchRows: 500 })) kept.push(...data);
    expect(Float32Array.from(kept)).toEqual(rows);
  });

  it('gives rows in an array of their size', async () => {
    const rows = gridRows(kModel, 300);
    await using reader = await BinceReader.open(await writeRows(kModel, rows, { blockRows: 64 }));
    for (const [begin, end] of [
      [0, 300],
      [64, 128],
      [63, 129],
      [1, 63],
      [64, 300],
      [5, 5],
    ] as const) {
      const some = await reader.rows(begin, end);
      expect(some).toEqual(rows.subarray(4 * begin, 4 * end));
      expect(some.buffer.byteLength).toBe(some.byteLength);
    }
  });

  it('gives rows one by one from the block that it keeps', async () => {
    const rows = gridRows(kModel, 90);
    const path = await writeRows(kModel, rows, { blockRows: 16 });
    await using reader = await BinceReader.open(path);
    const symbols = await reader.rows(0, 90, { as: 'symbols' });
    const part = (from: number, to: number) => rows.subarray(4 * from, 4 * to);
    for (const row of [0, 1, 15, 16, 17, 3, 88, 89, 89, 40, 41]) {
      expect(await reader.rows(row, row + 1)).toEqual(part(row, row + 1));
      expect(await reader.rows(row, row + 1, { as: 'symbols' })).toEqual(
        symbols.subarray(4 * row, 4 * row + 4),
      );
    }
    const reading = reader.seconds.reading;
    const first = await reader.rows(41, 43);
    expect(reader.seconds.reading).toBeGreaterThan(reading); // symbols were kept, not floats
    const read = reader.seconds;
    const second = await reader.rows(42, 44);
    expect(reader.seconds).toEqual(read);
    second.fill(0); // the caller's own
    expect(await reader.rows(42, 44)).toEqual(part(42, 44));
    expect(first).toEqual(part(41, 43));
  });

  it('gives rows to calls that overlap', async () => {
    const rows = gridRows(kModel, 200);
    const path = await writeRows(kModel, rows, { blockRows: 16 });
    for (const from of [path, new Uint8Array(await readFile(path))]) {
      await using reader = await BinceReader.open(from);
      for (let round = 0; round < 5; round++) {
        const asked = Array.from({ length: 40 }, (_, i) => (37 * i * (round + 1)) % 190);
        const read = await Promise.all(asked.map((row) => reader.rows(row, row + 1 + (row % 5))));
        for (const [i, row] of asked.entries())
          expect(read[i]).toEqual(rows.subarray(4 * row, 4 * (row + 1 + (row % 5))));
      }
    }
  });

  it('leaves a batch alone whose reader stopped there', async () => {
    const rows = gridRows(kModel, 3000);
    await using reader = await BinceReader.open(await writeRows(kModel, rows, { blockRows: 1000 }));
    const first = async () => {
      for await (const { data } of reader.batches({ batchRows: 700, reuse: true })) return data;
      return undefined;
    };
    const held = await first();
    expect(await first()).toEqual(held);
    for await (const { data } of reader.batches({ reuse: true })) expect(data.buffer).not.toBe(held!.buffer);
    expect(held).toEqual(rows.subarray(0, 4 * 700));
  });

  it('gives batches in order', async () => {
    const rows = gridRows(kModel, 101);
    await using reader = await BinceReader.open(await writeRows(kModel, rows, { blockRows: 8 }));
    const parts: number[] = [];
    for await (const { data } of reader) parts.push(...data);
    expect(Float32Array.from(parts)).toEqual(rows);
    const sizes: [number, number][] = [];
    for await (const batch of reader.batches({ begin: 5, end: 50, batchRows: 20 })) {
      expect(batch.data).toEqual(rows.subarray(4 * batch.firstRow, 4 * (batch.firstRow + batch.rows)));
      sizes.push([batch.firstRow, batch.rows]);
    }
    expect(sizes).toEqual([
      [5, 20],
      [25, 20],
      [45, 5],
    ]);
  });

  it('tells what is in a file', async () => {
    const rows = gridRows(kModel, 50);
    const path = await writeRows(kModel, rows, { blockRows: 8, lanes: 4, metadata: { note: 'x' } });
    await using reader = await BinceReader.open(path);
    const { size } = await stat(path);
    expect(reader.info).toMatchObject({
      path,
      bytes: size,
      rows: 50,
      channels: 4,
      blocks: 7,
      blockRows: 8,
      coder: 'rans',
      lanes: 4,
      dtype: 'float32',
      shape: [2, 2],
      name: 'test',
      method: 'ecsq',
      modelHash: modelHash(kModel),
      idealBitsPerRow: idealBits(kModel),
      metadata: { source: 'test', note: 'x' },
    });
    expect(reader.info.bitsPerRow).toBeCloseTo((8 * size) / 50);
    expect(reader.info.recovery).toBeUndefined();
  });

  it('gives symbols', async () => {
    const rows = gridRows(kModel, 20);
    await using reader = await BinceReader.open(await writeRows(kModel, rows));
    const symbols = await reader.rows(0, 20, { as: 'symbols' });
    expect(symbols).toBeInstanceOf(Int32Array);
    const f = Math.fround;
    const { median, step, shift } = kModel;
    rows.forEach((x, i) => {
      expect(f(f(f(symbols[i]! + median[i % 4]!) * step[i % 4]!) + shift[i % 4]!)).toBe(x);
    });
  });

  it('reads no rows, one row, one channel', async () => {
    const model = randomModel(2, 1);
    for (const count of [0, 1, 2]) {
      const rows = gridRows(model, count);
      await using reader = await BinceReader.open(await writeRows(model, rows));
      expect(reader.length).toBe(count);
      expect(await reader.rows(0, count)).toEqual(rows);
      expect((await reader.verify()).ok).toBe(true);
    }
  });

  it('refuses ranges outside the file', async () => {
    await using reader = await BinceReader.open(await writeRows(kModel, gridRows(kModel, 10)));
    for (const [begin, end] of [
      [-1, 2],
      [3, 2],
      [0, 11],
      [0.5, 2],
      [Number.NaN, 2],
    ]) {
      await expect(reader.rows(begin!, end!)).rejects.toMatchObject({ code: 'BINCE_INVALID_ARGUMENT' });
    }
    await expect(reader.batches({ batchRows: 0 }).next()).rejects.toThrow(/^batchRows/);
  });

  it('names the damaged block, reads the others and lists every bad one', async () => {
    const rows = gridRows(kModel, 100);
    const path = await writeRows(kModel, rows, { blockRows: 10 });
    const bytes = new Uint8Array(await readFile(path));
    const { bad: none } = await (await BinceReader.open(bytes)).verify();
    expect(none).toEqual([]);
    const layout = (await BinceReader.open(bytes)) as unknown as {
      layout: { blocks: { offset: number; bytes: number }[] };
    };
    for (const block of [3, 7]) {
      const { offset, bytes: size } = layout.layout.blocks[block]!;
      bytes[offset + size - 2]! ^= 4;
    }
    await writeFile(path, bytes);
    await using reader = await BinceReader.open(path);
    await expect(reader.rows(0, 100)).rejects.toMatchObject({
      code: 'BINCE_CORRUPT_DATA',
      part: 'block',
      block: 3,
    });
    expect(await reader.rows(40, 70)).toEqual(rows.subarray(160, 280));
    const { ok, bad } = await reader.verify();
    expect(ok).toBe(false);
    expect(bad.map(({ block, firstRow, rows: count }) => [block, firstRow, count])).toEqual([
      [3, 30, 10],
      [7, 70, 10],
    ]);
    const read: number[] = [];
    for await (const { firstRow, rows: count } of reader.batches({ skipDamaged: true })) {
      for (let row = 0; row < count; row++) read.push(firstRow + row);
    }
    expect(read).toEqual([...Array(100).keys()].filter((row) => ![3, 7].includes(Math.floor(row / 10))));
  });

  it('says what is wrong with a path', async () => {
    const folder = await temporaryFolder();
    await expect(BinceReader.open(join(folder, 'none'))).rejects.toMatchObject({ code: 'BINCE_NOT_FOUND' });
    await expect(BinceReader.open(folder)).rejects.toMatchObject({ code: 'BINCE_IO' });
    await writeFile(join(folder, 'empty'), '');
    await expect(BinceReader.open(join(folder, 'empty'))).rejects.toMatchObject({ part: 'header' });
    const bytes = await readFile(await writeRows(kModel, gridRows(kModel, 3)));
    bytes[0]! &= 127;
    await expect(BinceReader.open(bytes)).rejects.toMatchObject({ hint: expect.stringMatching(/binary/) });
  });

  it('stops at an AbortSignal', async () => {
    await using reader = await BinceReader.open(await writeRows(kModel, gridRows(kModel, 30)));
    const signal = AbortSignal.abort();
    await expect(reader.rows(0, 30, { signal })).rejects.toMatchObject({ name: 'AbortError' });
    await expect(reader.verify({ signal })).rejects.toMatchObject({ name: 'AbortError' });
  });
});
