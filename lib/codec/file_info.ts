/** What an open .bince file tells of itself. */
import type { Coder, JsonValue, RowDtype } from '../decoder/header.js';
import type { Layout } from '../decoder/layout.js';
import type { Recovery } from '../decoder/recovery.js';
import { idealBits, modelHash } from './model.js';

/** What a file says of itself. */
export interface BinceInfo {
  readonly path: string | undefined;
  readonly bytes: number;
  readonly rows: number;
  readonly channels: number;
  readonly blocks: number;
  readonly blockRows: number;
  readonly coder: Coder;
  readonly lanes: number;
  readonly dtype: RowDtype;
  readonly shape?: readonly number[];
  readonly name: string;
  readonly method: string;
  /** Computed from the tables and scalars in the file. */
  readonly modelHash: string;
  readonly headerBytes: number;
  /** 8 * bytes / rows, of the whole file. */
  readonly bitsPerRow: number;
  /** The entropy of a row under the tables. */
  readonly idealBitsPerRow: number;
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** Set when the index could not be used. */
  readonly recovery: Recovery | undefined;
}

export function describeFile(layout: Layout, bytes: number, path: string | undefined): BinceInfo {
  const { header, blocks, rows, recovery } = layout;
  const { json } = header;
  const text = (value: JsonValue | undefined) => (typeof value === 'string' ? value : '');
  const shape = json['shape'];
  const metadata = json['metadata'];
  const isShape = Array.isArray(shape) && shape.every(Number.isSafeInteger);
  const isMetadata = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
  return {
    path,
    bytes,
    rows,
    channels: header.channels,
    blocks: blocks.length,
    blockRows: header.blockRows,
    coder: header.coder,
    lanes: header.lanes,
    dtype: header.dtype,
    ...(isShape ? { shape: shape as number[] } : {}),
    name: text(json['name']),
    method: text(json['method']),
    modelHash: modelHash(header),
    headerBytes: header.bytes,
    bitsPerRow: rows > 0 ? (8 * bytes) / rows : 0,
    idealBitsPerRow: idealBits(header),
    metadata: isMetadata ? (metadata as Record<string, JsonValue>) : {},
    recovery,
  };
}
