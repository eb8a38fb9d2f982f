/**
 * Reads a file without a usable index from the front, section by section. After damage it looks for the next whole
 * section byte by byte: a block's CRC covers the header's CRC and the block's number, so what fits is no accident.
 * An index that is met on the way tells how many rows the damaged blocks before it have.
 */
import { BinceError } from '../errors.js';
import { crc32c } from './crc32c.js';
import type { BinceHeader } from './header.js';
import type { Layout } from './layout.js';
import {
  type BlockPlace,
  blockCrc,
  type Checksum,
  kMaxBlockHeadBytes,
  kTagBlock,
  kTagIndex,
  kTrailerBytes,
  kTrailerMagic,
  parseBlockHead,
  parseIndexHead,
  parseIndexPayload,
  parseTrailer,
  sectionCrc,
} from './sections.js';
import type { Request } from './source.js';

/** What a scan found. */
export interface Recovery {
  /** Why the index could not be used. */
  readonly reason: string;
  /** Blocks that decode. */
  readonly wholeBlocks: number;
  /** Numbers of blocks that stand between whole ones and do not decode. */
  readonly damagedBlocks: readonly number[];
  /** The first block whose number of rows is a guess (a full block); rows after it may have other numbers. */
  readonly uncertainFrom: number | undefined;
  /** Bytes after the last whole section. */
  readonly lostBytes: number;
  /** Rows of the whole blocks. */
  readonly rows: number;
}

/** Bytes that the search after damage may checksum: it ends, whatever the file holds. */
const kSearchBudget = 2 ** 32;
/** What a place that looks like a section costs at least, in the same unit. */
const kAttemptCost = 4096;
/** Blocks that one damaged place may swallow. */
const kMaxSwallowed = 3;
const kWindowBytes = 2 ** 23;
/** While searching, a block is not believed to be more than this many times as long as the longest so far. */
const kMaxGrowth = 4;
const kAlwaysBelieved = 2 ** 16;

type Section =
  | { readonly kind: 'block'; readonly bytes: number; readonly rows: number; readonly number: number }
  | { readonly kind: 'index'; readonly bytes: number; readonly places: readonly BlockPlace[] }
  | { readonly kind: 'trailer'; readonly bytes: number };

/** Scans everything after the header. */
export function* scanSections(
  size: number,
  header: BinceHeader,
  reason: string,
  checksum: Checksum = crc32c,
): Generator<Request, Layout, Uint8Array> {
  const search = new SectionSearch(size, header, checksum);
  const found = new FoundBlocks();
  let at = header.bytes;
  let end = at;
  while (at < size) {
    let section = yield* search.sectionAt(at, found.count, found.count);
    if (!section) {
      const next = yield* search.nextSection(at, found.count);
      if (!next) break;
      section = next.section;
      if (section.kind === 'block') found.swallow(section.number, at, next.offset - at);
      at = next.offset;
    }
    if (section.kind === 'block') found.add(at, section.bytes, section.rows);
    if (section.kind === 'index') found.adopt(section.places);
    at += section.bytes;
    end = at;
  }
  return found.layout(header, end, size, reason);
}

/** The blocks met so far, by number. */
class FoundBlocks {
  /** How many blocks there are up to here, damaged ones included. */
  count = 0;
  private readonly whole = new Map<number, Omit<BlockPlace, 'firstRow'>>();
  private readonly damaged = new Map<number, { offset: number; bytes: number }>();
  private indexed: readonly BlockPlace[] = [];

  add(offset: number, bytes: number, rows: number): void {
    this.whole.set(this.count++, { offset, bytes, rows });
  }

  /** Blocks up to `number` have been lost in these bytes. */
  swallow(number: number, offset: number, bytes: number): void {
    while (this.count < number) this.damaged.set(this.count++, { offset, bytes });
  }

