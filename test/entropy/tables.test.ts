import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildTables,
  buildTablesSync,
  factorizedForwardSync,
  gaussianTables,
  initFactorizedParameters,
  packFactorizedParameters,
  pmfToCdf,
  scaleTable,
  solveQuantilesSync,
} from '../../lib/kernels/index.js';
import type { CdfTables } from '../../lib/kernels/tables.js';
import { array, floats, goldenCases, layerArrays } from './golden.js';
import { int32Npy, safetensors } from './npy.js';

const cases = goldenCases('cdf_tables');

function table(tables: CdfTables, t: number): Int32Array {
  return tables.cdf.subarray(tables.start[t]!, tables.start[t + 1]!);
}

/** Largest difference of two cumulative tables of the same length. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
}

function expectValid(cdf: Int32Array): void {
  expect(cdf[0]).toBe(0);
  expect(cdf.at(-1)).toBe(65536);
  for (let i = 1; i < cdf.length; i++) expect(cdf[i]! - cdf[i - 1]!).toBeGreaterThan(0);
}

describe('pmfToCdf', () => {
  it.each(cases.filter(({ name }) => name.startsWith('pmf_to_cdf')))(
    'gives the integers of $name',
    (golden) => {
      expect([...pmfToCdf(floats(golden.inputs['pmf']))]).toEqual(golden.expected['cdf']);
    },
  );

  /** The rule as FORMATS tells it: one donor a zero, found anew each time. */
  function plainly(pmf: Float32Array): number[] {
    const rounded = [...pmf].map((p) => Math.round(Math.fround(p * 65536)));
    const sum = rounded.reduce((a, b) => a + b, 0);
    const cdf = [0];
    for (const q of rounded) cdf.push(cdf.at(-1)! + Math.floor((65536 * q) / sum));
    cdf[pmf.length] = 65536;
    for (let i = 0; i < pmf.length; i++) {
      if (cdf[i] !== cdf[i + 1]) continue;
      let donor = -1;
      let least = Number.POSITIVE_INFINITY;
      for (let j = 0; j < pmf.length; j++) {
        const frequency = cdf[j + 1]! - cdf[j]!;
        if (frequency > 1 && frequency < least) [donor, least] = [j, frequency];
      }
      if (donor < i) for (let k = donor + 1; k <= i; k++) cdf[k]!--;
      else for (let k = i + 1; k <= donor; k++) cdf[k]!++;
    }
    return cdf;
  }

  it('agrees with the rule told plainly, on any pmf', () => {
    const entry = fc.oneof(fc.constant(0), fc.float({ min: 0, max: 1, noNaN: true }), fc.constant(2 ** -17));
    fc.assert(
      fc.property(fc.array(entry, { minLength: 2, maxLength: 300 }), (entries) => {
        fc.pre(entries.some((p) => p >= 2 ** -16));
        const pmf = Float32Array.from(entries);
        expect([...pmfToCdf(pmf)]).toEqual(plainly(pmf));
      }),
      { numRuns: 200 },
    );
  });

  it('serves as many entries as there are frequencies', () => {
    const pmf = new Float32Array(65536);
    pmf[3] = 1;
    const cdf = pmfToCdf(pmf);
    expectValid(cdf);
    expect(() => pmfToCdf(new Float32Array(65537).fill(1))).toThrow(/2 to 65536 entries, received 65537/);
  });

  it('refuses what is no pmf', () => {
    expect(() => pmfToCdf(Float32Array.of(0.5, -0.1))).toThrow(/received -0.1 at entry 1/);
    expect(() => pmfToCdf(Float32Array.of(Number.NaN, 1))).toThrow(/entry 0/);
    expect(() => pmfToCdf(Float32Array.of(Number.POSITIVE_INFINITY, 1))).toThrow(/entry 0/);
    expect(() => pmfToCdf(Float32Array.of(0, 0))).toThrow(/positive sum/);
    expect(() => pmfToCdf(Float32Array.of(1))).toThrow(/received 1/);
    expect(() => pmfToCdf([1, 2] as unknown as Float32Array)).toThrow(/Float32Array/);
  });
});

