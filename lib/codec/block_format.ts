/** The native block coder of a model or of a file's header. */
import type { Coder } from '../decoder/header.js';
import { BlockCoder } from '../kernels/coding.js';
import type { Coding } from './section_bytes.js';

/** Interleaved rANS states of a block. */
export type Lanes = 1 | 2 | 4 | 8 | 16 | 32;

/** A coder for blocks of this coding in a file whose header has this CRC. */
export function makeBlockCoder(
  format: Coding & {
    readonly coder: Coder;
    readonly lanes: number;
    readonly blockRows: number;
    readonly crc: number;
  },
): BlockCoder {
  const { tables, channels, blockRows, coder, tableIndex, median, step, shift } = format;
  return new BlockCoder({
    tables,
    channels,
    blockRows,
    coder,
    lanes: format.lanes as Lanes,
    headerCrc: format.crc,
    ...(tableIndex ? { tableIndex } : {}),
    ...(median ? { median } : {}),
    ...(step ? { step } : {}),
    ...(shift ? { shift } : {}),
  });
}
