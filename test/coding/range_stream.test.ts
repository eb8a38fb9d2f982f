import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSync, RangeDecoder, RangeEncoder } from '../../lib/kernels/index.js';
import { bellFrequencies, tablesOf } from './golden.js';

const tables = tablesOf(
  [bellFrequencies(5, 1), bellFrequencies(20, 2), bellFrequencies(300, 40), [65535, 1]],
  [-2, -9, -150, 0],
);

describe('the range coder symbol by symbol', () => {
  it('lets each symbol choose the table of the next', () => {
    const encoder = new RangeEncoder(tables);
    const symbols = Array.from({ length: 10_000 }, (_, i) => ((i * i) % 7) - 3);
    let table = 0;
    for (const symbol of symbols) {
      encoder.put(table, symbol);
      table = (symbol + 3) % 4;
    }
    const decoder = new RangeDecoder(tables, encoder.finish());
    table = 0;
    for (const symbol of symbols) {
      const decoded = decoder.get(table);
      expect(decoded).toBe(symbol);
      table = (decoded + 3) % 4;
    }
    decoder.finish();
  });

  it('writes the bytes of whole arrays (property)', () => {
    const symbol = fc.oneof(
      fc.integer({ min: -10, max: 10 }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), symbol), { maxLength: 300 }), (cells) => {
        const encoder = new RangeEncoder(tables);
        for (const [table, value] of cells) encoder.put(table, value);
        const bytes = encoder.finish();
        const indexes = Int32Array.from(cells, ([table]) => table);
        const symbols = Int32Array.from(cells, ([, value]) => value);
        expect(bytes).toEqual(encodeSync(symbols, { tables, indexes, coder: 'range' }));
        const decoder = new RangeDecoder(tables, bytes);
        for (const [table, value] of cells) expect(decoder.get(table)).toBe(value);
        decoder.finish();
      }),
    );
  });

  it('decodes a copy of the bytes', () => {
    const encoder = new RangeEncoder(tables);
    for (let i = 0; i < 100; i++) encoder.put(1, (i % 5) - 2);
    const bytes = encoder.finish();
    const decoder = new RangeDecoder(tables, bytes);
    bytes.fill(0);
    for (let i = 0; i < 100; i++) expect(decoder.get(1)).toBe((i % 5) - 2);
  });

  it('refuses what does not end where its symbols end', () => {
    const corrupt = expect.objectContaining({ code: 'BINCE_CORRUPT_DATA' });
    const encoder = new RangeEncoder(tables);
    for (let i = 0; i < 100; i++) encoder.put(2, i);
    const bytes = encoder.finish();
    const some = new RangeDecoder(tables, bytes);
    some.get(2);
    expect(() => some.finish()).toThrow(corrupt);
    const cut = new RangeDecoder(tables, bytes.subarray(0, 20));
    expect(() => {
      for (let i = 0; i < 100; i++) cut.get(2);
    }).toThrow(corrupt);
    expect(() => new RangeDecoder(tables, new Uint8Array(0)).finish()).toThrow(corrupt);
  });

  it('names wrong arguments', () => {
    const encoder = new RangeEncoder(tables);
    expect(() => encoder.put(4, 0)).toThrow(/^table: expected an integer from 0 to 3, received 4/);
    expect(() => encoder.put(-1, 0)).toThrow(/^table/);
    expect(() => encoder.put(0, 0.5)).toThrow(/^symbol: expected an integer of 32 bits, received 0.5/);
    expect(() => encoder.put(0, 2 ** 31)).toThrow(/^symbol/);
    encoder.finish();
    expect(() => encoder.put(0, 0)).toThrow(/^encoder: expected one that was not finished/);
    expect(() => new RangeDecoder(tables, [] as never)).toThrow(/^bytes/);
    expect(() => new RangeEncoder(undefined as never)).toThrow(/^tables/);
  });
});