  /** A whole index tells how many rows damaged blocks have, and that there were some. */
  adopt(places: readonly BlockPlace[]): void {
    if (places.length > this.indexed.length) this.indexed = places;
    this.count = Math.max(this.count, places.length);
  }

  layout(header: BinceHeader, end: number, size: number, reason: string): Layout {
    const blocks: BlockPlace[] = [];
    const damagedBlocks: number[] = [];
    let uncertainFrom: number | undefined;
    let firstRow = 0;
    let wholeRows = 0;
    for (let number = 0; number < this.count; number++) {
      const whole = this.whole.get(number);
      const place = whole ?? this.damagedPlace(number, size);
      const rows = whole?.rows ?? this.indexed[number]?.rows ?? header.blockRows;
      blocks.push({ offset: place.offset, bytes: place.bytes, firstRow, rows });
      firstRow += rows;
      if (whole) wholeRows += rows;
      else damagedBlocks.push(number);
      if (!whole && !this.indexed[number]) uncertainFrom ??= number;
    }
    return {
      header,
      blocks,
      rows: firstRow,
      end,
      recovery: {
        reason,
        wholeBlocks: this.whole.size,
        damagedBlocks,
        uncertainFrom,
        lostBytes: size - end,
        rows: wholeRows,
      },
    };
  }

  private damagedPlace(number: number, size: number): { offset: number; bytes: number } {
    const { offset, bytes } = this.damaged.get(number) ?? this.indexed[number]!;
    // Bytes may be missing before it, so that the index points beyond the end.
    return offset + bytes <= size ? { offset, bytes } : { offset: size, bytes: 0 };
  }
}

class SectionSearch {
  private readonly size: number;
  private readonly header: BinceHeader;
  private readonly checksum: Checksum;
  private budget = kSearchBudget;
  /** The longest payload of a whole block so far, and what is believed while searching. */
  private longest = 0;
  private believed = Number.POSITIVE_INFINITY;
  private window: Uint8Array = new Uint8Array(0);
  private windowOffset = 0;

  constructor(size: number, header: BinceHeader, checksum: Checksum) {
    this.size = size;
    this.header = header;
    this.checksum = checksum;
  }

  /** The whole section that begins at `at`, if one does; a block has to have a number in [first, last]. */
  *sectionAt(at: number, first: number, last: number): Generator<Request, Section | undefined, Uint8Array> {
    const start = yield* this.bytes(at, Math.min(kMaxBlockHeadBytes, this.size - at));
    try {
      if ((start[0]! & ~3) === kTagBlock) return yield* this.blockAt(at, start, first, last);
      if (start[0] === kTagIndex) return yield* this.indexAt(at, start);
      if (start.length < kTrailerBytes || start[20] !== kTrailerMagic[0]) return undefined;
      parseTrailer(start.subarray(0, kTrailerBytes), this.header);
      return { kind: 'trailer', bytes: kTrailerBytes };
    } catch (error) {
      if (error instanceof BinceError && error.code === 'BINCE_CORRUPT_DATA') return undefined;
      throw error;
    }
  }

  private *blockAt(
    at: number,
    start: Uint8Array,
    first: number,
    last: number,
  ): Generator<Request, Section | undefined, Uint8Array> {
    const head = parseBlockHead(start, 0, this.header, first);
    const bytes = head.headBytes + head.payloadBytes;
    if (bytes > this.size - at || head.payloadBytes > this.believed) return undefined;
    const payload = yield* this.bytes(at + head.headBytes, head.payloadBytes);
    for (let number = first; number <= last; number++) {
      this.budget -= head.payloadBytes;
      if (blockCrc(head, payload, this.header, number, this.checksum) === head.crc) {
        this.longest = Math.max(this.longest, head.payloadBytes);
        return { kind: 'block', bytes, rows: head.rows, number };
      }
    }
    return undefined;
  }

