/** Random tables and symbols for tests, from a seed. */
import type { CdfTables } from '../../lib/kernels/tables.js';
import type { ReferenceFormat } from './reference_encoder.js';

/** Mulberry32: uniform numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** T tables of 2 to `maxEntries` entries with random frequencies, some of them very skewed. */
export function randomTables(next: () => number, count: number, maxEntries: number): CdfTables {
  const cdf: number[] = [];
  const start = [0];
  const offset: number[] = [];
  for (let t = 0; t < count; t++) {
    const entries = 2 + Math.floor(next() * (maxEntries - 1));
    const sharpness = next() < 0.3 ? 20 : 2;
    const weights = Array.from({ length: entries }, () => next() ** sharpness + 1e-6);
    const sum = weights.reduce((a, b) => a + b, 0);
    const free = 65536 - entries;
    const frequencies = weights.map((weight) => 1 + Math.floor((weight / sum) * free));
    frequencies[Math.floor(next() * entries)]! += 65536 - frequencies.reduce((a, b) => a + b, 0);
    let c = 0;
    cdf.push(0);
    for (const frequency of frequencies) {
      c += frequency;
      cdf.push(c);
    }
    start.push(cdf.length);
    offset.push(Math.floor((next() - 0.5) * 2 * entries));
  }
  return { cdf: Int32Array.from(cdf), start: Int32Array.from(start), offset: Int32Array.from(offset) };
}

/** Symbols [rows, C] near their tables; about one in `rarity` is far outside. */
export function randomSymbols(
  next: () => number,
  format: ReferenceFormat,
  rows: number,
  rarity = 30,
): Int32Array {
  const { tables, tableIndex, channels } = format;
  const symbols = new Int32Array(rows * channels);
  for (let i = 0; i < symbols.length; i++) {
    const c = i % channels;
    const t = tableIndex ? tableIndex[c]! : c;
    const entries = tables.start[t + 1]! - tables.start[t]! - 1;
    const far = next() < 1 / rarity;
    const v = far ? Math.floor((next() - 0.5) * 2 ** (1 + 30 * next())) : Math.floor(next() * entries);
    symbols[i] = Math.max(-(2 ** 30) + 1, Math.min(2 ** 30 - 1, tables.offset[t]! + v));
  }
  return symbols;
}