describe('buildTables', () => {
  it.each(cases.filter(({ name }) => name.startsWith('update')))(
    'rebuilds $name of CompressAI',
    async (golden) => {
      const lengths = golden.expected['cdf_length'] as number[] | { data: number[] };
      const channels = (Array.isArray(lengths) ? lengths : lengths.data).length;
      const numbers = (value: unknown) =>
        (Array.isArray(value) ? value.flat() : array(value).data) as number[];
      const options = {
        channels,
        parameters: packFactorizedParameters(channels, layerArrays(golden.inputs)),
        quantiles: floats(golden.inputs['quantiles']),
        tail: 'compressai',
      } as const;
      const tables = await buildTables(options);
      expect(buildTablesSync(options)).toEqual(tables);
      expect([...tables.offset]).toEqual(numbers(golden.expected['offset']));
      const cdf = numbers(golden.expected['quantized_cdf']);
      const width = cdf.length / channels;
      numbers(golden.expected['cdf_length']).forEach((length, c) => {
        expect(difference(table(tables, c), cdf.slice(c * width, c * width + length))).toBeLessThanOrEqual(2);
      });
    },
  );

  it('rebuilds the tables of a released model of 512 channels', () => {
    const tensors = safetensors('factorized_rate.safetensors');
    const list = (name: string, count: number) =>
      Array.from({ length: count }, (_, k) => tensors.get(`eb._${name}${k}`)!);
    const channels = 512;
    const parameters = packFactorizedParameters(channels, {
      matrices: list('matrix', 5),
      biases: list('bias', 5),
      factors: list('factor', 4),
    });
    const quantiles = tensors.get('eb.quantiles')!;
    const tables = buildTablesSync({ channels, parameters, quantiles, tail: 'compressai' });
    expect([...tables.offset]).toEqual([...int32Npy('offset.npy').data]);
    const cdf = int32Npy('cdf.npy');
    const width = cdf.shape[1]!;
    let exact = 0;
    int32Npy('cdf_length.npy').data.forEach((length, c) => {
      const worst = difference(table(tables, c), cdf.data.subarray(c * width, c * width + length));
      if (worst === 0) exact++;
      // The last bit of one probability may move the sum of the rounded pmf from T to T + 1, and with it every
      // entry by one count and the last by as many.
      expect(worst).toBeLessThan(length);
    });
    expect(exact).toBeGreaterThanOrEqual(505);
  });

  it('gives the escape what lies beyond its own last symbol', () => {
    const channels = 2;
    const parameters = initFactorizedParameters(channels, { seed: 5 });
    const quantiles = Float32Array.of(-3, 0, 3, -200, 0, 200);
    const own = buildTablesSync({ channels, parameters, quantiles });
    const theirs = buildTablesSync({ channels, parameters, quantiles, tail: 'compressai' });
    expectValid(table(own, 0));
    const escapeOf = (tables: CdfTables) => 65536 - table(tables, 0).at(-2)!;
    const { likelihood } = factorizedForwardSync(
      Float32Array.from({ length: 14 }, (_, i) => (i % 2 ? 0 : i / 2 - 3)),
      { channels, parameters, likelihood: true },
    );
    let inside = 0;
    for (let i = 0; i < 7; i++) inside += likelihood![2 * i]!;
    expect(escapeOf(own) / 65536).toBeCloseTo(1 - inside, 3);
    expect(escapeOf(theirs)).toBeLessThan(escapeOf(own));
  });

  it('serves solved quantiles, and refuses what no table can hold', () => {
    const channels = 3;
    const parameters = initFactorizedParameters(channels);
    const { quantiles } = solveQuantilesSync({ channels, parameters, tailMass: 1e-6 });
    const tables = buildTablesSync({ channels, parameters, quantiles });
    for (let c = 0; c < channels; c++) {
      expectValid(table(tables, c));
      expect(tables.offset[c]).toBeLessThan(0);
    }
    const wide = quantiles.slice();
    wide[5] = 1e7;
    expect(() => buildTablesSync({ channels, parameters, quantiles: wide })).toThrow(/channel 1 spans/);
    wide[5] = Number.NaN;
    expect(() => buildTablesSync({ channels, parameters, quantiles: wide })).toThrow(/channel 1, quantile 2/);
    const away = quantiles.map((q) => q + 1e6);
    expect(() => buildTablesSync({ channels, parameters, quantiles: away })).not.toThrow();
  });
});

