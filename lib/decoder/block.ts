/** Decodes one block: checks, entropy decoding, values. */
import { BinceError } from '../errors.js';
import { DamagedFileError } from './damage.js';
import type { BinceHeader } from './header.js';
import { decodeRange } from './range_coder.js';
import { decodeRans } from './rans.js';
import { type BlockHead, blockCrc, parseBlockHead } from './sections.js';
import { EscapeReader, type SymbolTables } from './symbols.js';

/** Values of one decoded block have to fit one array. */
export const kMaxBlockValues: number = 2 ** 31 - 1;

/** Parses and checks a whole block section; `bytes` holds exactly the section. */
export function checkBlock(
  bytes: Uint8Array,
  header: BinceHeader,
  number: number,
): { head: BlockHead; payload: Uint8Array } {
  const head = parseBlockHead(bytes, 0, header, number);
  const held = bytes.length - head.headBytes;
  if (head.payloadBytes !== held) {
    throw new DamagedFileError('block', `${head.payloadBytes} bytes of payload where there are ${held}`, {
      block: number,
    });
  }
  const payload = bytes.subarray(head.headBytes);
  if (blockCrc(head, payload, header, number) !== head.crc) {
    throw new DamagedFileError('block', 'the checksum differs', { block: number });
  }
  return { head, payload };
}

/** Decodes block `number` into symbols [rows * channels], row-major. */
export function decodeBlockSymbols(
  bytes: Uint8Array,
  header: BinceHeader,
  tables: SymbolTables,
  number: number,
): Int32Array {
  const { head, payload } = checkBlock(bytes, header, number);
  const values = head.rows * header.channels;
  if (values > kMaxBlockValues) {
    throw new BinceError('BINCE_UNSUPPORTED', `block ${number}: ${values} values do not fit one array`);
  }
  const wordBytes = payload.length - head.escapeBytes;
  const words = payload.subarray(0, wordBytes);
  const escapes = new EscapeReader(payload.subarray(wordBytes), number);
  const shape = { rows: head.rows, channels: header.channels, lanes: header.lanes, block: number };
  const out = new Int32Array(values);
  if (header.coder === 'rans') decodeRans(words, tables, escapes, shape, out);
  else decodeRange(words, tables, escapes, shape, out);
  return out;
}

/** x = ((symbol + median) * step) + shift in float32, each operation rounded by itself. */
export function symbolsToValues(symbols: Int32Array, header: BinceHeader): Float32Array {
  const { channels, median, step, shift } = header;
  const out = new Float32Array(symbols.length);
  for (let i = 0; i < symbols.length; ) {
    for (let c = 0; c < channels; c++, i++) {
      let x = Math.fround(symbols[i]!);
      x = Math.fround(x + (median ? median[c]! : 0));
      x = Math.fround(x * (step ? step[c]! : 1));
      out[i] = x + (shift ? shift[c]! : 0);
    }
  }
  return out;
}
