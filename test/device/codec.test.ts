/** Files written from tensors on a device and read into them: the same bytes and rows as through the host. */
import { readFileSync } from 'node:fs';
import { expect, describe as group, it } from 'vitest';
import { BinceReader, BinceWriter, type ByteSink, type CodecModel } from '../../lib/codec/index.js';
import { debugLeaks, leaks, type Tensor, tensor } from '../../lib/index.js';
import { BlockCoder } from '../../lib/kernels/index.js';
import type { Golden } from '../codec/golden_files.js';
import { gridRows, modelOf, randomModel } from '../codec/models.js';
import { missing, useSimulator } from './simulator.js';

useSimulator();

const onSimulator = group.skipIf(missing !== undefined);
const channels = 5;
const blockRows = 16;

class MemorySink implements ByteSink {
  bytes = new Uint8Array(0);
  async write(more: Uint8Array): Promise<void> {
    const joined = new Uint8Array(this.bytes.length + more.length);
    joined.set(this.bytes);
    joined.set(more, this.bytes.length);
    this.bytes = joined;
  }
  async close(): Promise<void> {}
  async abort(): Promise<void> {}
}

function onCuda(rows: Float32Array): Tensor {
  return tensor(rows, [rows.length / channels, channels], { device: 'cuda' });
}

async function fileOf(
  model: CodecModel,
  batches: readonly (Float32Array | Int32Array | Tensor)[],
): Promise<Uint8Array> {
  const sink = new MemorySink();
  const writer = await BinceWriter.create(sink, model, { blockRows });
  await writer.writeAll(batches);
  await writer.close();
  return sink.bytes;
}

onSimulator('BinceWriter with tensors on a device', () => {
  it('writes the bytes that it writes from host memory, however the rows are cut', async () => {
    const model = randomModel(3, channels);
    const rows = gridRows(model, 150);
    const expected = await fileOf(model, [rows]);
    const part = (first: number, end: number) => rows.subarray(first * channels, end * channels);
    for (const cuts of [[150], [16, 150], [1, 2, 90, 150], [7, 23, 60, 61, 150]]) {
      let first = 0;
      const batches = cuts.map((end) => {
        const piece = part(first, end);
        first = end;
        return onCuda(piece);
      });
      expect(await fileOf(model, batches)).toEqual(expected);
      for (const batch of batches) batch.dispose();
    }
    // Mixed with arrays, and tensors on the CPU.
    using device = onCuda(part(20, 100));
    using host = tensor(part(100, 150), [50, channels]);
    expect(await fileOf(model, [part(0, 20), device, host])).toEqual(expected);
  });

  it('names the row of a value that cannot be coded, and keeps the rows before it', async () => {
    const model = randomModel(4, channels);
    const rows = gridRows(model, 70);
    rows[50 * channels + 3] = Number.NaN;
    using device = onCuda(rows);
    const sink = new MemorySink();
    const writer = await BinceWriter.create(sink, model, { blockRows });
    await expect(writer.write(device)).rejects.toThrow('row 50, channel 3: expected a finite number');
    expect((await writer.close()).rows).toBe(50);
    const reader = await BinceReader.open(sink.bytes);
    expect(await reader.rows(0, 50)).toEqual(rows.subarray(0, 50 * channels));
  });

  it('refuses tensors that are no rows', async () => {
    const writer = await BinceWriter.create(new MemorySink(), randomModel(5, channels));
    using narrow = tensor(new Float32Array(8), [2, 4], { device: 'cuda' });
    using bytes = tensor(new Uint8Array(10), [2, channels], { device: 'cuda' });
    await expect(writer.write(narrow)).rejects.toThrow(/rows: expected a tensor of rows of 5 channels/);
    await expect(writer.write(bytes)).rejects.toThrow(/rows: expected a float32 or int32 tensor/);
    await writer.abort();
  });
});