  private *indexAt(at: number, start: Uint8Array): Generator<Request, Section | undefined, Uint8Array> {
    const head = parseIndexHead(start);
    const bytes = head.headBytes + head.payloadBytes;
    if (bytes > this.size - at) return undefined;
    const payload = yield* this.bytes(at + head.headBytes, head.payloadBytes);
    this.budget -= head.payloadBytes;
    if (sectionCrc(payload, this.header, this.checksum) !== head.crc) return undefined;
    // Offsets are not held against the file: bytes may be missing before the index.
    return { kind: 'index', bytes, places: parseIndexPayload(payload, this.header, Number.MAX_SAFE_INTEGER) };
  }

  /** The first whole section after the damage at `at`, where block `number` was expected. */
  *nextSection(
    at: number,
    number: number,
  ): Generator<Request, { section: Section; offset: number } | undefined, Uint8Array> {
    const first = number;
    const last = number + kMaxSwallowed;
    const claimed = yield* this.claimedEnd(at, number);
    if (claimed !== undefined) {
      const section = yield* this.sectionAt(claimed, first, last);
      if (section) return { section, offset: claimed };
    }
    if (this.longest > 0) this.believed = kMaxGrowth * this.longest + kAlwaysBelieved;
    try {
      return yield* this.searchFrom(at + 1, first, last);
    } finally {
      this.believed = Number.POSITIVE_INFINITY;
    }
  }

  private *searchFrom(
    begin: number,
    first: number,
    last: number,
  ): Generator<Request, { section: Section; offset: number } | undefined, Uint8Array> {
    for (let offset = begin; offset < this.size && this.budget > 0; offset++) {
      const window = yield* this.windowAt(offset);
      let i = offset - this.windowOffset;
      while (i < window.length && !this.mayBegin(window, i)) i++;
      offset = this.windowOffset + i;
      if (i === window.length) {
        offset--;
        continue;
      }
      this.budget -= kAttemptCost;
      const section = yield* this.sectionAt(offset, first, last);
      if (section) return { section, offset };
    }
    return undefined;
  }

  private mayBegin(window: Uint8Array, i: number): boolean {
    const tag = window[i]!;
    if ((tag & ~3) === kTagBlock || tag === kTagIndex) return true;
    return (
      i + 20 >= window.length || (window[i + 20] === kTrailerMagic[0] && window[i + 21] === kTrailerMagic[1])
    );
  }

  /** Where the section at `at` says that it ends: right if the damage is in its payload. */
  private *claimedEnd(at: number, number: number): Generator<Request, number | undefined, Uint8Array> {
    const start = yield* this.bytes(at, Math.min(kMaxBlockHeadBytes, this.size - at));
    try {
      const head =
        start[0] === kTagIndex ? parseIndexHead(start) : parseBlockHead(start, 0, this.header, number);
      const end = at + head.headBytes + head.payloadBytes;
      return end < this.size ? end : undefined;
    } catch (error) {
      if (error instanceof BinceError && error.code === 'BINCE_CORRUPT_DATA') return undefined;
      throw error;
    }
  }

  private *windowAt(offset: number): Generator<Request, Uint8Array, Uint8Array> {
    if (offset < this.windowOffset || offset >= this.windowOffset + this.window.length) {
      this.window = yield { offset, length: Math.min(kWindowBytes, this.size - offset) };
      this.windowOffset = offset;
    }
    return this.window;
  }

  /** Bytes of the file, from the window where they fit. */
  private *bytes(offset: number, length: number): Generator<Request, Uint8Array, Uint8Array> {
    const inside = offset - this.windowOffset;
    if (inside >= 0 && inside + length <= this.window.length)
      return this.window.subarray(inside, inside + length);
    if (length > kWindowBytes / 4) return yield { offset, length };
    // A whole window again, from here on; later reads are most likely inside it.
    this.window = yield { offset, length: Math.min(kWindowBytes, this.size - offset) };
    this.windowOffset = offset;
    return this.window.subarray(0, length);
  }
}
