import { describe, expect, it } from 'vitest';
import { BinceError, BinceReader, BinceWriter, DamagedFileError } from '../../lib/codec/index.js';
import { crc32c } from '../../lib/decoder/crc32c.js';
import { BinceFile, decodeFile } from '../../lib/decoder/index.js';
import { gridRows, randomModel } from './models.js';
import { random, randomSymbols, randomTables } from './random_files.js';
import { Bytes, encodeFile, headerPayload, type ReferenceFormat } from './reference_encoder.js';

const kChannels = 2;
const kBlockRows = 4;

function smallFile(coder: 'rans' | 'range'): {
  bytes: Uint8Array;
  symbols: Int32Array;
  format: ReferenceFormat;
} {
  const format: ReferenceFormat = {
    tables: randomTables(random(11), kChannels, 6),
    channels: kChannels,
    blockRows: kBlockRows,
    lanes: coder === 'rans' ? 2 : 1,
    coder,
    dtype: 0,
    median: Float32Array.of(0.25, 0),
    json: { name: 'small' },
  };
  const symbols = randomSymbols(random(12), format, 17, 6);
  return { bytes: encodeFile(format, [symbols.subarray(0, 20), symbols.subarray(20)]), symbols, format };
}

/** Rows read from a sound reader have to be those that were written, at their place. */
function expectRows(data: ArrayLike<number>, symbols: Int32Array, firstRow = 0): void {
  expect(Array.from(data)).toEqual(
    Array.from(symbols.subarray(firstRow * kChannels, firstRow * kChannels + data.length)),
  );
}

/** Where the numbers of rows are uncertain, the rows themselves have to be right all the same. */
function expectRowsSomewhere(data: ArrayLike<number>, symbols: Int32Array): void {
  const text = `,${Array.from(symbols).join(',')},`;
  for (let at = 0; at < data.length; at += kChannels) {
    expect(text).toContain(
      `,${Array.from(data)
        .slice(at, at + kChannels)
        .join(',')},`,
    );
  }
}

async function damageOf(read: () => unknown): Promise<DamagedFileError | undefined> {
  try {
    await read();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(DamagedFileError);
    return error as DamagedFileError;
  }
}

/** Reads a damaged file in every way; each has to fail with the part's name or to give right rows. */
async function readEveryWay(
  bytes: Uint8Array,
  symbols: Int32Array,
): Promise<{ error: DamagedFileError; recovered: number }> {
  const error = await damageOf(() => expectRows(decodeFile(bytes).data, symbols));
  expect(error).toBeDefined();
  const native = await damageOf(async () => {
    const reader = await BinceReader.open(bytes);
    expectRows(await reader.rows(0, reader.length), symbols);
  });
  expect(native?.part).toBe(error?.part);
  expect(native?.block).toBe(error?.block);
  let recovered = -1;
  const header = await damageOf(async () => {
    const reader = await BinceReader.open(bytes, { recover: true });
    recovered = 0;
    const { uncertainFrom } = reader.info.recovery ?? {};
    for await (const { firstRow, rows, data } of reader.batches({ skipDamaged: true })) {
      if (uncertainFrom === undefined) expectRows(data, symbols, firstRow);
      else expectRowsSomewhere(data, symbols);
      recovered += rows;
    }
    const file = await BinceFile.open(bytes, { recover: true });
    expect(file.recovery).toEqual(reader.info.recovery);
    for (const { firstRow, rows } of (await reader.verify()).bad) {
      expect((await damageOf(() => file.rows(firstRow, firstRow + rows)))?.part).toBe('block');
    }
  });
  if (header) expect(header.part).toBe('header');
  return { error: error!, recovered };
}

