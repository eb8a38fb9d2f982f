/** Little-endian numbers into a growing buffer. */
export class ByteWriter {
  private bytes: Uint8Array;
  private view: DataView;
  private length = 0;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  u8(value: number): this {
    const at = this.extend(1);
    this.view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.extend(2);
    this.view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.extend(4);
    this.view.setUint32(at, value, true);
    return this;
  }

  /** An integer below 2^53 as 64 bits. */
  u64(value: number): this {
    return this.u32(value % 2 ** 32).u32(Math.floor(value / 2 ** 32));
  }

  /** An integer below 2^53 as unsigned LEB128. */
  varint(value: number): this {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.u8((rest % 128) | 128);
    return this.u8(rest);
  }

  /** 0, -1, 1, -2, ... as 0, 1, 2, 3, ... */
  zigzag(value: number): this {
    return this.varint(value >= 0 ? 2 * value : -2 * value - 1);
  }

  floats(values: Float32Array): this {
    const at = this.extend(4 * values.length);
    for (let i = 0; i < values.length; i++) this.view.setFloat32(at + 4 * i, values[i]!, true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.extend(bytes.length);
    this.bytes.set(bytes, at);
    return this;
  }

  /** What was written, without a copy. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** Makes room at the end, which may replace `bytes` and `view`; gives back where it begins. */
  private extend(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.bytes.length, this.length));
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }
}
