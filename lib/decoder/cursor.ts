/** Reads little-endian numbers from untrusted bytes; running out of bytes is damage, never an overrun. */
import { DamagedFileError, type FilePart } from './damage.js';

export class Cursor {
  readonly bytes: Uint8Array;
  at: number;
  private readonly view: DataView;
  private readonly part: FilePart;
  private readonly block: number | undefined;

  constructor(bytes: Uint8Array, part: FilePart, block?: number, at = 0) {
    this.bytes = bytes;
    this.at = at;
    this.part = part;
    this.block = block;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** Throws the damage of this part. */
  fail(detail: string): never {
    throw new DamagedFileError(this.part, detail, this.block === undefined ? {} : { block: this.block });
  }

  u8(): number {
    return this.view.getUint8(this.skip(1));
  }

  u16(): number {
    return this.view.getUint16(this.skip(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  /** An unsigned 64-bit number that has to be below 2^53. */
  u64(): number {
    const at = this.skip(8);
    const high = this.view.getUint32(at + 4, true);
    if (high >= 2 ** 21) this.fail('a number of 2^53 or more');
    return high * 2 ** 32 + this.view.getUint32(at, true);
  }

  /** An unsigned LEB128 number below 2^53 in its shortest form. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 56; shift += 7) {
      const byte = this.u8();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) {
        if (byte === 0 && shift > 0) this.fail('a varint that is longer than it must be');
        if (value >= 2 ** 53) this.fail('a varint of 2^53 or more');
        return value;
      }
    }
    return this.fail('a varint of more than 8 bytes');
  }

  /** A signed number, zigzag coded: 0, -1, 1, -2, ... */
  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  floats(count: number): Float32Array {
    const values = new Float32Array(count <= this.left / 4 ? count : 0);
    const at = this.skip(4 * count);
    for (let i = 0; i < count; i++) values[i] = this.view.getFloat32(at + 4 * i, true);
    return values;
  }

  take(count: number): Uint8Array {
    const at = this.skip(count);
    return this.bytes.subarray(at, at + count);
  }

  private skip(count: number): number {
    if (count > this.left) this.fail(`${count} bytes are needed where ${this.left} are left`);
    const at = this.at;
    this.at += count;
    return at;
  }
}
