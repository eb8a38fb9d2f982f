/**
 * The header of .npy files, versions 1 to 3: magic, version, length, and a Python dictionary literal, which is
 * parsed as a literal (never evaluated).
 */
import { BinceError } from '../errors.js';

export interface NpyHeader {
  /** NumPy's type string, for example `<f4`. */
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

type Literal = string | number | boolean | null | readonly Literal[] | ReadonlyMap<string, Literal>;

/** Bytes of magic, version and header length. */
export function npyPrefixBytes(major: number): number {
  return major === 1 ? 10 : 12;
}

/** Parses the dictionary of a header; BINCE_CORRUPT_DATA when it is not one. */
export function parseNpyHeader(text: string, path: string): NpyHeader {
  const literal = new LiteralParser(text, path).parse();
  const fail = (what: string): never => {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: damaged .npy header: ${what}`);
  };
  if (!(literal instanceof Map)) return fail('it is not a dictionary');
  const descr = literal.get('descr');
  const fortranOrder = literal.get('fortran_order');
  const shape = literal.get('shape');
  if (Array.isArray(descr)) {
    throw new BinceError('BINCE_UNSUPPORTED', `${path}: a structured array`, {
      hint: "save one field of it: np.save('x.npy', np.ascontiguousarray(a['field'], dtype=np.float32))",
    });
  }
  if (typeof descr !== 'string') return fail('descr is not a string');
  if (typeof fortranOrder !== 'boolean') return fail('fortran_order is not True or False');
  if (!Array.isArray(shape)) return fail('shape is not a tuple');
  if (!shape.every((n): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0))
    return fail('shape holds something that is not a size');
  return { descr, fortranOrder, shape };
}

/** Python literals as far as headers use them: strings, integers, True, False, None, tuples, lists, dictionaries. */
class LiteralParser {
  readonly #text: string;
  readonly #path: string;
  #at = 0;

  constructor(text: string, path: string) {
    this.#text = text;
    this.#path = path;
  }

  parse(): Literal {
    const value = this.#value(0);
    this.#space();
    if (this.#at !== this.#text.length) this.#fail();
    return value;
  }

  #fail(): never {
    throw new BinceError(
      'BINCE_CORRUPT_DATA',
      `${this.#path}: damaged .npy header at character ${this.#at}: ${JSON.stringify(this.#text.slice(this.#at, this.#at + 20))}`,
    );
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #value(depth: number): Literal {
    if (depth > 8) this.#fail();
    this.#space();
    const string = this.#match(/'[^'\\\n]*'|"[^"\\\n]*"/y);
    if (string !== undefined) return string.slice(1, -1);
    const number = this.#match(/-?\d+L?/y);
    if (number !== undefined) return Number.parseInt(number, 10);
    const word = this.#match(/True|False|None/y);
    if (word !== undefined) return word === 'None' ? null : word === 'True';
    const open = this.#match(/[([{]/y);
    if (open === '(') return this.#items(')', depth);
    if (open === '[') return this.#items(']', depth);
    if (open === '{') return this.#entries(depth);
    return this.#fail();
  }

  #items(close: string, depth: number): Literal[] {
    const items: Literal[] = [];
    for (;;) {
      this.#space();
      if (this.#take(close)) return items;
      items.push(this.#value(depth + 1));
      this.#separator(close);
    }
  }

  #entries(depth: number): Map<string, Literal> {
    const entries = new Map<string, Literal>();
    for (;;) {
      this.#space();
      if (this.#take('}')) return entries;
      const key = this.#value(depth + 1);
      this.#space();
      if (typeof key !== 'string' || !this.#take(':')) this.#fail();
      entries.set(key, this.#value(depth + 1));
      this.#separator('}');
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #separator(close: string): void {
    this.#space();
    if (!this.#take(',') && this.#text[this.#at] !== close) this.#fail();
  }
}

/** A version 1 header for a C-ordered array, padded to a multiple of 64 bytes. */
export function buildNpyHeader(descr: string, shape: readonly number[]): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const total = Math.ceil((10 + text.length + 1) / 64) * 64;
  const header = new Uint8Array(total).fill(0x20);
  header.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, (total - 10) & 255, (total - 10) >> 8]);
  header.set(new TextEncoder().encode(text), 10);
  header[total - 1] = 0x0a;
  return header;
}
