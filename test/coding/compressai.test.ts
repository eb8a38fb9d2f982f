import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BinceError,
  compressai,
  gaussianIndexes,
  gaussianTables,
  scaleTable,
} from '../../lib/kernels/index.js';
import { type GoldenArray, goldenBytes, goldenCases, hex, readNpy, tablesOf, unpadTables } from './golden.js';

const example = {
  tables: {
    cdf: Int32Array.from([
      0, 32, 1342, 14448, 50492, 63598, 65524, 65525, 65536, 0, 62086, 65534, 65535, 65536,
    ]),
    start: Int32Array.from([0, 9, 14]),
    offset: Int32Array.from([-3, -1]),
  },
  indexes: Int32Array.from({ length: 16 }, (_, i) => i % 2),
  symbols: Int32Array.from([0, 0, -2, 1, 5, 0, -9, 1, 3, 0, 100, 2, 0, -1, 123456, 0]),
  hex: 'ad401d0a03000000d802adfc21b0f906ebff4fffd2f30a81ffff206485473ca6',
};

interface StringsCase {
  name: string;
  inputs: {
    symbols: GoldenArray;
    channels: number;
    quantized_cdf: GoldenArray;
    cdf_length: GoldenArray;
    offset: GoldenArray;
  };
  expected: { strings_hex: string[] };
}

interface GaussianCase {
  name: string;
  inputs: { y: GoldenArray; scales: GoldenArray; means: GoldenArray; scale_table: GoldenArray };
  expected: { indexes: GoldenArray; strings_hex: string[]; decoded: GoldenArray };
}

