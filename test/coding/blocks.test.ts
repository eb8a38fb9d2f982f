import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BinceError, BlockCoder, type BlockFormat, chooseLanes, crc32c } from '../../lib/kernels/index.js';
import { bellFrequencies, tablesOf } from './golden.js';

/** Numbers from 0 to 1, the same for the same seed. */
function random(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
    x = Math.imul(x ^ (x >>> 12), 0x297a2d39) + 0x9e3779b9;
    x ^= x >>> 15;
    return (x >>> 0) / 2 ** 32;
  };
}

/** Symbols drawn from the tables' own distributions, now and then far outside. */
function draw(rows: number, format: BlockFormat, seed: number, escapes = 0.001): Int32Array {
  const next = random(seed);
  const { cdf, start, offset } = format.tables;
  const symbols = new Int32Array(rows * format.channels);
  for (let i = 0; i < symbols.length; ++i) {
    const c = i % format.channels;
    const t = format.tableIndex ? format.tableIndex[c]! : c;
    const slot = Math.floor(next() * 65536);
    let low = 0;
    let high = start[t + 1]! - start[t]! - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (cdf[start[t]! + middle]! <= slot) low = middle;
      else high = middle - 1;
    }
    symbols[i] = offset[t]! + low;
    if (next() < escapes) symbols[i] = Math.floor((next() - 0.5) * 4000);
  }
  return symbols;
}

function formatOf(channels: number, options: Partial<BlockFormat> = {}): BlockFormat {
  const frequencies = Array.from({ length: channels }, (_, c) =>
    bellFrequencies(3 + (c % 25), 0.6 + (c % 3)),
  );
  const tables = tablesOf(
    frequencies,
    frequencies.map((f) => -((f.length - 1) >> 1)),
  );
  return { tables, channels, blockRows: 100, lanes: 32, coder: 'rans', headerCrc: 0x1234abcd, ...options };
}

