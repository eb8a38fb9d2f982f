/** The error of a value that cannot be coded: not finite, or so far out that its symbol would reach 2^30. */
import { BinceError } from '../errors.js';

/** n * channels values, row-major; an Int32Array holds symbols. */
export type Rows = Float32Array | Int32Array;

/** Names the value at `index` of `rows`; `firstRow` is the number of their first row in the file. */
export function rowError(rows: Rows, index: number, channels: number, firstRow: number): BinceError {
  const row = firstRow + Math.floor(index / channels);
  const value = rows[index]!;
  const expected = Number.isFinite(value) ? 'a value whose symbol is below 2^30' : 'a finite number';
  return new BinceError(
    'BINCE_INVALID_VALUE',
    `row ${row}, channel ${index % channels}: expected ${expected}, received ${value}`,
    Number.isFinite(value) ? { hint: 'the model does not fit the data: fit one to it' } : {},
  );
}
