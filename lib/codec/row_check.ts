/** Finds rows that cannot be coded: not finite, or so far out that their symbol would reach 2^30. */

import { kSymbolLimit } from '../decoder/header.js';
import { BinceError } from '../errors.js';
import type { CodecModel } from './model.js';

/** Values that are tested together. */
const kStride = 256;

function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

/** n * channels values, row-major; an Int32Array holds symbols. */
export type Rows = Float32Array | Int32Array;

export class RowCheck {
  private readonly model: Pick<CodecModel, 'channels' | 'median' | 'step' | 'shift'>;
  /** Values whose magnitude has at most these bits are fine in every channel. */
  private readonly safeBits: number;

  constructor(model: Pick<CodecModel, 'channels' | 'median' | 'step' | 'shift'>) {
    this.model = model;
    let safe = Number.POSITIVE_INFINITY;
    for (let c = 0; c < model.channels; c++) {
      const symbols = 0.99 * kSymbolLimit - Math.abs(model.median[c]!);
      safe = Math.min(safe, 0.99 * symbols * model.step[c]! - Math.abs(model.shift[c]!));
    }
    this.safeBits = bitsOf(Float32Array.of(Math.max(0, Math.min(safe, 3e38))))[0]!;
  }

  /** The index of the first value that cannot be coded, or -1. */
  find(rows: Rows): number {
    if (rows instanceof Int32Array) {
      return rows.findIndex((symbol) => symbol <= -kSymbolLimit || symbol >= kSymbolLimit);
    }
    // Magnitudes of floats are ordered as their bits are, with infinity and NaN above all numbers.
    const { safeBits } = this;
    const bits = bitsOf(rows);
    for (let begin = 0; begin < bits.length; begin += kStride) {
      const end = Math.min(begin + kStride, bits.length);
      let margin = 0;
      for (let i = begin; i < end; i++) margin |= safeBits - (bits[i]! & 0x7fffffff);
      for (let i = begin; margin < 0 && i < end; i++) {
        if (!this.isCodable(rows[i]!, i % this.model.channels)) return i;
      }
    }
    return -1;
  }

  private isCodable(x: number, channel: number): boolean {
    if (!Number.isFinite(x)) return false;
    const { median, step, shift } = this.model;
    const f = Math.fround;
    const symbol = f(f(f(x - shift[channel]!) * f(1 / step[channel]!)) - median[channel]!);
    return Math.abs(symbol) < kSymbolLimit;
  }

  /** The error of the value that {@link find} found; `firstRow` is the number of the first row of `rows`. */
  error(rows: Rows, index: number, firstRow: number): BinceError {
    const { channels } = this.model;
    const row = firstRow + Math.floor(index / channels);
    const value = rows[index]!;
    const expected = Number.isFinite(value) ? 'a value whose symbol is below 2^30' : 'a finite number';
    return new BinceError(
      'BINCE_INVALID_VALUE',
      `row ${row}, channel ${index % channels}: expected ${expected}, received ${value}`,
      Number.isFinite(value) ? { hint: 'the model does not fit the data: fit one to it' } : {},
    );
  }
}