describe('block sections', () => {
  it('are those of the format, byte for byte', () => {
    // One channel, two entries of equal frequency: rows 0, 1 in one lane. x = 2^16, then per symbol from the last:
    // x = 2 * (x - x mod 2^15) + x mod 2^15 + start.
    const tables = tablesOf([[32768, 32768]], [0]);
    const coder = new BlockCoder({
      tables,
      channels: 1,
      blockRows: 4,
      lanes: 1,
      coder: 'rans',
      headerCrc: 0,
    });
    const { bytes, sectionBytes, sectionRows, idealBits } = coder.encodeSync(Int32Array.from([0, 0, 5]));
    // 5 is outside: entry 1 and the escape 2 * (5 - 1) = 8. The state: 0x10000 -> 0x28000 -> 0x50000 -> 0xa0000.
    const payload = [0x00, 0x00, 0x0a, 0x00, 8];
    const prefix = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0]);
    const crc = crc32c(Uint8Array.from(payload), crc32c(prefix));
    const crcBytes = [0, 8, 16, 24].map((shift) => (crc >>> shift) & 255);
    expect([...bytes]).toEqual([0x43, 3, 1, 5, ...crcBytes, ...payload]);
    expect([...sectionBytes]).toEqual([bytes.length]);
    expect([...sectionRows]).toEqual([3]);
    expect(idealBits).toBe(3 + 8);
  });

  it('count ideal bits only where they are wanted', async () => {
    const coder = new BlockCoder(formatOf(40, { coder: 'rans', lanes: 32 }));
    const symbols = new Int32Array(40 * 99).map((_, i) => i % 3);
    const counted = coder.encodeSync(symbols);
    expect(counted.idealBits).toBeGreaterThan(0);
    for (const made of [
      coder.encodeSync(symbols, { idealBits: false }),
      await coder.encode(symbols, { idealBits: false }),
    ]) {
      expect(made.idealBits).toBeNaN();
      expect(made.bytes).toEqual(counted.bytes);
    }
    expect((await coder.encode(symbols, { idealBits: true })).idealBits).toBe(counted.idealBits);
    // @ts-expect-error: not a boolean
    expect(() => coder.encodeSync(symbols, { idealBits: 1 })).toThrow(/idealBits: expected a boolean/);
  });

  it('bring symbols back at every tail', () => {
    for (const coder of ['rans', 'range'] as const)
      for (const channels of [1, 7, 40])
        for (const lanes of coder === 'range' ? ([1] as const) : ([1, 4, 32] as const))
          for (const rows of [1, 31, 32, 33, 99, 100, 101, 257]) {
            const format = formatOf(channels, { coder, lanes });
            const blocks = new BlockCoder(format);
            const symbols = draw(rows, format, rows);
            const { bytes, sectionRows } = blocks.encodeSync(symbols, { firstBlock: 9 });
            expect(sectionRows.reduce((a, b) => a + b, 0)).toBe(rows);
            expect(blocks.decodeSync(bytes, { firstBlock: 9, as: 'symbols' })).toEqual(symbols);
          }
  });

  it('bring 4095, 4096 and 4097 rows of 512 channels back', async () => {
    const format = formatOf(512, { blockRows: 4096 });
    const blocks = new BlockCoder(format);
    for (const rows of [4095, 4096, 4097]) {
      const symbols = draw(rows, format, rows, 0.0001);
      const { bytes, idealBits } = await blocks.encode(symbols);
      const decoded = await blocks.decode(bytes, { as: 'symbols' });
      expect(Buffer.compare(Buffer.from(decoded.buffer), Buffer.from(symbols.buffer))).toBe(0);
      expect(8 * bytes.length).toBeLessThanOrEqual(1.01 * idealBits + 0.1 * rows + 8 * 64);
    }
  });

  it('bring values back as the format computes them', async () => {
    const channels = 37;
    const next = random(5);
    const floats = (low: number, high: number) =>
      Float32Array.from({ length: channels }, () => low + (high - low) * next());
    const format = formatOf(channels, { median: floats(-1, 1), step: floats(0.01, 3), shift: floats(-9, 9) });
    const { median, step, shift } = format as Required<BlockFormat>;
    const blocks = new BlockCoder(format);
    const rows = Float32Array.from({ length: 333 * channels }, () => (next() - 0.5) * 30);
    const expected = rows.map((x, i) => {
      const c = i % channels;
      const f = Math.fround;
      const y = f(f(f(x - shift[c]!) * f(1 / step[c]!)) - median[c]!);
      let s = Math.round(y);
      if (Math.abs(s - y) === 0.5 && s % 2 !== 0) s -= 1;
      return f(f(f(s + median[c]!) * step[c]!) + shift[c]!);
    });
    const { bytes } = await blocks.encode(rows);
    expect(await blocks.decode(bytes)).toEqual(expected);
  });

  it('take tables of any size, shared by channels', () => {
    for (const n of [2, 3, 16, 17, 31, 32, 33, 64, 65, 300, 5000]) {
      const tables = tablesOf([bellFrequencies(n, n / 6), [65535, 1], [1, 65535]], [-(n >> 1), 0, 3]);
      const format = formatOf(5, { tables, tableIndex: Int32Array.from([0, 1, 0, 2, 1]), lanes: 16 });
      const blocks = new BlockCoder(format);
      const symbols = draw(211, format, n);
      expect(blocks.decodeSync(blocks.encodeSync(symbols).bytes, { as: 'symbols' })).toEqual(symbols);
    }
    const flat = tablesOf([Array(65536).fill(1)], [-32768]);
    const format = formatOf(1, { tables: flat });
    const blocks = new BlockCoder(format);
    const symbols = draw(500, format, 3);
    expect(blocks.decodeSync(blocks.encodeSync(symbols).bytes, { as: 'symbols' })).toEqual(symbols);
  });

  it('take escapes of every int32, in every place', () => {
    for (const coder of ['rans', 'range'] as const)
      for (const offset of [0, -(2 ** 31), 2 ** 31 - 2]) {
        const tables = tablesOf([[65535, 1]], [offset]);
        const format = formatOf(3, {
          tables,
          tableIndex: new Int32Array(3),
          coder,
          lanes: coder === 'rans' ? 8 : 1,
        });
        const blocks = new BlockCoder(format);
        const symbols = Int32Array.from(
          { length: 300 },
          (_, i) => [-(2 ** 31), 2 ** 31 - 1, -1, 0, 1, i][i % 6]!,
        );
        expect(blocks.decodeSync(blocks.encodeSync(symbols).bytes, { as: 'symbols' })).toEqual(symbols);
      }
  });

  it('are none for no rows', async () => {
    const blocks = new BlockCoder(formatOf(3));
    const none = await blocks.encode(new Float32Array(0));
    expect(none.bytes.length).toBe(0);
    expect(none.sectionRows.length).toBe(0);
    expect(await blocks.decode(none.bytes)).toEqual(new Float32Array(0));
  });

  it('name the row and channel of a value that cannot be coded', async () => {
    const blocks = new BlockCoder(formatOf(40));
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 30, -3e38]) {
      const rows = new Float32Array(40 * 350);
      rows[40 * 203 + 39] = bad;
      rows[40 * 204] = bad;
      await expect(blocks.encode(rows)).rejects.toThrow(
        expect.objectContaining({
          code: 'BINCE_INVALID_VALUE',
          message: expect.stringContaining('row 203, channel 39'),
        }),
      );
    }
    const limit = new Float32Array(40).fill(2 ** 30 - 64);
    expect(blocks.decodeSync(blocks.encodeSync(limit).bytes)).toEqual(limit);
  });

  it('are refused when any bit is flipped, with the block that was hit', () => {
    for (const coder of ['rans', 'range'] as const) {
      const format = formatOf(4, { blockRows: 9, coder, lanes: coder === 'rans' ? 2 : 1 });
      const blocks = new BlockCoder(format);
      const symbols = draw(25, format, 1, 0.1);
      const { bytes, sectionBytes } = blocks.encodeSync(symbols, { firstBlock: 40 });
      const starts = [0, sectionBytes[0]!, sectionBytes[0]! + sectionBytes[1]!];
      for (let bit = 0; bit < 8 * bytes.length; ++bit) {
        const flipped = bytes.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        const block = 40 + starts.filter((start) => start <= bit >> 3).length - 1;
        let message = '';
        try {
          expect(blocks.decodeSync(flipped, { firstBlock: 40, as: 'symbols' })).toEqual(symbols);
        } catch (error) {
          if (!(error instanceof BinceError)) throw error;
          expect(error.code).toBe('BINCE_CORRUPT_DATA');
          message = error.message;
        }
        // A wrong length can move the next header before the damaged block's checksum is read.
        expect(message).toMatch(new RegExp(`block (${block}|${block + 1}) is damaged`));
      }
      for (let length = 1; length < bytes.length; ++length)
        if (!starts.includes(length))
          expect(() => blocks.decodeSync(bytes.subarray(0, length), { firstBlock: 40 })).toThrow(
            /is damaged/,
          );
    }
  });

  it('are refused under another number, header or table', () => {
    const format = formatOf(4);
    const { bytes } = new BlockCoder(format).encodeSync(draw(10, format, 1), { firstBlock: 7 });
    expect(() => new BlockCoder(format).decodeSync(bytes, { firstBlock: 8 })).toThrow(
      /block 8 is damaged: its checksum/,
    );
    expect(() => new BlockCoder({ ...format, headerCrc: 1 }).decodeSync(bytes, { firstBlock: 7 })).toThrow(
      /checksum/,
    );
    const other = formatOf(4, { tables: tablesOf(Array(4).fill([100, 65436]), [0, 0, 0, 0]) });
    expect(() => new BlockCoder(other).decodeSync(bytes, { firstBlock: 7 })).toThrow(/block 7 is damaged/);
  });

  it('that promise more rows than they can hold are refused before memory is taken', () => {
    const format = formatOf(1000, { blockRows: 2 ** 20, lanes: 1 });
    const lie = Uint8Array.from([0x40, 6, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    expect(() => new BlockCoder(format).decodeSync(lie)).toThrow(/cannot hold its rows/);
  });

  it('stop for an AbortSignal and name wrong arguments', async () => {
    const blocks = new BlockCoder(formatOf(4));
    await expect(
      blocks.encode(new Float32Array(4), { signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough');
    await expect(blocks.encode(new Float32Array(5))).rejects.toThrow(/rows: expected a multiple of 4/);
    await expect(blocks.decode([] as never)).rejects.toThrow(/bytes: expected a Uint8Array/);
    expect(() => new BlockCoder(formatOf(4, { lanes: 3 as never }))).toThrow(/lanes/);
    expect(() => new BlockCoder(formatOf(4, { lanes: 2, coder: 'range' }))).toThrow(/lanes: expected 1/);
    expect(() => new BlockCoder(formatOf(4, { step: new Float32Array(4) }))).toThrow(/step: channel 0/);
    expect(() => new BlockCoder(formatOf(4, { channels: 5 }))).toThrow(/tables: expected 5/);
    expect(() => new BlockCoder(formatOf(4, { tableIndex: Int32Array.from([0, 1, 2, 4]) }))).toThrow(
      /channel 3/,
    );
    for (const list of [[65536], [0, 65536], [65537, -1], [30000, 30000]])
      expect(() => new BlockCoder(formatOf(1, { tables: tablesOf([list], [0]) }))).toThrow(/tables: table 0/);
    expect(() => new BlockCoder(formatOf(1, { tables: tablesOf([[1, 65535]], [2 ** 31 - 1]) }))).toThrow(
      /do not fit/,
    );
  });

  it('bring any rows back (property)', () => {
    fc.assert(
      fc.property(
        fc.record({
          channels: fc.integer({ min: 1, max: 9 }),
          rows: fc.nat(70),
          blockRows: fc.integer({ min: 1, max: 40 }),
          lanes: fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const, 16 as const, 32 as const),
          seed: fc.nat(),
          escapes: fc.constantFrom(0, 0.01, 1),
        }),
        ({ channels, rows, blockRows, lanes, seed, escapes }) => {
          const format = formatOf(channels, { blockRows, lanes });
          const symbols = draw(rows, format, seed, escapes);
          const blocks = new BlockCoder(format);
          const { bytes } = blocks.encodeSync(symbols);
          expect(blocks.decodeSync(bytes, { as: 'symbols' })).toEqual(symbols);
          expect(
            blocks.decodeSync(blocks.encodeSync(Float32Array.from(symbols)).bytes, { as: 'symbols' }),
          ).toEqual(symbols);
        },
      ),
    );
  });
});

describe('lanes', () => {
  it('keep blocks within 1% and 0.1 bit a row of the ideal', () => {
    for (const entries of [2, 20])
      for (const channels of [1, 30]) {
        const frequencies = entries === 2 ? [64000, 1536] : bellFrequencies(20, 1.5);
        const tables = tablesOf([frequencies], [0]);
        const probe = formatOf(channels, { tables, tableIndex: new Int32Array(channels), blockRows: 4096 });
        const symbols = draw(3 * 4096, probe, 11, 0);
        const { idealBits } = new BlockCoder(probe).encodeSync(symbols);
        const rows = 3 * 4096;
        const lanes = chooseLanes(idealBits / rows, 4096);
        const { bytes } = new BlockCoder({ ...probe, lanes }).encodeSync(symbols);
        expect(8 * bytes.length).toBeLessThanOrEqual(1.01 * idealBits + 0.1 * rows);
        expect(8 * bytes.length).toBeGreaterThan(idealBits);
      }
    expect(chooseLanes(1500, 4096)).toBe(32);
    expect(chooseLanes(2.3, 4096)).toBe(16);
    expect(chooseLanes(2.3, 1)).toBe(1);
    expect(() => chooseLanes(Number.NaN, 4096)).toThrow(/bitsPerRow/);
  });
});

describe('CRC-32C', () => {
  it('has its check value and goes on from a seed', () => {
    const bytes = new TextEncoder().encode('123456789');
    expect(crc32c(bytes)).toBe(0xe3069283);
    for (let i = 0; i <= 9; ++i)
      expect(crc32c(bytes.subarray(i), crc32c(bytes.subarray(0, i)))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(0))).toBe(0);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  });
});

describe('block coders with memory that is there', () => {
  it('decode into memory that is there, also a part of a larger array', async () => {
    const format = formatOf(7);
    const coder = new BlockCoder(format);
    const symbols = draw(250, format, 5);
    const values = Float32Array.from(symbols);
    const { bytes } = await coder.encode(values);
    const large = new Float32Array(values.length + 20).fill(-7);
    const out = large.subarray(10, 10 + values.length);
    expect(await coder.decode(bytes, { out })).toBe(out);
    expect(out).toEqual(values);
    for (const edge of [large.subarray(0, 10), large.subarray(10 + values.length)])
      expect(edge).toEqual(new Float32Array(10).fill(-7));
    out.fill(0);
    expect(coder.decodeSync(bytes, { out })).toBe(out);
    expect(out).toEqual(values);
    const ints = new Int32Array(values.length);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(await coder.decode(shifted.subarray(3), { as: 'symbols', out: ints })).toBe(ints);
    expect(ints).toEqual(symbols);
  });

  it('refuse memory of another size or kind', async () => {
    const format = formatOf(3);
    const coder = new BlockCoder(format);
    const { bytes } = coder.encodeSync(new Float32Array(30));
    for (const size of [0, 29, 31]) {
      const wanted = `out: expected 30 values, received ${size}`;
      expect(() => coder.decodeSync(bytes, { out: new Float32Array(size) })).toThrow(wanted);
      await expect(coder.decode(bytes, { out: new Float32Array(size) })).rejects.toThrow(wanted);
    }
    expect(() => coder.decodeSync(bytes, { out: new Int32Array(30) as never })).toThrow(
      /out: expected a Float32Array/,
    );
    expect(() => coder.decodeSync(bytes, { as: 'symbols', out: new Float32Array(30) as never })).toThrow(
      /out: expected an Int32Array/,
    );
    expect(() => coder.encodeSync(new Float32Array(30), { out: [] as never })).toThrow(
      /out: expected a Uint8/,
    );
  });

  it('encode to exact memory of the caller, or into memory that is there', async () => {
    const format = formatOf(64, { blockRows: 512 });
    const coder = new BlockCoder(format);
    const symbols = draw(20_000, format, 9);
    const other = draw(20_000, format, 10);
    const expected = coder.encodeSync(symbols);
    expect(expected.bytes.length).toBeGreaterThan(2 ** 18); // so large that it is copied on the native thread
    const coded = await coder.encode(symbols);
    expect(coded.bytes.buffer.byteLength).toBe(coded.bytes.length);
    const out = new Uint8Array(expected.bytes.length + 5).fill(99);
    for (const make of [coder.encodeSync.bind(coder), coder.encode.bind(coder)]) {
      const { bytes } = await make(symbols, { out });
      expect(bytes.buffer).toBe(out.buffer);
      expect(Buffer.compare(bytes, expected.bytes)).toBe(0);
      const small = await make(symbols, { out: new Uint8Array(expected.bytes.length - 1) });
      expect(small.bytes.buffer.byteLength).toBe(expected.bytes.length);
      expect(Buffer.compare(small.bytes, expected.bytes)).toBe(0);
    }
    // What was returned stays as it is when the coder goes on.
    await Promise.all([coder.encode(other), coder.encode(other), coder.encode(symbols)]);
    expect(Buffer.compare(coded.bytes, expected.bytes)).toBe(0);
    expect(coded.sectionBytes.reduce((sum, size) => sum + size, 0)).toBe(coded.bytes.length);
  });

  it('count the values before the first that cannot be coded', () => {
    const step = Float32Array.of(0.5, 2, 1e-3);
    const coder = new BlockCoder(formatOf(3, { step }));
    fc.assert(
      fc.property(
        fc.nat(1999),
        fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -3e38, 2 ** 31, 1.1e6, 0),
        (row, bad) => {
          for (let channel = 0; channel < 3; channel++) {
            const rows = new Float32Array(6000).map((_, i) => i - 3000);
            rows[3 * row + channel] = bad;
            const refused = !(Math.abs(bad / step[channel]!) < 2 ** 30);
            const copy = new Float32Array(6000);
            const valid = coder.countValid(rows, copy);
            expect(valid).toBe(refused ? 3 * row + channel : 6000);
            expect(coder.countValid(rows)).toBe(valid);
            expect(copy.subarray(0, valid)).toEqual(rows.subarray(0, valid));
            if (refused)
              expect(() => coder.encodeSync(rows)).toThrow(`row ${row}, channel ${channel}: expected`);
            else expect(coder.encodeSync(rows).bytes.length).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 40 },
    );
    const symbols = new Int32Array(3000);
    expect(coder.countValid(symbols)).toBe(3000);
    for (const far of [2 ** 30, -(2 ** 30), -(2 ** 31), 2 ** 31 - 1]) {
      symbols[1234] = far;
      expect(coder.countValid(symbols)).toBe(1234);
    }
    expect(() => coder.countValid(symbols, new Int32Array(2999))).toThrow(
      /copy: expected 3000 values of the kind/,
    );
  });
});
