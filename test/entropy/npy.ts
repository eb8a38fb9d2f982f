/** The golden arrays of test/golden/clip_bottleneck_b005. */
import { readFileSync } from 'node:fs';

const folder = new URL('../golden/clip_bottleneck_b005/', import.meta.url);

/** A little-endian .npy file (version 1) of int32. */
export function int32Npy(name: string): { shape: number[]; data: Int32Array } {
  const bytes = readFileSync(new URL(name, folder));
  const headerBytes = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + headerBytes);
  if (!header.includes("'<i4'") || !header.includes("'fortran_order': False"))
    throw new Error(`${name}: expected little-endian int32 in C order, received ${header}`);
  const shape = /'shape': \(([^)]*)\)/
    .exec(header)![1]!
    .split(',')
    .filter((s) => s.trim())
    .map(Number);
  const data = bytes.subarray(10 + headerBytes);
  return { shape, data: Int32Array.from({ length: data.length / 4 }, (_, i) => data.readInt32LE(4 * i)) };
}

/** The float32 tensors of a safetensors file. */
export function safetensors(name: string): Map<string, Float32Array> {
  const bytes = readFileSync(new URL(name, folder));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, Float32Array>();
  for (const [key, { dtype, data_offsets: range }] of Object.entries(header)) {
    if (dtype !== 'F32') continue;
    const data = bytes.subarray(8 + headerBytes + range[0], 8 + headerBytes + range[1]);
    tensors.set(
      key,
      Float32Array.from({ length: data.length / 4 }, (_, i) => data.readFloatLE(4 * i)),
    );
  }
  return tensors;
}
