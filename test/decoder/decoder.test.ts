import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../lib/decoder/crc32c.js';
import { BinceFile, decodeFile } from '../../lib/decoder/index.js';
import { random, randomSymbols, randomTables } from '../codec/random_files.js';
import { encodeFile, type ReferenceFormat, slowCrc32c } from '../codec/reference_encoder.js';

function formatOf(seed: number, fields: Partial<ReferenceFormat>): ReferenceFormat {
  const channels = fields.channels ?? 3;
  const tableIndex = fields.tableIndex;
  const tableCount = tableIndex ? Math.max(...tableIndex) + 1 : channels;
  return {
    tables: randomTables(random(seed), tableCount, 40),
    channels,
    blockRows: 8,
    lanes: 4,
    coder: 'rans',
    dtype: 0,
    ...fields,
  };
}

describe('crc32c', () => {
  it('gives the check value of CRC-32C', () => {
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  });

  it('equals the bitwise form and can be continued, at any length', () => {
    const next = random(1);
    for (const length of [0, 1, 7, 8, 9, 15, 16, 17, 31, 100]) {
      const bytes = Uint8Array.from({ length }, () => next() * 256);
      const cut = Math.floor(next() * (length + 1));
      expect(crc32c(bytes)).toBe(slowCrc32c(bytes));
      expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(slowCrc32c(bytes));
    }
  });
});

describe('the TypeScript decoder', () => {
  it('reads what the reference encoder wrote, for any shape', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.integer(),
          channels: fc.integer({ min: 1, max: 9 }),
          blockRows: fc.integer({ min: 1, max: 70 }),
          lanes: fc.constantFrom(1, 2, 4, 8, 16, 32),
          rows: fc.array(fc.integer({ min: 0, max: 150 }), { minLength: 1, maxLength: 3 }),
          coder: fc.constantFrom('rans' as const, 'range' as const),
          shared: fc.boolean(),
        }),
        async ({ seed, channels, blockRows, lanes, rows, coder, shared }) => {
          const next = random(seed);
          const tableIndex = Int32Array.from({ length: channels }, (_, c) => c % 2);
          const format = formatOf(seed, {
            channels,
            blockRows,
            coder,
            lanes: coder === 'rans' ? lanes : 1,
            ...(shared ? { tableIndex } : {}),
          });
          const parts = rows.map((count) => randomSymbols(next, format, count));
          const expected = parts.flatMap((part) => Array.from(part));
          const bytes = encodeFile(format, parts);
          const decoded = decodeFile(bytes);
          expect(Array.from(decoded.data)).toEqual(expected);
          const file = await BinceFile.open(new Blob([bytes as Uint8Array<ArrayBuffer>]));
          expect(file.length).toBe(expected.length / channels);
          const begin = Math.floor(next() * (file.length + 1));
          const end = begin + Math.floor(next() * (file.length + 1 - begin));
          expect(Array.from(await file.rows(begin, end))).toEqual(
            expected.slice(begin * channels, end * channels),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it('turns symbols into values with float32 rounding at each operation', () => {
    const next = random(5);
    const scalars = (scale: number, add = 0) =>
      Float32Array.from({ length: 3 }, () => add + scale * (next() - 0.5));
    const format = formatOf(5, { median: scalars(1), step: scalars(0.5, 0.7), shift: scalars(30), dtype: 1 });
    const symbols = randomSymbols(next, format, 50);
    const { data } = decodeFile(encodeFile(format, [symbols]));
    const f = Math.fround;
    symbols.forEach((symbol, i) => {
      const c = i % 3;
      const expected = f(f(f(f(symbol) + format.median![c]!) * format.step![c]!) + format.shift![c]!);
      expect(Object.is(data[i], expected)).toBe(true);
    });
    expect(data).toBeInstanceOf(Float32Array);
    expect(decodeFile(encodeFile(format, [symbols]), { as: 'symbols' }).data).toEqual(symbols);
  });

  it('reads a file without rows', () => {
    const decoded = decodeFile(encodeFile(formatOf(1, {}), [[]]));
    expect(decoded.rows).toBe(0);
    expect(decoded.data.length).toBe(0);
  });

  it('reads tables of 65536 entries and of two', () => {
    const cdf = Int32Array.from({ length: 65537 }, (_, i) => i);
    const tables = {
      cdf: Int32Array.from([...cdf, 0, 65535, 65536]),
      start: Int32Array.of(0, 65537, 65540),
      offset: Int32Array.of(-30000, 7),
    };
    for (const coder of ['rans', 'range'] as const) {
      const format: ReferenceFormat = {
        tables,
        channels: 2,
        blockRows: 64,
        lanes: coder === 'rans' ? 8 : 1,
        coder,
        dtype: 0,
      };
      const next = random(3);
      const symbols = Int32Array.from({ length: 400 }, (_, i) =>
        i % 2 ? 7 : Math.floor(next() * 65535) - 30000,
      );
      symbols[7] = 12345;
      expect(decodeFile(encodeFile(format, [symbols])).data).toEqual(symbols);
    }
  });
});
