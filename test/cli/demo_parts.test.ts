import { describe, expect, it } from 'vitest';
import { nearestRows, sparseRows } from '../../lib/cli/demo/sparse_rows.js';
import { normalRows } from '../data/files.js';

describe('nearestRows', () => {
  it.each([1, 7, 8, 9, 17])('finds what a plain search finds, %i queries', (queries) => {
    const channels = 13;
    const rows = normalRows(50 * channels, 1).map((x) => (Math.abs(x) < 0.8 ? 0 : x));
    const asked = normalRows(queries * channels, 2);
    const expected = Array.from({ length: queries }, (_, q) => {
      const distances = Array.from({ length: 50 }, (_, r) => {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += (rows[r * channels + c]! - asked[q * channels + c]!) ** 2;
        return sum;
      });
      return distances.indexOf(Math.min(...distances));
    });
    expect([...nearestRows(sparseRows(rows, channels), asked)]).toEqual(expected);
  });
});
