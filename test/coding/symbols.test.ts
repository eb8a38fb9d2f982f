import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BinceError, decode, decodeSync, encode, encodeSync } from '../../lib/kernels/index.js';
import { bellFrequencies, tablesOf } from './golden.js';

const tables = tablesOf(
  [bellFrequencies(5, 1), bellFrequencies(20, 2), bellFrequencies(300, 40), [65535, 1], [1, 65535]],
  [-2, -9, -150, 0, 4],
);

describe('plain arrays', () => {
  it('come back from both coders, with a table for each symbol', async () => {
    const indexes = Int32Array.from({ length: 5000 }, (_, i) => (i * i) % 5);
    const symbols = Int32Array.from(indexes, (t, i) =>
      i % 97 === 0 ? i * 77777 : tables.offset[t]! + (i % 2),
    );
    for (const coder of ['rans', 'range'] as const) {
      const options = { tables, indexes, coder };
      const bytes = await encode(symbols, options);
      expect(bytes).toEqual(encodeSync(symbols, options));
      expect(await decode(bytes, { ...options, count: 5000 })).toEqual(symbols);
      expect(decodeSync(bytes, { ...options, count: 5000 })).toEqual(symbols);
    }
  });

  it('are rows of all tables without indexes', () => {
    const symbols = Int32Array.from({ length: 35 }, (_, i) => tables.offset[i % 5]!);
    const bytes = encodeSync(symbols, { tables });
    expect(decodeSync(bytes, { tables, count: 35 })).toEqual(symbols);
    expect(() => encodeSync(symbols.subarray(1), { tables })).toThrow(
      /symbols: expected a multiple of the 5 tables/,
    );
  });

  it('may be empty', async () => {
    for (const coder of ['rans', 'range'] as const) {
      const bytes = await encode(new Int32Array(0), { tables, coder });
      expect(await decode(bytes, { tables, coder, count: 0 })).toEqual(new Int32Array(0));
      expect(() => decodeSync(new Uint8Array(0), { tables, coder, count: 5 })).toThrow(
        expect.objectContaining({ code: 'BINCE_CORRUPT_DATA' }),
      );
    }
  });

  it('that were cut, or are decoded to another count, are refused', () => {
    const symbols = Int32Array.from({ length: 500 }, (_, i) => tables.offset[i % 5]! + (i % 3 === 0 ? 1 : 0));
    for (const coder of ['rans', 'range'] as const) {
      const bytes = encodeSync(symbols, { tables, coder });
      for (const [cut, count] of [
        [bytes.subarray(0, bytes.length - 1), 500],
        [bytes.subarray(0, bytes.length - 2), 500],
        [Uint8Array.from([...bytes, 0, 0]), 500],
        [bytes, 250],
        [bytes, 1000],
      ] as const)
        expect(() => decodeSync(cut, { tables, coder, count })).toThrow(BinceError);
    }
  });

  it('name wrong arguments', async () => {
    const symbols = new Int32Array(3);
    await expect(encode([0] as never, { tables })).rejects.toThrow(/symbols: expected an Int32Array/);
    await expect(encode(symbols, { tables, indexes: new Int32Array(2) })).rejects.toThrow(
      /indexes: expected 3/,
    );
    await expect(encode(symbols, { tables, indexes: Int32Array.from([0, 5, 0]) })).rejects.toThrow(
      /number 1/,
    );
    await expect(encode(symbols, { tables, coder: 'huffman' as never })).rejects.toThrow(/coder/);
    await expect(encode(symbols, { tables: undefined as never })).rejects.toThrow(BinceError);
    await expect(decode(new Uint8Array(4), { tables, count: -1 })).rejects.toThrow(/count/);
  });

  it('bring any symbols back (property)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(4), fc.oneof(fc.integer({ min: -10, max: 10 }), fc.integer())), {
          maxLength: 200,
        }),
        fc.constantFrom('rans' as const, 'range' as const),
        fc.constantFrom(1 as const, 8 as const, 32 as const),
        (cells, coder, lanes) => {
          const indexes = Int32Array.from(cells, ([t]) => t);
          const symbols = Int32Array.from(cells, ([, s]) => s);
          const options = { tables, indexes, coder, ...(coder === 'rans' ? { lanes } : {}) };
          expect(decodeSync(encodeSync(symbols, options), { ...options, count: symbols.length })).toEqual(
            symbols,
          );
        },
      ),
    );
  });
});
