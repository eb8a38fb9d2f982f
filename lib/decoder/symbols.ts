/** From a slot of a 16-bit cumulative table to its entry, and from entries to symbols with their escapes. */
import { Cursor } from './cursor.js';
import { type BinceHeader, kSymbolLimit } from './header.js';

/** The tables of a file, made ready for look-ups. Uses memory in proportion to the tables. */
export class SymbolTables {
  readonly cdf: Int32Array;
  /** [C] where the table of a channel begins in `cdf`, its escape entry and its offset. */
  readonly first: Int32Array;
  readonly escape: Int32Array;
  readonly offset: Int32Array;
  /** [C] the shift from a slot to its bucket and where the buckets of the channel's table begin. */
  readonly bucketShift: Uint8Array;
  readonly bucketStart: Int32Array;
  /** The entry that holds the first slot of a bucket. */
  readonly buckets: Uint16Array;

  constructor(header: BinceHeader) {
    const { tables, tableIndex, channels } = header;
    const count = tables.offset.length;
    const shifts = new Uint8Array(count);
    const starts = new Int32Array(count + 1);
    for (let t = 0; t < count; t++) {
      const entries = tables.start[t + 1]! - tables.start[t]! - 1;
      const bits = Math.min(16, Math.ceil(Math.log2(entries)) + 1);
      shifts[t] = 16 - bits;
      starts[t + 1] = starts[t]! + 2 ** bits;
    }
    this.cdf = tables.cdf;
    this.buckets = new Uint16Array(starts[count]!);
    for (let t = 0; t < count; t++)
      this.fillBuckets(tables.start[t]!, shifts[t]!, starts[t]!, starts[t + 1]!);
    const pick = (value: (table: number) => number) =>
      Int32Array.from({ length: channels }, (_, c) => value(tableIndex ? tableIndex[c]! : c));
    this.first = pick((t) => tables.start[t]!);
    this.escape = pick((t) => tables.start[t + 1]! - tables.start[t]! - 2);
    this.offset = pick((t) => tables.offset[t]!);
    this.bucketStart = pick((t) => starts[t]!);
    this.bucketShift = Uint8Array.from(pick((t) => shifts[t]!));
  }

  private fillBuckets(first: number, shift: number, begin: number, end: number): void {
    let entry = 0;
    for (let b = begin; b < end; b++) {
      const slot = (b - begin) * 2 ** shift;
      while (this.cdf[first + entry + 1]! <= slot) entry++;
      this.buckets[b] = entry;
    }
  }

  /** The entry of channel `c` with start <= slot < start + frequency. */
  find(c: number, slot: number): number {
    const first = this.first[c]!;
    let entry = this.buckets[this.bucketStart[c]! + (slot >>> this.bucketShift[c]!)]!;
    while (this.cdf[first + entry + 1]! <= slot) entry++;
    return entry;
  }
}

/** Turns entries into symbols, taking escapes in the order in which they are decoded. */
export class EscapeReader {
  private readonly cursor: Cursor;

  constructor(bytes: Uint8Array, block: number) {
    this.cursor = new Cursor(bytes, 'block', block);
  }

  /** The next escaped symbol of a table whose last entry is `escapeEntry` and whose first stands for `offset`. */
  next(escapeEntry: number, offset: number): number {
    const raw = this.cursor.varint();
    const v = raw % 2 === 1 ? -(raw + 1) / 2 : raw / 2 + escapeEntry;
    const symbol = v + offset;
    if (symbol <= -kSymbolLimit || symbol >= kSymbolLimit) this.cursor.fail(`the symbol ${symbol}`);
    return symbol;
  }

  finish(): void {
    if (this.cursor.left !== 0) this.cursor.fail(`${this.cursor.left} escape bytes are left`);
  }
}
