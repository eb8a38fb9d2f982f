/** Writes Protocol Buffers messages field by field (protobuf.dev, "Encoding"); only the wire types that are used. */

const kVarint = 0;
const kFixed64 = 1;
const kLengthDelimited = 2;
const kFixed32 = 5;

export class ProtobufMessage {
  readonly #parts: Uint8Array[] = [];

  /** int32, int64, uint64 or an enum: a whole number of at least 0. */
  integer(field: number, value: number): this {
    return this.#add(varint(8 * field + kVarint), varint(value));
  }

  double(field: number, value: number): this {
    const data = Buffer.alloc(8);
    data.writeDoubleLE(value);
    return this.#add(varint(8 * field + kFixed64), data);
  }

  float(field: number, value: number): this {
    const data = Buffer.alloc(4);
    data.writeFloatLE(value);
    return this.#add(varint(8 * field + kFixed32), data);
  }

  /** bytes, or a message that is finished. */
  bytes(field: number, data: Uint8Array): this {
    return this.#add(varint(8 * field + kLengthDelimited), varint(data.length), data);
  }

  text(field: number, text: string): this {
    return this.bytes(field, Buffer.from(text));
  }

  message(field: number, message: ProtobufMessage): this {
    return this.bytes(field, message.finish());
  }

  /** A repeated double, packed. */
  doubles(field: number, values: readonly number[]): this {
    const data = Buffer.alloc(8 * values.length);
    for (const [i, value] of values.entries()) data.writeDoubleLE(value, 8 * i);
    return this.bytes(field, data);
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #add(...parts: Uint8Array[]): this {
    this.#parts.push(...parts);
    return this;
  }
}

/** Seven bits a byte, the lowest first; the high bit tells that more follow. */
function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  // Division, not shifts: steps may pass 2^31.
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
  return Uint8Array.from(out);
}