describe.each(['rans', 'range'] as const)('a damaged file (%s)', (coder) => {
  const { bytes, symbols } = smallFile(coder);

  it('is sound to begin with', async () => {
    const reader = await BinceReader.open(bytes);
    expectRows(await reader.rows(0, reader.length), symbols);
    expect(await reader.verify()).toEqual({ ok: true, blocks: 5, rows: 17, bad: [] });
  });

  it('is noticed at every byte, whatever is done to it, and the other blocks are read', async () => {
    const recovery = await (await BinceReader.open(bytes.subarray(0, bytes.length - 1), { recover: true }))
      .info;
    expect(recovery.recovery?.wholeBlocks).toBe(5);
    for (let at = 0; at < bytes.length; at++) {
      for (const pattern of [1 << (at % 8), 0x80 >> (at % 7), 0xff]) {
        const damaged = bytes.slice();
        damaged[at]! ^= pattern;
        // Damage to the old trailer or the old index is outside of what the new index needs.
        const error = await damageOf(() => expectRows(decodeFile(damaged).data, symbols));
        if (!error) {
          const reader = await BinceReader.open(damaged);
          expectRows(await reader.rows(0, reader.length), symbols);
          continue;
        }
        const { recovered } = await readEveryWay(damaged, symbols);
        if (error.part === 'header') expect(recovered).toBe(-1);
        else if (error.part === 'block') expect(recovered).toBeGreaterThanOrEqual(13);
        else expect(recovered).toBe(17);
      }
    }
  });

  it('is noticed when it is cut off at any length, and its whole blocks are read', async () => {
    let most = 0;
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.slice(0, length);
      const reader = await damageOf(() => BinceReader.open(cut));
      if (!reader) {
        // The end of the first session: a finished file of its own.
        expectRows(decodeFile(cut).data, symbols);
        expect(decodeFile(cut).rows).toBe(10);
        continue;
      }
      const { error, recovered } = await readEveryWay(cut, symbols);
      if (error.part === 'header') continue;
      expect(recovered).toBeGreaterThanOrEqual(most);
      most = recovered;
    }
    expect(most).toBe(17);
  });

  it('is noticed when bytes are lost or added in the middle', async () => {
    const next = random(77);
    for (let i = 0; i < 100; i++) {
      const at = Math.floor(next() * bytes.length);
      const count = 1 + Math.floor(next() * 9);
      const added = Uint8Array.from({ length: count }, () => next() * 256);
      const lost = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + count)]);
      const more = Uint8Array.from([...bytes.subarray(0, at), ...added, ...bytes.subarray(at)]);
      await readEveryWay(lost, symbols);
      await readEveryWay(more, symbols);
    }
  });

  it('is noticed in files of noise behind a sound header', async () => {
    const next = random(78);
    const headerBytes = 16 + headerPayload(smallFile(coder).format).length;
    for (let i = 0; i < 60; i++) {
      const noise = Uint8Array.from({ length: 300 }, () => next() * 256);
      if (i % 2) noise.fill(0x40);
      noise.set(bytes.subarray(0, headerBytes));
      const { recovered } = await readEveryWay(noise, symbols);
      expect(recovered).toBe(0);
    }
  });

  it('may be two blocks that changed places', async () => {
    const reader = await BinceReader.open(bytes);
    const { bad } = await reader.verify();
    expect(bad).toEqual([]);
    const place = (block: number) =>
      (reader as unknown as { layout: { blocks: { offset: number; bytes: number }[] } }).layout.blocks[
        block
      ]!;
    const [a, b] = [place(0), place(1)];
    const swapped = bytes.slice();
    swapped.set(bytes.subarray(b.offset, b.offset + b.bytes), a.offset);
    swapped.set(bytes.subarray(a.offset, a.offset + a.bytes), a.offset + b.bytes);
    const again = await BinceReader.open(swapped);
    expect((await again.verify()).bad.map(({ block }) => block)).toEqual([0, 1]);
    expectRows(await again.rows(8, 17), symbols, 8);
  });
});

it('a large file that was cut off and lost a piece in the middle is read around it', async () => {
  const model = randomModel(31, 64);
  const rows = gridRows(model, 12_000, 32);
  const parts: Uint8Array[] = [];
  const sink = {
    write: async (part: Uint8Array) => void parts.push(part.slice()),
    close: async () => {},
    abort: async () => {},
  };
  const writer = await BinceWriter.create(sink, model, { blockRows: 1000 });
  await writer.write(rows);
  await writer.close();
  const whole = new Uint8Array(Buffer.concat(parts));
  const next = random(33);
  const size = Math.floor(whole.length / 12);
  const cut = whole.slice(0, whole.length - 200);
  // Noise over the end of one block, the whole of the next and the beginning of the one after.
  for (let i = 0; i < 1.5 * size; i++) cut[Math.floor(4.5 * size) + i] = next() * 256;
  const reader = await BinceReader.open(cut, { recover: true });
  const { damagedBlocks, uncertainFrom, wholeBlocks } = reader.info.recovery!;
  expect(damagedBlocks).toEqual([4, 5]);
  expect(uncertainFrom).toBe(4);
  expect(wholeBlocks).toBe(9);
  expect(await reader.rows(6000, 11_000)).toEqual(rows.subarray(6000 * 64, 11_000 * 64));
});

