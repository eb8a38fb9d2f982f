import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BinceReader, BinceWriter, type ByteSink, type CodecModel } from '../../lib/codec/index.js';
import { decodeFile } from '../../lib/decoder/index.js';
import { gridRows, inBatches, randomModel, temporaryFolder } from './models.js';
import { random } from './random_files.js';
import { encodeFile, quantize } from './reference_encoder.js';

/** A sink in memory that can be made to fail after a number of bytes. */
class MemorySink implements ByteSink {
  readonly parts: Uint8Array[] = [];
  length = 0;
  ended: 'closed' | 'aborted' | undefined;
  readonly limit: number;

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.limit = limit;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.length += bytes.length;
    if (this.length > this.limit) {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
        code: 'ENOSPC',
        syscall: 'write',
      });
    }
    this.parts.push(bytes.slice());
  }

  async close(): Promise<void> {
    this.ended = 'closed';
  }

  async abort(): Promise<void> {
    this.ended = 'aborted';
  }

  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.parts));
  }
}

const kModel = randomModel(1, 5);

async function fileOf(model: CodecModel, rows: Float32Array, options = {}): Promise<Uint8Array> {
  const sink = new MemorySink();
  const writer = await BinceWriter.create(sink, model, options);
  await writer.write(rows);
  await writer.close();
  return sink.bytes;
}