describe('CompressAI strings', () => {
  it('are those of the worked example', () => {
    const { tables, indexes, symbols } = example;
    const strings = compressai.encodeSync(symbols, { tables, indexes });
    expect(strings.map(hex)).toEqual([example.hex]);
    expect(compressai.decodeSync(strings, { tables, indexes })).toEqual(symbols);
  });

  it('are those of the original for an entropy bottleneck', async () => {
    for (const { inputs, expected } of goldenCases<StringsCase>('compressai_strings.json')) {
      if (!inputs.symbols) continue;
      const tables = unpadTables(
        inputs.quantized_cdf.data,
        inputs.quantized_cdf.shape[1]!,
        inputs.cdf_length.data,
        inputs.offset.data,
      );
      const [rows, C, L] = inputs.symbols.shape as [number, number, number];
      const indexes = Int32Array.from({ length: C * L }, (_, i) => Math.floor(i / L));
      const symbols = Int32Array.from(inputs.symbols.data);
      const strings = await compressai.encode(symbols, { tables, indexes, rows });
      expect(strings.map(hex)).toEqual(expected.strings_hex);
      expect(await compressai.decode(strings, { tables, indexes })).toEqual(symbols);
    }
  });

  it('are those of the original for a Gaussian conditional, from its scales on', async () => {
    const { inputs, expected } = goldenCases<GaussianCase>('compressai_strings.json').find(
      (golden): golden is GaussianCase => golden.name.startsWith('gaussian_conditional'),
    )!;
    const scales = scaleTable();
    // The original computes them in float32.
    for (const [i, scale] of inputs.scale_table.data.entries())
      expect(Math.abs(scales[i]! / scale - 1)).toBeLessThan(4e-7);
    const indexes = gaussianIndexes(Float32Array.from(inputs.scales.data), scales);
    expect(indexes).toEqual(Int32Array.from(expected.indexes.data));
    const tables = gaussianTables(scales);
    const symbols = Int32Array.from(inputs.y.data, (y, i) => Math.round(y - inputs.means.data[i]!));
    const rows = inputs.y.shape[0]!;
    const strings = await compressai.encode(symbols, { tables, indexes, rows });
    expect(strings.map(hex)).toEqual(expected.strings_hex);
    const decoded = await compressai.decode(strings, { tables, indexes, length: symbols.length / rows });
    expect(decoded).toEqual(symbols);
    const values = Float32Array.from(decoded, (symbol, i) => symbol + inputs.means.data[i]!);
    expect(values).toEqual(Float32Array.from(expected.decoded.data));
  });

  it('are those of a released model', () => {
    const folder = 'clip_bottleneck_b005/';
    const cdf = readNpy(`${folder}cdf.npy`);
    const tables = unpadTables(
      cdf.data,
      cdf.shape[1]!,
      readNpy(`${folder}cdf_length.npy`).data,
      readNpy(`${folder}offset.npy`).data,
    );
    const symbols = readNpy(`${folder}golden_symbols.npy`);
    const rows = symbols.shape[0]!;
    const indexes = Int32Array.from({ length: symbols.shape[1]! }, (_, i) => i);
    const strings = compressai.encodeSync(symbols.data, { tables, indexes, rows });
    const golden = goldenBytes(`${folder}golden_strings.bin`);
    const view = new DataView(golden.buffer);
    let at = 4;
    expect(strings.length).toBe(view.getUint32(0, true));
    for (const string of strings) {
      expect(string.length).toBe(view.getUint32(at, true));
      expect(hex(string)).toBe(hex(golden.subarray(at + 4, at + 4 + string.length)));
      at += 4 + string.length;
    }
    expect(compressai.decodeSync(strings, { tables, indexes })).toEqual(symbols.data);
  });

  it('hold no symbols, one row or none', () => {
    const { tables } = example;
    const indexes = new Int32Array(0);
    const strings = compressai.encodeSync(new Int32Array(0), { tables, indexes, rows: 3 });
    expect(strings.map(hex)).toEqual(Array(3).fill('0000008000000000'));
    expect(compressai.decodeSync(strings, { tables, indexes })).toEqual(new Int32Array(0));
    expect(compressai.encodeSync(new Int32Array(0), { tables, indexes: example.indexes, rows: 0 })).toEqual(
      [],
    );
    expect(compressai.decodeSync([], { tables, indexes: example.indexes })).toEqual(new Int32Array(0));
  });

  it('go to an array of the caller, from strings that lie apart or one behind the other', async () => {
    const { tables, indexes, symbols } = example;
    const rows = 19;
    const all = Int32Array.from({ length: rows * 16 }, (_, i) => symbols[i % 16]!);
    const options = { tables, indexes, rows };
    const together = compressai.encodeSync(all, options);
    const apart = together.map((string) => string.slice());
    for (const strings of [together, apart, [...apart.slice(0, 9), ...together.slice(9)]]) {
      const room = new Int32Array(rows * 16 + 2).fill(-7);
      const out = room.subarray(1, rows * 16 + 1);
      expect(compressai.decodeSync(strings, { tables, indexes, out })).toBe(out);
      expect(out).toEqual(all);
      out.fill(-7);
      expect(await compressai.decode(strings, { tables, indexes, out })).toBe(out);
      expect(out).toEqual(all);
      expect([room[0], room.at(-1)]).toEqual([-7, -7]);
    }
    const reversed = together.toReversed();
    expect(compressai.decodeSync(reversed, { tables, indexes })).toEqual(all);
    for (const out of [new Int32Array(rows * 16 - 1), new Float32Array(rows * 16)] as Int32Array[])
      expect(() => compressai.decodeSync(together, { tables, indexes, out })).toThrow(/^out: /);
  });

  it('refuse what the original hangs on, naming it', () => {
    const tables = tablesOf([[40000, 25536]], [0]);
    const indexes = new Int32Array(2);
    const most = 1 + (2 ** 28 - 2) / 2; // raw = 2^28 - 2
    const fits = Int32Array.from([most, -(2 ** 27)]); // raw = 2^28 - 1
    const strings = compressai.encodeSync(fits, { tables, indexes });
    expect(compressai.decodeSync(strings, { tables, indexes })).toEqual(fits);
    expect(() =>
      compressai.encodeSync(Int32Array.from([0, 0, 0, most + 1]), { tables, indexes, rows: 2 }),
    ).toThrow(/string 1, symbol 1/);
    for (const symbol of [-(2 ** 31), 2 ** 31 - 1, -(2 ** 27) - 1])
      expect(() => compressai.encodeSync(Int32Array.from([symbol, 0]), { tables, indexes })).toThrow(
        expect.objectContaining({ code: 'BINCE_INVALID_VALUE' }),
      );
  });

  it('are checked to their end', () => {
    const { tables, indexes } = example;
    const bytes = Uint8Array.from(Buffer.from(example.hex, 'hex'));
    const damaged = (string: Uint8Array) => () => compressai.decodeSync([bytes, string], { tables, indexes });
    const corrupt = expect.objectContaining({
      code: 'BINCE_CORRUPT_DATA',
      message: expect.stringContaining('string 1'),
    });
    for (let length = 0; length < bytes.length; ++length)
      expect(damaged(bytes.subarray(0, length))).toThrow(corrupt);
    expect(damaged(Uint8Array.from([...bytes, 0, 0, 0, 0]))).toThrow(corrupt);
    for (let bit = 0; bit < 8 * bytes.length; ++bit) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      // There is no checksum: what is not refused must be the string of other symbols.
      try {
        const symbols = compressai.decodeSync([bytes, flipped], { tables, indexes });
        expect(compressai.encodeSync(symbols, { tables, indexes, rows: 2 })[1]).toEqual(flipped);
      } catch (error) {
        if (!(error instanceof BinceError)) throw error;
        expect(error).toEqual(corrupt);
      }
    }
  });

  it('name wrong arguments', () => {
    const { tables, indexes, symbols } = example;
    expect(() => compressai.encodeSync(symbols, { tables, indexes, rows: 3 })).toThrow(
      /symbols: expected 3 rows/,
    );
    expect(() => compressai.encodeSync(symbols, { tables, indexes: indexes.subarray(1) })).toThrow(/indexes/);
    expect(() => compressai.encodeSync(symbols, { tables, indexes: indexes.map((i) => i + 1) })).toThrow(
      /indexes: number 1: expected 0 to 1, received 2/,
    );
    expect(() => compressai.decodeSync([symbols as never], { tables, indexes })).toThrow(/strings\[0\]/);
  });

  it('bring back any symbols, whatever the number of strings', () => {
    const tables = tablesOf(
      [
        [65535, 1],
        [1, 65535],
        [100, 200, 65236],
        [30000, 30000, 5000, 536],
      ],
      [0, -5, 7, -1],
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.tuple(fc.integer({ min: -20, max: 20 }), fc.nat(3)), { maxLength: 40 }),
        fc.boolean(),
        (rows, cells, own) => {
          const symbols = Int32Array.from(
            { length: rows * cells.length },
            (_, i) => cells[i % cells.length]![0] + (i % 3),
          );
          const indexes = Int32Array.from(
            { length: own ? symbols.length : cells.length },
            (_, i) => cells[i % cells.length]![1],
          );
          const strings = compressai.encodeSync(symbols, { tables, indexes, rows });
          expect(compressai.decodeSync(strings, { tables, indexes, length: cells.length })).toEqual(symbols);
        },
      ),
    );
  });
});