describe('lengths that lie behind right checksums', () => {
  const { bytes, format } = smallFile('rans');
  const payload = headerPayload(format);

  /** The file with a changed header payload, its CRC made right. */
  function withHeader(change: (payload: Uint8Array, view: DataView) => void): Uint8Array {
    const changed = payload.slice();
    change(changed, new DataView(changed.buffer));
    const head = new Bytes()
      .add(bytes.subarray(0, 8))
      .uint(changed.length, 4)
      .uint(crc32c(changed), 4)
      .add(changed);
    return Uint8Array.from([...head.list, ...bytes.subarray(16 + payload.length)]);
  }

  it.each<[string, (payload: Uint8Array, view: DataView) => void]>([
    ['format version 2', (p) => p.fill(2, 0, 1)],
    ['an unknown coder', (p) => p.fill(2, 2, 3)],
    ['2^6 lanes', (p) => p.fill(6, 3, 4)],
    ['0 channels', (_, v) => v.setUint32(4, 0, true)],
    ['tables for', (_, v) => v.setUint32(4, 2 ** 20, true)],
    ['2000000000 channels', (_, v) => v.setUint32(4, 2e9, true)],
    ['0 rows a block', (_, v) => v.setUint32(8, 0, true)],
    ['an unknown dtype', (p) => p.fill(4, 12, 13)],
    ['unknown flags', (p) => p.fill(16, 13, 14)],
    ['reserved', (p) => p.fill(1, 14, 15)],
    ['4000000000 tables', (_, v) => v.setUint32(16, 4e9, true)],
    ['bytes are needed', (_, v) => v.setUint32(20, 4e9, true)],
    ['bytes are needed', (_, v) => v.setUint32(24, 4e9, true)],
    ['reserved', (_, v) => v.setUint32(28, 1, true)],
    ['JSON', (p) => p.fill(0xff, 33, 34)],
    ['JSON', (p) => p.fill(0x20, 32, 33)],
    ['is NaN', (_, v) => v.setUint32(v.byteLength - 4, 0x7fc00000, true)],
  ])('%s', (message, change) => {
    const lying = withHeader(change);
    const open = () => decodeFile(lying);
    expect(open).toThrow(message);
    expect(open).toThrow(DamagedFileError);
  });

  it('tables whose frequencies do not sum to 65536', () => {
    const json = new DataView(payload.buffer).getUint32(20, true);
    for (let at = 32 + json; at < payload.length - 8; at++) {
      const lying = withHeader((changed) => {
        changed[at]! ^= 1;
      });
      // The offset of a table may change without a contradiction; then no block fits the header's CRC.
      expect(() => decodeFile(lying)).toThrow(BinceError);
    }
  });

  it('blocks that claim more rows than their bytes can hold', () => {
    const big: ReferenceFormat = { ...format, blockRows: 2 ** 20 };
    const head = headerPayload(big);
    const crc = crc32c(head);
    const block = new Bytes().uint(0x40, 1).varint(8).uint(0, 4).uint(0, 8).list;
    const file = new Bytes().add(bytes.subarray(0, 8)).uint(head.length, 4).uint(crc, 4).add(head);
    const offset = file.list.length;
    file.add(block);
    const index = new Bytes().varint(1).varint(offset).varint(1).varint(0).varint(block.length).list;
    const indexOffset = file.list.length;
    file.uint(0x49, 1).varint(index.length);
    file.uint(crc32c(new Bytes().uint(crc, 4).add(index).array), 4).add(index);
    const body = new Bytes().uint(indexOffset, 8).uint(2 ** 20, 8);
    file.add(body.list).uint(crc32c(new Bytes().uint(crc, 4).add(body.list).array), 4);
    file.add([0x42, 0x4e, 0x43, 0x45, 0x4e, 0x44, 0x0d, 0x0a]);
    expect(() => decodeFile(file.array)).toThrow(/1048576 rows/);
    expect(() => decodeFile(file.array, { recover: true })).not.toThrow();
  });
});