describe('gaussianTables', () => {
  /** CompressAI's rANS strings, decoded by the words of the format: 64-bit state, 4-bit bypass. */
  function decode(hex: string, tables: CdfTables, indexes: readonly number[]): number[] {
    const bytes = Buffer.from(hex, 'hex');
    let at = 8;
    let x = bytes.readBigUInt64LE(0);
    const refill = () => {
      if (x < 1n << 31n) {
        x = (x << 32n) | BigInt(bytes.readUInt32LE(at));
        at += 4;
      }
    };
    const bypass = () => {
      const value = Number(x & 15n);
      x >>= 4n;
      refill();
      return value;
    };
    const symbols = indexes.map((index) => {
      const cdf = table(tables, index);
      const slot = Number(x & 0xffffn);
      const entry = cdf.findIndex((start) => start > slot) - 1;
      x = BigInt(cdf[entry + 1]! - cdf[entry]!) * (x >> 16n) + BigInt(slot - cdf[entry]!);
      refill();
      if (entry < cdf.length - 2) return entry + tables.offset[index]!;
      let count = 0;
      let token = 15;
      while (token === 15) {
        token = bypass();
        count += token;
      }
      let raw = 0;
      for (let i = 0; i < count; i++) raw += bypass() * 16 ** i;
      const value = raw % 2 ? -(raw + 1) / 2 : raw / 2 + cdf.length - 2;
      return value + tables.offset[index]!;
    });
    expect(x).toBe(1n << 31n);
    expect(at).toBe(bytes.length);
    return symbols;
  }

  it('decodes the strings that CompressAI wrote with its own', () => {
    const golden = goldenCases('compressai_strings').find(({ name }) => name.startsWith('gaussian'))!;
    const tables = gaussianTables(floats(golden.inputs['scale_table']));
    const indexes = array(golden.expected['indexes']).data;
    const means = array(golden.inputs['means']).data;
    const decoded = array(golden.expected['decoded']).data;
    const strings = golden.expected['strings_hex'] as string[];
    const each = indexes.length / strings.length;
    strings.forEach((hex, b) => {
      const symbols = decode(hex, tables, indexes.slice(b * each, (b + 1) * each));
      symbols.forEach((symbol, i) => {
        expect(symbol + means[b * each + i]!).toBeCloseTo(decoded[b * each + i]!, 4);
      });
    });
  });

  it('makes 64 log-spaced scales from 0.11 to 256, and valid tables of them', () => {
    const scales = scaleTable();
    expect(scales).toHaveLength(64);
    expect(scales[0]).toBeCloseTo(0.11, 6);
    expect(scales[63]).toBeCloseTo(256, 3);
    const golden = goldenCases('compressai_strings').find(({ name }) => name.startsWith('gaussian'))!;
    floats(golden.inputs['scale_table']).forEach((scale, i) => {
      expect(Math.abs(scales[i]! - scale)).toBeLessThan(1e-6 * scale);
    });
    const tables = gaussianTables(scales);
    for (let t = 0; t < 64; t++) expectValid(table(tables, t));
    expect(tables.offset[63]).toBe(-1565);
    expect(() => gaussianTables(Float32Array.of(0.5, -1))).toThrow(/entry 1 is -1/);
    expect(() => gaussianTables(Float32Array.of(1e6))).toThrow(/entry 0/);
  });
});