describe('CompressAI state dictionaries', () => {
  const bytes = readFileSync(
    new URL('../golden/clip_bottleneck_b005/factorized_rate.safetensors', import.meta.url),
  );
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString('utf8'));
  const old: Record<string, { shape: number[]; data: Float32Array | Int32Array }> = {};
  for (const [name, entry] of Object.entries<{ shape: number[]; data_offsets: [number, number] }>(header)) {
    if (name === '__metadata__') continue;
    const [begin, end] = entry.data_offsets;
    old[name] = {
      shape: entry.shape,
      data: new Float32Array(
        new Uint8Array(bytes.subarray(8 + headerBytes + begin, 8 + headerBytes + end)).buffer,
      ),
    };
  }

  it('are read under their old names', () => {
    const state = compressai.importStateDict(old);
    expect(state.channels).toBe(512);
    expect(state.tables).toBeUndefined();
    expect(state.parameters.widths).toEqual([1, 3, 3, 3, 3, 1]);
    expect(state.parameters.matrices.map((m) => m.length / 512)).toEqual([3, 9, 9, 9, 3]);
    expect(state.parameters.factors.length).toBe(4);
    expect(state.medians[7]).toBe(state.quantiles[22]);
    expect(state.scaling?.length).toBe(512);
    expect(state.biasing?.length).toBe(512);
  });

  it('are read under their new names, with the stored tables kept', () => {
    const cdf = readNpy('clip_bottleneck_b005/cdf.npy');
    const length = readNpy('clip_bottleneck_b005/cdf_length.npy');
    const offset = readNpy('clip_bottleneck_b005/offset.npy');
    const renamed: typeof old = {};
    for (const [name, tensor] of Object.entries(old))
      renamed[
        name
          .replace('eb.', 'entropy_bottleneck.')
          .replace(/_matrix(\d)/, 'matrices.$1')
          .replace(/_bias(\d)/, 'biases.$1')
          .replace(/_factor(\d)/, 'factors.$1')
      ] = tensor;
    renamed['entropy_bottleneck._quantized_cdf'] = cdf;
    renamed['entropy_bottleneck._cdf_length'] = length;
    renamed['entropy_bottleneck._offset'] = offset;
    const state = compressai.importStateDict(renamed, { prefix: 'entropy_bottleneck' });
    expect(state.tables).toEqual(unpadTables(cdf.data, cdf.shape[1]!, length.data, offset.data));
    expect(state.parameters).toEqual(compressai.importStateDict(old).parameters);
  });

  it('say what is missing or wrong', () => {
    const { 'eb._bias2': _, ...without } = old;
    expect(() => compressai.importStateDict(without)).toThrow(/bias 2: expected a tensor/);
    expect(() => compressai.importStateDict({})).toThrow(/no entropy bottleneck/);
    expect(() => compressai.importStateDict({ ...old, 'z.quantiles': old['eb.quantiles']! })).toThrow(
      /several/,
    );
    expect(() =>
      compressai.importStateDict({ ...old, 'eb._matrix1': { shape: [512, 3], data: [] } }),
    ).toThrow(/eb._matrix1: expected shape \[512, any, 3\]/);
  });
});