onSimulator('BlockCoder.encodeOnDevice', () => {
  it('makes the sections of encode, and counts ideal bits where they are wanted', async () => {
    const tables = {
      cdf: Int32Array.from([0, 9000, 60000, 65530, 65536]),
      start: Int32Array.from([0, 5]),
      offset: Int32Array.from([-1]),
    };
    const coder = new BlockCoder({
      tables,
      tableIndex: new Int32Array(channels),
      channels,
      blockRows,
      lanes: 32,
      coder: 'rans',
      headerCrc: 0,
    });
    const rows = Float32Array.from({ length: 70 * channels }, (_, i) => (i % 3) - 1);
    const expected = await coder.encode(rows);
    using device = onCuda(rows);
    const given = { tensor: device, firstRow: 0, rows: 70 };
    const counted = await coder.encodeOnDevice(given);
    expect(counted.bytes).toEqual(expected.bytes);
    expect(counted.idealBits).toBeCloseTo(expected.idealBits, 9);
    const uncounted = await coder.encodeOnDevice(given, { idealBits: false });
    expect(uncounted.bytes).toEqual(expected.bytes);
    expect(uncounted.idealBits).toBeNaN();
  });
});

onSimulator('BinceReader.tensor', () => {
  it('gives the rows that reader.rows gives', async () => {
    const model = randomModel(6, channels);
    const rows = gridRows(model, 100);
    const reader = await BinceReader.open(await fileOf(model, [rows]));
    debugLeaks(true);
    for (const [begin, end] of [
      [0, 100],
      [0, 0],
      [16, 48],
      [5, 9],
      [10, 90],
      [95, 100],
    ] as const)
      for (const device of ['cuda', 'cpu'] as const) {
        const found = await reader.tensor(begin, end, { device });
        expect(found.shape).toEqual([end - begin, channels]);
        expect(await found.data()).toEqual(await reader.rows(begin, end));
        found.dispose();
      }
    expect(leaks()).toEqual([]);
    debugLeaks(false);
  });

  it('says which block is damaged', async () => {
    const model = randomModel(7, channels);
    const bytes = await fileOf(model, [gridRows(model, 100)]);
    const { offset } = blockPlace(await BinceReader.open(bytes), 3);
    bytes[offset + 20]! ^= 4;
    const reader = await BinceReader.open(bytes);
    debugLeaks(true);
    await expect(reader.tensor(0, 100, { device: 'cuda' })).rejects.toMatchObject({ block: 3 });
    expect(leaks()).toEqual([]);
    debugLeaks(false);
    (await reader.tensor(64, 100, { device: 'cuda' })).dispose();
  });
});

const goldenFolder = new URL('../golden/bince/', import.meta.url);
const goldens = JSON.parse(readFileSync(new URL('rows.json', goldenFolder), 'utf8')) as Golden[];
const goldenBytes = ({ file }: Golden) => new Uint8Array(readFileSync(new URL(file, goldenFolder)));

onSimulator('the golden files', () => {
  it.each(goldens.filter(({ cutOff }) => !cutOff))('$file decodes to its rows', async (golden) => {
    const reader = await BinceReader.open(goldenBytes(golden));
    using found = await reader.tensor(0, golden.rows, { device: 'cuda' });
    expect(await found.data()).toEqual(Float32Array.from(golden.data));
  });

  const written = goldens.filter(({ sessions, rows }) => sessions.length === 1 && rows > 0);
  it.each(written)('$file is what tensors on a device are written to', async (golden) => {
    const { blockRows, lanes, coder, channels, dtype, data } = golden;
    const sink = new MemorySink();
    const writer = await BinceWriter.create(sink, modelOf(goldenBytes(golden)), { blockRows, lanes, coder });
    const rows = dtype === 'int32' ? Int32Array.from(data) : Float32Array.from(data);
    using batch = tensor(rows, [golden.rows, channels], { device: 'cuda' });
    await writer.write(batch);
    await writer.close();
    expect(sink.bytes).toEqual(goldenBytes(golden));
  });
});

/** Where a block begins in the file. */
function blockPlace(reader: BinceReader, block: number): { offset: number } {
  const { layout } = reader as unknown as { layout: { blocks: readonly { offset: number }[] } };
  return layout.blocks[block]!;
}
