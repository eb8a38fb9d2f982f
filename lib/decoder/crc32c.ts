/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, start and final complement), eight bytes a step with eight
 * tables ("slicing by 8", Kounavis and Berry 2005).
 */
const kPolynomial = 0x82f63b78;
const kSlices = 8;

const tables = buildTables();

function buildTables(): Int32Array[] {
  const slices = Array.from({ length: kSlices }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ kPolynomial : crc >>> 1;
    slices[0]![byte] = crc;
  }
  for (let slice = 1; slice < kSlices; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const previous = slices[slice - 1]![byte]!;
      slices[slice]![byte] = (previous >>> 8) ^ slices[0]![previous & 255]!;
    }
  }
  return slices;
}

/** CRC-32C of `bytes` as an unsigned number; `seed` continues one: crc(a then b) = crc32c(b, crc32c(a)). */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  let crc = ~seed;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      t7[crc & 255]! ^
      t6[(crc >>> 8) & 255]! ^
      t5[(crc >>> 16) & 255]! ^
      t4[crc >>> 24]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 255]!;
  return ~crc >>> 0;
}
