/**
 * Decodes the rANS payload of a block (docs/FORMAT.md, "rANS"): lane l of L holds rows l, l + L, ...; all lanes draw
 * 16-bit words from one stream. States are in [2^16, 2^32); every word has to be used and every state to end at 2^16.
 */
import { Cursor } from './cursor.js';
import type { EscapeReader, SymbolTables } from './symbols.js';

const kStateEnd = 2 ** 16;

/** Decodes into out[rows * C], row-major. `words` is the payload without its escapes. */
export function decodeRans(
  words: Uint8Array,
  tables: SymbolTables,
  escapes: EscapeReader,
  shape: { readonly rows: number; readonly channels: number; readonly lanes: number; readonly block: number },
  out: Int32Array,
): void {
  const { rows, channels, lanes, block } = shape;
  const active = Math.min(lanes, rows);
  const cursor = new Cursor(words, 'block', block);
  const state = new Uint32Array(active);
  for (let lane = 0; lane < active; lane++) {
    state[lane] = cursor.u32();
    if (state[lane]! < kStateEnd) cursor.fail(`lane ${lane} begins with the state ${state[lane]}`);
  }
  const { cdf } = tables;
  let at = cursor.at;
  for (let group = 0; group < rows; group += lanes) {
    const width = Math.min(lanes, rows - group);
    for (let c = 0; c < channels; c++) {
      const first = tables.first[c]!;
      const last = tables.escape[c]!;
      const offset = tables.offset[c]!;
      for (let lane = 0; lane < width; lane++) {
        const x = state[lane]!;
        const slot = x & 0xffff;
        const entry = tables.find(c, slot);
        const start = cdf[first + entry]!;
        let next = (cdf[first + entry + 1]! - start) * (x >>> 16) + slot - start;
        if (next < kStateEnd) {
          if (at + 2 > words.length) cursor.fail('its words end too early');
          next = next * kStateEnd + (words[at]! | (words[at + 1]! << 8));
          at += 2;
        }
        state[lane] = next;
        out[(group + lane) * channels + c] = entry < last ? entry + offset : escapes.next(last, offset);
      }
    }
  }
  if (at !== words.length) cursor.fail(`${words.length - at} bytes of words are left`);
  const open = state.findIndex((x) => x !== kStateEnd);
  if (open >= 0) cursor.fail(`lane ${open} ends in the state ${state[open]}`);
  escapes.finish();
}
