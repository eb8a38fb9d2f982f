/** Files read by the TypeScript decoder: in memory at once, or by random access from a Blob or another source. */
import { BinceError } from '../errors.js';
import { decodeBlockSymbols, symbolsToValues } from './block.js';
import type { BinceHeader } from './header.js';
import { findBlock, type Layout, readLayout } from './layout.js';
import type { Recovery } from './recovery.js';
import { checkBlockPlace, parseBlockHead } from './sections.js';
import { type BlobLike, type ByteSource, blobSource, bytesSource, run, runSync } from './source.js';
import { SymbolTables } from './symbols.js';

/** What decoded rows are: values in float32, or the integer symbols before scaling. */
export type RowForm = 'float32' | 'symbols';

export interface DecodeOptions {
  /** 'symbols' for files of int32 rows, otherwise 'float32'. */
  readonly as?: RowForm;
  /** Scan a file whose index cannot be used; rows of its damaged blocks are an error. Default false. */
  readonly recover?: boolean;
}

/** Rows in row-major order. */
export interface DecodedRows {
  readonly header: BinceHeader;
  readonly rows: number;
  readonly channels: number;
  /** [rows * channels] */
  readonly data: Float32Array | Int32Array;
  readonly recovery: Recovery | undefined;
}

/**
 * Decodes a whole file that is in memory to the same rows, bit for bit, as the native decoder. Throws a
 * DamagedFileError that names the damaged part.
 */
export function decodeFile(bytes: Uint8Array, options: DecodeOptions = {}): DecodedRows {
  const layout = runSync(readLayout(bytes.length, { recover: options.recover ?? false }), bytes);
  const { header } = layout;
  const form = options.as ?? defaultForm(header);
  const tables = new SymbolTables(header);
  const parts = layout.blocks.map((place, number) =>
    decodePlace(bytes.subarray(place.offset, place.offset + place.bytes), layout, tables, number, form),
  );
  const data = emptyRows(form, layout.rows * header.channels);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { header, rows: layout.rows, channels: header.channels, data, recovery: layout.recovery };
}

/** Random access to the rows of a file, block by block; the last decoded block is kept. */
export class BinceFile {
  readonly header: BinceHeader;
  /** Rows in the file. */
  readonly length: number;
  readonly recovery: Recovery | undefined;
  private readonly source: ByteSource;
  private readonly layout: Layout;
  private readonly tables: SymbolTables;
  private cached: { number: number; form: RowForm; data: Float32Array | Int32Array } | undefined;

  private constructor(source: ByteSource, layout: Layout) {
    this.source = source;
    this.layout = layout;
    this.header = layout.header;
    this.length = layout.rows;
    this.recovery = layout.recovery;
    this.tables = new SymbolTables(layout.header);
  }

  /** Opens bytes, a Blob or File, or any source with `size` and `read(offset, length)`. */
  static async open(
    from: Uint8Array | BlobLike | ByteSource,
    options: { readonly recover?: boolean } = {},
  ): Promise<BinceFile> {
    const source = from instanceof Uint8Array ? bytesSource(from) : 'read' in from ? from : blobSource(from);
    const layout = await run(readLayout(source.size, { recover: options.recover ?? false }), source);
    return new BinceFile(source, layout);
  }

  get channels(): number {
    return this.header.channels;
  }

  /** Rows [begin, end) as [(end - begin) * channels], reading only the blocks that hold them. */
  async rows(
    begin: number,
    end: number,
    options: { readonly as?: RowForm } = {},
  ): Promise<Float32Array | Int32Array> {
    if (!Number.isInteger(begin) || !Number.isInteger(end) || begin < 0 || end < begin || end > this.length) {
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `rows: expected 0 <= begin <= end <= ${this.length}, received ${begin} and ${end}`,
      );
    }
    const form = options.as ?? defaultForm(this.header);
    const parts: { data: Float32Array | Int32Array; at: number }[] = [];
    for (let row = begin; row < end; ) {
      const number = findBlock(this.layout.blocks, row);
      const place = this.layout.blocks[number]!;
      const last = Math.min(end, place.firstRow + place.rows);
      const block = await this.block(number, form);
      const from = (row - place.firstRow) * this.channels;
      const to = (last - place.firstRow) * this.channels;
      parts.push({ data: block.subarray(from, to), at: (row - begin) * this.channels });
      row = last;
    }
    const out = emptyRows(form, (end - begin) * this.channels);
    for (const { data, at } of parts) out.set(data, at);
    return out;
  }

  private async block(number: number, form: RowForm): Promise<Float32Array | Int32Array> {
    if (this.cached?.number === number && this.cached.form === form) return this.cached.data;
    const place = this.layout.blocks[number]!;
    const bytes = await this.source.read(place.offset, place.bytes);
    const data = decodePlace(bytes, this.layout, this.tables, number, form);
    this.cached = { number, form, data };
    return data;
  }
}

function decodePlace(
  bytes: Uint8Array,
  layout: Layout,
  tables: SymbolTables,
  number: number,
  form: RowForm,
): Float32Array | Int32Array {
  const { header, blocks } = layout;
  checkBlockPlace(blocks[number]!, parseBlockHead(bytes, 0, header, number), number);
  const symbols = decodeBlockSymbols(bytes, header, tables, number);
  return form === 'symbols' ? symbols : symbolsToValues(symbols, header);
}

/** What rows of this file are read as unless the caller says otherwise. */
export function defaultForm(header: BinceHeader): RowForm {
  return header.dtype === 'int32' ? 'symbols' : 'float32';
}

/** An array for decoded rows. */
export function emptyRows(form: RowForm, values: number): Float32Array | Int32Array {
  return form === 'symbols' ? new Int32Array(values) : new Float32Array(values);
}
