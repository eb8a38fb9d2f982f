/** Makes small files of vectors for the tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { buildNpyHeader } from '../../lib/data/npy_header.js';

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bince-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The bytes of a .npy file; `raw` is the text of its header's dictionary. */
export function npyBytes(raw: string, data: Uint8Array, version = 1): Buffer {
  const prefix = version === 1 ? 10 : 12;
  const text = `${raw.padEnd(Math.ceil((prefix + raw.length + 1) / 64) * 64 - prefix - 1)}\n`;
  const head = Buffer.alloc(prefix);
  head.write('\u0093NUMPY', 'latin1');
  head[6] = version;
  if (version === 1) head.writeUInt16LE(text.length, 8);
  else head.writeUInt32LE(text.length, 8);
  return Buffer.concat([head, Buffer.from(text, 'latin1'), data]);
}

export function bytesOf(values: Float32Array | Float64Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Writes a float32 matrix. */
export function writeNpy(path: string, values: Float32Array, channels: number): string {
  writeFileSync(
    path,
    Buffer.concat([buildNpyHeader('<f4', [values.length / channels, channels]), bytesOf(values)]),
  );
  return path;
}

export function writeSafetensors(
  path: string,
  tensors: Record<string, { dtype: string; shape: number[]; data: Uint8Array }>,
): string {
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: { made: 'by a test' } };
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.length] };
    at += data.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, ...Object.values(tensors).map(({ data }) => data)]));
  return path;
}

export function writeFvecs(path: string, values: Float32Array, channels: number): string {
  const rows = values.length / channels;
  const out = Buffer.alloc(rows * (4 + 4 * channels));
  for (let row = 0; row < rows; row++) {
    out.writeInt32LE(channels, row * (4 + 4 * channels));
    for (let c = 0; c < channels; c++)
      out.writeFloatLE(values[row * channels + c]!, row * (4 + 4 * channels) + 4 + 4 * c);
  }
  writeFileSync(path, out);
  return path;
}

/** Normal deviates from a small generator, the same for the same seed. */
export function normalRows(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

/** The bytes of an IDX file: 8 is uint8, 12 int32, 13 float32; values big-endian. */
export function idxBytes(type: number, shape: readonly number[], data: Uint8Array): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head[2] = type;
  head[3] = shape.length;
  for (const [i, size] of shape.entries()) head.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([head, data]);
}