describe('BinceWriter', () => {
  it('writes the bytes of the reference encoder, however the rows are cut into batches', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.integer({ min: 0, max: 1000 }),
          channels: fc.integer({ min: 1, max: 6 }),
          rows: fc.integer({ min: 0, max: 120 }),
          blockRows: fc.integer({ min: 1, max: 50 }),
          batch: fc.integer({ min: 1, max: 60 }),
          coder: fc.constantFrom('rans' as const, 'range' as const),
          lanes: fc.constantFrom(1 as const, 4 as const, 32 as const),
        }),
        async ({ seed, channels, rows, blockRows, batch, coder, lanes }) => {
          const model = randomModel(seed, channels);
          const exact = gridRows(model, rows, seed);
          const next = random(seed);
          const values = exact.map((x, i) => x + (next() - 0.5) * model.step[i % channels]!);
          const sink = new MemorySink();
          const settings = { coder, blockRows, lanes: coder === 'rans' ? lanes : (1 as const) };
          const writer = await BinceWriter.create(sink, model, { ...settings, metadata: { seed } });
          await writer.writeAll(inBatches(values, channels, batch));
          const statistics = await writer.close();
          const { header, data } = decodeFile(sink.bytes);
          const format = { ...model, ...settings, dtype: 1, json: header.json };
          const symbols = Array.from(values, (x, i) => quantize(format, i % channels, x));
          expect(sink.bytes).toEqual(encodeFile(format, [symbols]));
          const reader = await BinceReader.open(sink.bytes);
          expect(await reader.rows(0, rows)).toEqual(data);
          expect(await reader.rows(0, rows, { as: 'symbols' })).toEqual(Int32Array.from(symbols));
          expect(statistics.rows).toBe(rows);
          expect(statistics.bytes).toBe(sink.bytes.length);
          expect(header.json['metadata']).toEqual({ seed });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('puts a finished file in place and leaves nothing else', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'a.bince');
    const rows = gridRows(kModel, 100);
    const writer = await BinceWriter.create(path, kModel, { blockRows: 16 });
    await writer.write(rows);
    expect(await readdir(folder)).not.toContain('a.bince');
    const statistics = await writer.close();
    expect(await readdir(folder)).toEqual(['a.bince']);
    expect((await stat(path)).size).toBe(statistics.bytes);
    await using reader = await BinceReader.open(path);
    expect(await reader.rows(0, 100)).toEqual(rows);
  });

  it('leaves an old file alone until the new one is whole', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'a.bince');
    await writeFile(path, 'old');
    const writer = await BinceWriter.create(path, kModel);
    await writer.write(gridRows(kModel, 10));
    await writer.abort();
    await writer.abort();
    expect(await readdir(folder)).toEqual(['a.bince']);
    expect(await readFile(path, 'utf8')).toBe('old');
    await expect(BinceWriter.create(path, kModel, { overwrite: false })).rejects.toThrow(/there already/);
    await expect(writer.write(gridRows(kModel, 1))).rejects.toThrow(/aborted already/);
  });

  it('writes through a symbolic link to the file that it names', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'real'), 'old');
    await symlink('real', join(folder, 'link'));
    const writer = await BinceWriter.create(join(folder, 'link'), kModel);
    await writer.close();
    const bytes = new Uint8Array(await readFile(join(folder, 'real')));
    expect(decodeFile(bytes).rows).toBe(0);
  });

  it('is aborted by leaving its scope', async () => {
    const folder = await temporaryFolder();
    const leave = async () => {
      await using writer = await BinceWriter.create(join(folder, 'a.bince'), kModel);
      await writer.write(gridRows(kModel, 10));
      throw new Error('on the way');
    };
    await expect(leave()).rejects.toThrow('on the way');
    expect(await readdir(folder)).toEqual([]);
  });

  it('writes to a stream', async () => {
    const stream = new PassThrough();
    const parts: Buffer[] = [];
    stream.on('data', (part) => parts.push(part));
    const rows = gridRows(kModel, 50);
    const writer = await BinceWriter.create(stream, kModel, { blockRows: 8 });
    await writer.write(rows);
    await writer.close();
    expect(decodeFile(new Uint8Array(Buffer.concat(parts))).data).toEqual(rows);
    expect(stream.writableEnded).toBe(true);
  });

  it('reports a closed pipe', async () => {
    const stream = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }));
      },
    });
    await expect(BinceWriter.create(stream, kModel)).rejects.toMatchObject({
      code: 'BINCE_IO',
      message: /pipe/,
    });
    const late = new PassThrough();
    const writer = await BinceWriter.create(late, kModel, { blockRows: 4 });
    late.destroy();
    await writer.write(gridRows(kModel, 20)).catch(() => {});
    await expect(writer.close()).rejects.toMatchObject({ code: 'BINCE_IO' });
  });

  it('reports a full disk and leaves nothing', async () => {
    const rows = gridRows(kModel, 200);
    const whole = (await fileOf(kModel, rows, { blockRows: 16 })).length;
    for (const limit of [0, 10, 500, whole - 1]) {
      const sink = new MemorySink(limit);
      const attempt = async () => {
        const writer = await BinceWriter.create(sink, kModel, { blockRows: 16 });
        await writer.write(rows);
        await writer.close();
      };
      await expect(attempt()).rejects.toMatchObject({ code: 'ENOSPC' });
      expect(sink.ended).toBe('aborted');
    }
  });

  it.runIf(process.platform === 'linux')('reports /dev/full', async () => {
    await expect(BinceWriter.create('/dev/full', kModel)).rejects.toMatchObject({
      code: 'BINCE_IO',
      message: 'cannot write /dev/full: no space is left on the device',
    });
  });

  it('says where it cannot write', async () => {
    const folder = await temporaryFolder();
    await expect(BinceWriter.create(join(folder, 'none', 'a.bince'), kModel)).rejects.toMatchObject({
      code: 'BINCE_NOT_FOUND',
    });
    await expect(BinceWriter.create(folder, kModel)).rejects.toThrow(/it is a folder/);
  });

  it('names the row that cannot be coded, keeps those before it and goes on', async () => {
    const rows = gridRows(kModel, 60);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -1e30]) {
      const sink = new MemorySink();
      const writer = await BinceWriter.create(sink, kModel, { blockRows: 8 });
      await writer.write(rows.subarray(0, 100));
      const batch = rows.slice(100, 250);
      batch[5 * 21 + 3] = bad;
      await expect(writer.write(batch)).rejects.toMatchObject({
        code: 'BINCE_INVALID_VALUE',
        message: expect.stringMatching(/^row 41, channel 3: /),
      });
      await writer.write(rows.subarray(250));
      expect((await writer.close()).rows).toBe(51);
      const { data } = decodeFile(sink.bytes);
      expect(data).toEqual(Float32Array.from([...rows.subarray(0, 205), ...rows.subarray(250)]));
    }
  });

  it('names the bad row of a batch that is encoded in place', async () => {
    const rows = gridRows(kModel, 1000);
    for (const [bad, row] of [
      [Number.NaN, 300],
      [Number.NEGATIVE_INFINITY, 0],
      [3e38, 599],
    ] as const) {
      const sink = new MemorySink();
      const writer = await BinceWriter.create(sink, kModel, { blockRows: 4 });
      const batch = rows.slice(0, 600 * 5);
      batch[row * 5 + 4] = bad;
      await expect(writer.write(batch)).rejects.toThrow(new RegExp(`^row ${row}, channel 4: `));
      await writer.write(rows.subarray(600 * 5));
      await writer.close();
      const expected = [...rows.subarray(0, row * 5), ...rows.subarray(600 * 5)];
      expect(decodeFile(sink.bytes).data).toEqual(Float32Array.from(expected));
    }
  });

  it('encodes large batches where they are, between rows that are gathered', async () => {
    const channels = 256;
    const model = randomModel(31, channels);
    const rows = gridRows(model, 9000);
    const path = join(await temporaryFolder(), 'large.bince');
    const part = (from: number, to: number) => rows.subarray(from * channels, to * channels);
    const writer = await BinceWriter.create(path, model, { blockRows: 256 });
    await writer.write(part(0, 100));
    await writer.write(part(100, 5000));
    const batch = part(5000, 9000).slice();
    batch[3900 * channels + 17] = Number.NaN;
    await expect(writer.write(batch)).rejects.toThrow(/^row 8900, channel 17: expected a finite number/);
    const aligned = part(0, 4352).slice();
    aligned[300 * channels] = Number.POSITIVE_INFINITY;
    await writer.write(part(8900, 8960)); // 8960 is a multiple of 256
    await expect(writer.write(aligned)).rejects.toThrow(/^row 9260, channel 0: /);
    expect((await writer.close()).rows).toBe(9260);
    await using reader = await BinceReader.open(path);
    const read = await reader.rows(0, 9260);
    const same = (a: Float32Array | Int32Array, b: Float32Array) =>
      Buffer.compare(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), new Uint8Array(b.slice().buffer));
    expect(same(read.subarray(0, 8960 * channels), part(0, 8960))).toBe(0);
    expect(same(read.subarray(8960 * channels), part(0, 300))).toBe(0);
    const whole = await fileOf(model, rows, { blockRows: 256 });
    const pieces = join(await temporaryFolder(), 'pieces.bince');
    const again = await BinceWriter.create(pieces, model, { blockRows: 256 });
    for (const [from, to] of [
      [0, 256],
      [256, 4700],
      [4700, 4701],
      [4701, 9000],
    ] as const)
      await again.write(part(from, to));
    await again.close();
    expect(Buffer.compare(await readFile(pieces), whole)).toBe(0);
  });

  it('names the bad row of the second chunk while the third waits', async () => {
    const channels = 256;
    const model = randomModel(33, channels);
    const sink = new MemorySink();
    const writer = await BinceWriter.create(sink, model, { blockRows: 64 });
    const chunk = writer.batchRows;
    const one = gridRows(model, 64);
    const batch = new Float32Array((2 * chunk + 640) * channels);
    for (let at = 0; at < batch.length; at += one.length) batch.set(one.subarray(0, batch.length - at), at);
    const row = chunk + 129;
    batch[row * channels + 3] = Number.NaN;
    await expect(writer.write(batch)).rejects.toThrow(
      new RegExp(`^row ${row}, channel 3: expected a finite`),
    );
    await writer.write(one);
    const { rows, seconds } = await writer.close();
    expect(rows).toBe(row + 64);
    expect(seconds.coding).toBeGreaterThan(0);
    expect(seconds.writing).toBeGreaterThan(0);
    expect(seconds.syncing).toBeGreaterThanOrEqual(0);
    const reader = await BinceReader.open(sink.bytes);
    expect(await reader.rows(row - 1, row + 2)).toEqual(
      Float32Array.from([...one.subarray(0, channels), ...one.subarray(0, 2 * channels)]),
    );
    expect((await reader.verify()).ok).toBe(true);
  });

  it('is aborted while a batch is being encoded', async () => {
    const model = randomModel(34, 256);
    const sink = new MemorySink();
    const writer = await BinceWriter.create(sink, model, { blockRows: 64 });
    const call = writer.write(new Float32Array(3 * writer.batchRows * 256));
    const [outcome] = await Promise.allSettled([call, writer.abort()]);
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { message: 'the writer is aborted already' },
    });
    expect(sink.ended).toBe('aborted');
  });

  it('writes thousands of blocks', async () => {
    const rows = gridRows(kModel, 5000);
    const bytes = await fileOf(kModel, rows, { blockRows: 2 });
    const reader = await BinceReader.open(bytes);
    expect(reader.info.blocks).toBe(2500);
    expect(await reader.rows(0, 5000)).toEqual(rows);
    expect(decodeFile(bytes).data).toEqual(rows);
    const wide = randomModel(8, 700);
    expect(decodeFile(await fileOf(wide, gridRows(wide, 3))).data).toEqual(gridRows(wide, 3));
  });

  it('refuses rows that do not fit the model', async () => {
    const writer = await BinceWriter.create(new MemorySink(), kModel);
    await expect(writer.write({ data: new Float32Array(12), channels: 6 })).rejects.toThrow(
      'rows: expected 5 channels as the model has, received 6',
    );
    await expect(writer.write(new Float32Array(12))).rejects.toThrow(/a multiple of 5 values/);
    await expect(writer.write([1, 2, 3, 4, 5] as unknown as Float32Array)).rejects.toThrow(/5 channels/);
    await expect(writer.write(new Float64Array(5) as unknown as Float32Array)).rejects.toThrow(/5 channels/);
    await writer.write({ data: new Float32Array(10), channels: 5 });
    await expect(writer.write(new Int32Array(5))).rejects.toThrow(/Float32Array as in the batches before/);
    expect((await writer.close()).rows).toBe(2);
  });

  it('writes symbols', async () => {
    const model = randomModel(3, 4, { dtype: 'int32' });
    const sink = new MemorySink();
    const writer = await BinceWriter.create(sink, model);
    const symbols = Int32Array.from({ length: 40 }, (_, i) => (i % 7) - 3);
    await writer.write(symbols);
    await writer.close();
    expect(decodeFile(sink.bytes).data).toEqual(symbols);
    const next = await BinceWriter.create(new MemorySink(), model);
    await expect(next.write(Int32Array.of(0, 0, 2 ** 30, 0))).rejects.toThrow(/^row 0, channel 2/);
  });

  it('checks its options', async () => {
    const create = (options: object) => BinceWriter.create(new MemorySink(), kModel, options);
    await expect(create({ blockRows: 0 })).rejects.toThrow(/^blockRows: /);
    await expect(create({ blockRows: 2 ** 21 })).rejects.toThrow(/^blockRows: /);
    await expect(create({ lanes: 3 })).rejects.toThrow(/^lanes: /);
    await expect(create({ coder: 'huffman' })).rejects.toThrow(/^coder: /);
    await expect(create({ coder: 'range', lanes: 4 })).rejects.toThrow(/^lanes: /);
    await expect(create({ metadata: { a: 1n } })).rejects.toThrow(/^metadata: /);
    await expect(BinceWriter.create(7 as unknown as string, kModel)).rejects.toThrow(/^target: /);
  });

  it('keeps calls in order that are not awaited', async () => {
    const sink = new MemorySink();
    const rows = gridRows(kModel, 64);
    const writer = await BinceWriter.create(sink, kModel, { blockRows: 4 });
    const calls = [...inBatches(rows, 5, 9)].map((batch) => writer.write(batch));
    await Promise.all([...calls, writer.close()]);
    expect(decodeFile(sink.bytes).data).toEqual(rows);
  });

  it('stops at an AbortSignal and leaves nothing', async () => {
    const folder = await temporaryFolder();
    const controller = new AbortController();
    const writer = await BinceWriter.create(join(folder, 'a.bince'), kModel, {
      blockRows: 4,
      signal: controller.signal,
    });
    await writer.write(gridRows(kModel, 30));
    controller.abort();
    await expect(writer.close()).rejects.toMatchObject({ name: 'AbortError' });
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('append', () => {
  it('goes on with a file, again and again', async () => {
    const path = join(await temporaryFolder(), 'a.bince');
    const rows = gridRows(kModel, 90);
    const writer = await BinceWriter.create(path, kModel, { blockRows: 8, lanes: 4 });
    await writer.write(rows.subarray(0, 100));
    await writer.close();
    for (const [begin, end] of [
      [100, 115],
      [115, 115],
      [115, 450],
    ]) {
      const more = await BinceWriter.append(path);
      await more.write(rows.subarray(begin, end));
      expect((await more.close()).rows).toBe((end! - begin!) / 5);
    }
    await using reader = await BinceReader.open(path);
    expect(reader.length).toBe(90);
    expect(await reader.rows(0, 90)).toEqual(rows);
    expect(await reader.rows(19, 26)).toEqual(rows.subarray(19 * 5, 26 * 5));
    const bytes = new Uint8Array(await readFile(path));
    const format = {
      ...kModel,
      coder: 'rans' as const,
      blockRows: 8,
      lanes: 4,
      dtype: 1,
      json: reader.header.json,
    };
    const symbols = Array.from(rows, (x, i) => quantize(format, i % 5, x));
    const parts = [symbols.slice(0, 100), symbols.slice(100, 115), symbols.slice(115)];
    expect(bytes).toEqual(encodeFile(format, parts));
  });

  it('names the row of the file that cannot be coded', async () => {
    const path = join(await temporaryFolder(), 'a.bince');
    await writeFile(path, await fileOf(kModel, gridRows(kModel, 30)));
    const writer = await BinceWriter.append(path);
    await expect(writer.write(new Float32Array(10).fill(Number.NaN, 5))).rejects.toThrow(
      /^row 31, channel 0/,
    );
    await writer.close();
    await using reader = await BinceReader.open(path);
    expect(reader.length).toBe(31);
  });

  it('restores the file on abort', async () => {
    const path = join(await temporaryFolder(), 'a.bince');
    const old = await fileOf(kModel, gridRows(kModel, 30));
    await writeFile(path, old);
    const writer = await BinceWriter.append(path);
    await writer.write(gridRows(kModel, 5000));
    await writer.abort();
    expect(new Uint8Array(await readFile(path))).toEqual(old);
  });

  it('loses no row to a crash during an append', async () => {
    const path = join(await temporaryFolder(), 'a.bince');
    const rows = gridRows(kModel, 24);
    const old = await fileOf(kModel, rows.subarray(0, 60), { blockRows: 8 });
    await writeFile(path, old);
    const writer = await BinceWriter.append(path);
    await writer.write(rows.subarray(60));
    await writer.close();
    const whole = new Uint8Array(await readFile(path));
    for (let length = old.length; length <= whole.length; length += length < whole.length - 8 ? 3 : 1) {
      await writeFile(path, whole.subarray(0, length));
      if (length !== old.length && length !== whole.length) {
        await expect(BinceWriter.append(path)).rejects.toMatchObject({ code: 'BINCE_CORRUPT_DATA' });
      }
      const again = await BinceWriter.append(path, { recover: true });
      await again.write(rows.subarray(0, 15));
      await again.close();
      await using reader = await BinceReader.open(path);
      const kept = reader.length - 3;
      expect([12, 20, 24]).toContain(kept);
      expect(await reader.rows(0, kept)).toEqual(rows.subarray(0, kept * 5));
      expect(await reader.rows(kept, kept + 3)).toEqual(rows.subarray(0, 15));
      expect((await reader.verify()).ok).toBe(true);
    }
  });

  it('refuses files that it cannot go on with', async () => {
    const folder = await temporaryFolder();
    await expect(BinceWriter.append(join(folder, 'none'))).rejects.toMatchObject({ code: 'BINCE_NOT_FOUND' });
    await writeFile(join(folder, 'text'), 'this is no file of vectors');
    await expect(BinceWriter.append(join(folder, 'text'))).rejects.toThrow(/not a .bince file/);
  });
});
