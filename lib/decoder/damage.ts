/** The error of a file that is not what it should be; it says where. */
import { BinceError } from '../errors.js';

/** The part of a file that an error is about. */
export type FilePart = 'header' | 'block' | 'index' | 'trailer';

/** Damage that was found in a .bince file: BINCE_CORRUPT_DATA with the part and, for a block, its number. */
export class DamagedFileError extends BinceError {
  readonly part: FilePart;
  /** The number of the damaged block, from 0. */
  readonly block: number | undefined;

  constructor(
    part: FilePart,
    detail: string,
    options: { block?: number; hint?: string; cause?: unknown } = {},
  ) {
    const where = options.block === undefined ? part : `${part} ${options.block}`;
    super('BINCE_CORRUPT_DATA', `${where}: ${detail}`, options);
    this.name = 'DamagedFileError';
    this.part = part;
    this.block = options.block;
  }
}
