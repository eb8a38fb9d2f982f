/**
 * Decodes the range-coded payload of a block (docs/FORMAT.md, "Range coder"). All numbers are integers below 2^53,
 * so float64 arithmetic is exact. Invariants: 2^32 <= range <= 2^48 and 0 <= code < range.
 */
import { Cursor } from './cursor.js';
import type { EscapeReader, SymbolTables } from './symbols.js';

const kTotal = 2 ** 16;
const kBottom = 2 ** 32;

/** Decodes into out[rows * C], row-major. `words` is the payload without its escapes. */
export function decodeRange(
  words: Uint8Array,
  tables: SymbolTables,
  escapes: EscapeReader,
  shape: { readonly rows: number; readonly channels: number; readonly block: number },
  out: Int32Array,
): void {
  const { rows, channels, block } = shape;
  const cursor = new Cursor(words, 'block', block);
  const stored = words.length / 2;
  // The last word ends the stream; the two that the decoder reads ahead of it are zero.
  let position = 0;
  const nextWord = () => {
    const at = 2 * position++;
    return at < words.length ? words[at]! | (words[at + 1]! << 8) : 0;
  };
  let code = (nextWord() * kTotal + nextWord()) * kTotal + nextWord();
  let range = 2 ** 48;
  const { cdf } = tables;
  for (let i = 0, row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++, i++) {
      const r = Math.floor(range / kTotal);
      const slot = Math.min(Math.floor(code / r), kTotal - 1);
      const entry = tables.find(c, slot);
      const at = tables.first[c]! + entry;
      const start = cdf[at]!;
      const end = cdf[at + 1]!;
      code -= r * start;
      range = end === kTotal ? range - r * start : r * (end - start);
      if (range < kBottom) {
        if (position - 2 >= stored) cursor.fail('its words end too early');
        code = code * kTotal + nextWord();
        range *= kTotal;
      }
      const last = tables.escape[c]!;
      const offset = tables.offset[c]!;
      out[i] = entry < last ? entry + offset : escapes.next(last, offset);
    }
  }
  if (position - 2 !== stored) cursor.fail(`${position - 2} words are used of ${stored}`);
  escapes.finish();
}
