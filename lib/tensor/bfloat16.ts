/** bfloat16: the upper half of a float32, as its 16 bits. */

/** The nearest bfloat16 of each value, half to even; NaN stays NaN. */
export function toBfloat16(values: Float32Array | Float64Array | readonly number[]): Uint16Array {
  const floats = values instanceof Float32Array ? values : Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const out = new Uint16Array(floats.length);
  for (let i = 0; i < bits.length; i++) {
    const each = bits[i]!;
    // Of a NaN the upper half may be an infinity: a bit of the mantissa is set.
    if ((each & 0x7fffffff) > 0x7f800000) out[i] = (each >>> 16) | 0x40;
    else out[i] = (each + 0x7fff + ((each >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** The values of bits. */
export function fromBfloat16(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16;
  return new Float32Array(out.buffer);
}
