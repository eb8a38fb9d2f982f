import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { float32ToFloat16 } from '../../lib/data/half_floats.js';
import { type BatchOptions, type OpenVectorsOptions, openVectors } from '../../lib/data/index.js';
import { BinceError } from '../../lib/errors.js';
import {
  bytesOf,
  normalRows,
  npyBytes,
  temporaryFolder,
  writeFvecs,
  writeNpy,
  writeSafetensors,
} from './files.js';

const folder = temporaryFolder();
let count = 0;
const fresh = (extension: string) => join(folder, `${count++}.${extension}`);

async function readAll(path: string, options?: BatchOptions, open?: OpenVectorsOptions) {
  const file = await openVectors(path, open);
  try {
    const batches: Float32Array[] = [];
    for await (const batch of file.batches(options)) batches.push(batch);
    return { file, batches, values: Float32Array.from(batches.flatMap((batch) => [...batch])) };
  } finally {
    await file.close();
  }
}

/** The float32 of the upper half of its bits. */
function floatOfTop(word: number): number {
  return new Float32Array(Uint32Array.of(word & 0xffff0000).buffer)[0]!;
}

function put(bytes: Uint8Array, extension = 'npy'): string {
  const path = fresh(extension);
  writeFileSync(path, bytes);
  return path;
}

/** The error of opening and reading a file: its code, message and hint in one text. */
async function failure(path: string, open?: OpenVectorsOptions): Promise<string> {
  const error = await readAll(path, undefined, open).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BinceError);
  const { code, message, hint } = error as BinceError;
  return `${code} ${message} ${hint}`;
}

describe('reading', () => {
  it.each([1, 2, 3])('.npy of float32, header version %i', async (version) => {
    const values = Float32Array.of(1, 2, 3, 4, 5, 6);
    const raw = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    const { file, values: read } = await readAll(put(npyBytes(raw, bytesOf(values), version)));
    expect(file).toMatchObject({ rows: 2, channels: 3, dtype: 'float32', format: 'npy', valueBytes: 24 });
    expect(read).toEqual(values);
  });

  it('takes header keys in any order and with either quotes', async () => {
    const raw = `{"shape":(1,2),"fortran_order":True , "descr":"<f8",}`;
    const { values } = await readAll(put(npyBytes(raw, bytesOf(Float64Array.of(0.1, -2)))));
    expect(values).toEqual(Float32Array.of(0.1, -2));
  });

  it('float16, every finite bit pattern', async () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((b) => (b & 0x7c00) !== 0x7c00);
    const raw = `{'descr': '<f2', 'fortran_order': False, 'shape': (${bits.length}, 1), }`;
    const { values } = await readAll(put(npyBytes(raw, bytesOf(bits))));
    expect(values[1]).toBe(2 ** -24);
    expect(values[0x3c00]).toBe(1);
    expect(values[0x7bff]).toBe(65504);
    expect(Object.is(values[0x7c00], -0)).toBe(true); // the first one after the infinities left out
    expect(new Set(values).size).toBe(bits.length - 1); // 0 and -0 are one in a Set
  });

  it('bfloat16 and a named tensor of .safetensors, at an odd offset', async () => {
    const path = writeSafetensors(fresh('safetensors'), {
      pad: { dtype: 'U8', shape: [3], data: new Uint8Array(3) },
      x: { dtype: 'BF16', shape: [2, 1], data: bytesOf(Uint16Array.of(0x3f80, 0xc000)) },
      y: { dtype: 'F32', shape: [1, 2], data: bytesOf(Float32Array.of(7, 8)) },
    });
    expect((await readAll(path, undefined, { tensor: 'x' })).values).toEqual(Float32Array.of(1, -2));
    expect((await readAll(path, undefined, { tensor: 'y' })).values).toEqual(Float32Array.of(7, 8));
    expect(await failure(path)).toMatch(/2 matrices.*--tensor NAME: x, y/);
    expect(await failure(path, { tensor: 'z' })).toMatch(/BINCE_NOT_FOUND.*no tensor 'z'.*pad, x, y/);
  });

  it('the only matrix of a .safetensors file without a name', async () => {
    const path = writeSafetensors(fresh('safetensors'), {
      bias: { dtype: 'F32', shape: [1], data: new Uint8Array(4) },
      x: { dtype: 'F32', shape: [1, 1], data: bytesOf(Float32Array.of(3)) },
    });
    expect((await readAll(path)).values).toEqual(Float32Array.of(3));
  });

  it('.fvecs', async () => {
    const values = normalRows(15, 1);
    const { file, values: read } = await readAll(writeFvecs(fresh('fvecs'), values, 5), { rows: 2 });
    expect(file).toMatchObject({ rows: 3, channels: 5 });
    expect(read).toEqual(values);
  });

  it('batches in two arrays when asked to, of every type', async () => {
    const values = Float32Array.from(normalRows(3 * 101, 4), (x) => Math.round(8 * x) / 8); // exact in all types
    const raw = (descr: string) => `{'descr': '${descr}', 'fortran_order': False, 'shape': (101, 3), }`;
    const halves = new Uint16Array(values.length);
    float32ToFloat16(values, halves);
    const words = new Uint32Array(values.buffer);
    const brains = Uint16Array.from(words, (word) => word >>> 16);
    const safe = { x: { dtype: 'BF16', shape: [101, 3], data: bytesOf(brains) } };
    for (const path of [
      writeNpy(fresh('npy'), values, 3),
      put(npyBytes(raw('<f2'), bytesOf(halves))),
      put(npyBytes(raw('<f8'), bytesOf(Float64Array.from(values)))),
      writeSafetensors(fresh('safetensors'), safe),
      writeFvecs(fresh('fvecs'), values, 3),
    ]) {
      const expected = path.endsWith('safetensors') ? Float32Array.from(words, floatOfTop) : values;
      const file = await openVectors(path);
      const memories = new Set<ArrayBufferLike>();
      let row = 2;
      for await (const batch of file.batches({ rows: 7, from: 2, reuse: true })) {
        expect(batch).toEqual(expected.subarray(3 * row, 3 * Math.min(101, row + 7)));
        memories.add(batch.buffer);
        row += batch.length / 3;
      }
      expect(row).toBe(101);
      expect(memories.size).toBe(2);
      expect(file.readSeconds).toBeGreaterThan(0);
      await file.close();
    }
  });

  it('leaves NaN to a caller who looks for it', async () => {
    const values = normalRows(12, 5);
    values[7] = Number.NaN;
    const { file, values: read } = await readAll(writeNpy(fresh('npy'), values, 3), { unchecked: true });
    expect(read).toEqual(values);
    expect(() => file.check(values.subarray(0, 6), 100)).not.toThrow();
    expect(() => file.check(values.subarray(6), 100)).toThrow(/row 100, channel 1 is NaN/);
  });

  it.each([1, 2, 3, 6, 7, 100])('batches of %i rows, of a part', async (rows) => {
    const values = normalRows(7 * 3, 2);
    const path = writeNpy(fresh('npy'), values, 3);
    const { batches, values: read } = await readAll(path, { rows, from: 1, to: 7 });
    expect(read).toEqual(values.subarray(3));
    expect(batches.map((batch) => batch.length / 3).slice(0, -1)).toEqual(
      new Array(batches.length - 1).fill(rows),
    );
  });

  it('one row of one channel', async () => {
    expect((await readAll(writeNpy(fresh('npy'), Float32Array.of(5), 1))).values).toEqual(Float32Array.of(5));
  });

  it('files that NumPy wrote', async ({ skip }) => {
    const path = fresh('npy');
    const program = `import numpy as np; np.save('${path}', np.arange(12, dtype=np.float16).reshape(3, 4))`;
    try {
      execFileSync('/usr/bin/python3', ['-c', program], { stdio: 'ignore' });
    } catch {
      skip('this machine has no NumPy');
    }
    expect([...(await readAll(path)).values]).toEqual([...Array(12).keys()]);
  });
});

describe('bad input', () => {
  const header = (shape: string, descr = "'<f4'") =>
    `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`;
  const four = bytesOf(Float32Array.of(1, 2, 3, 4));

  it.each([
    ['one dimension', header('(4,)'), /1 dimensions, shape \(4,\).*reshape\(1, -1\)/],
    ['three dimensions', header('(2, 2, 1)'), /3 dimensions.*reshape\(len\(x\), -1\)/],
    ['no dimension', header('()'), /0 dimensions/],
    ['integers', header('(2, 2)', "'<i4'"), /BINCE_UNSUPPORTED.*'<i4'.*astype\(np.float32\)/],
    ['big-endian floats', header('(2, 2)', "'>f4'"), /'>f4'.*astype/],
    ['a name of Object.prototype', header('(2, 2)', "'toString'"), /'toString'/],
    ['a structure', header('(2,)', "[('a', '<f4')]"), /structured array/],
    ['column order', header('(2, 2)').replace('False', 'True'), /Fortran.*ascontiguousarray/],
    ['no rows', header('(0, 4)'), /BINCE_INVALID_VALUE.*empty array, shape \(0, 4\)/],
    ['no channels', header('(4, 0)'), /empty array/],
    ['a shape that is too large', header('(3, 2)'), /needs \d+ bytes, the file has/],
    ['a shape that is too small', header('(1, 2)'), /needs \d+ bytes, the file has/],
    ['an enormous shape', header('(9007199254740991, 9007199254740991)'), /channels/],
    ['a negative size', header('(-1, 2)'), /damaged/],
    ['code instead of a dictionary', "__import__('os').getcwd()", /damaged .npy header/],
    ['an unclosed dictionary', "{'descr': '<f4'", /damaged .npy header/],
    ['deep nesting', '('.repeat(200), /damaged .npy header/],
    ['keys missing', '{}', /descr is not a string/],
  ])('.npy with %s', async (_, raw, expected) => {
    expect(await failure(put(npyBytes(raw, four)))).toMatch(expected);
  });

  it('every truncation of a .npy file', async () => {
    const whole = npyBytes(header('(2, 2)'), four);
    for (let length = 0; length < whole.length; length++)
      expect(await failure(put(whole.subarray(0, length), 'npy'))).toMatch(/BINCE_CORRUPT_DATA/);
  });

  it('every truncation of a .safetensors file', async () => {
    const path = writeSafetensors(fresh('safetensors'), { x: { dtype: 'F32', shape: [2, 2], data: four } });
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++)
      expect(await failure(put(whole.subarray(0, length), 'safetensors'))).toMatch(/BINCE_CORRUPT_DATA/);
  });

  it('.safetensors whose numbers lie', async () => {
    const make = (entry: unknown) => {
      const text = Buffer.from(JSON.stringify({ x: entry }));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.length));
      return put(Buffer.concat([length, text, four]), 'safetensors');
    };
    for (const entry of [
      null,
      7,
      { dtype: 'F32', shape: [2, 2], data_offsets: [0, 17] },
      { dtype: 'F32', shape: [2, 2], data_offsets: [8, 0] },
      { dtype: 'F32', shape: [3, 2], data_offsets: [0, 16] },
      { dtype: 'F32', shape: ['2', 2], data_offsets: [0, 16] },
    ])
      expect(await failure(make(entry))).toMatch(/BINCE_CORRUPT_DATA/);
    expect(await failure(make({ dtype: 'I32', shape: [2, 2], data_offsets: [0, 16] }))).toMatch(/no matrix/);
    expect(await failure(put(Buffer.alloc(64, 0xff), 'safetensors'))).toMatch(/a header of/);
  });

  it('.fvecs that is cut off or uneven', async () => {
    const bytes = readFileSync(writeFvecs(fresh('fvecs'), normalRows(6, 3), 3));
    expect(await failure(put(bytes.subarray(0, 20), 'fvecs'))).toMatch(/not a whole number of rows/);
    expect(await failure(put(bytes.subarray(0, 5), 'fvecs'))).toMatch(/too short/);
    expect(await failure(put(Buffer.alloc(0), 'fvecs'))).toMatch(/empty/);
    bytes.writeInt32LE(2, 16);
    expect(await failure(put(bytes, 'fvecs'))).toMatch(/row 1 says it has 2 channels/);
    bytes.writeInt32LE(-1, 0);
    expect(await failure(put(bytes, 'fvecs'))).toMatch(/claims -1 channels/);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'names the row of %d',
    async (bad) => {
      const values = normalRows(30, 4);
      values[3 * 7 + 2] = bad;
      expect(await failure(writeNpy(fresh('npy'), values, 3))).toMatch(
        /BINCE_INVALID_VALUE.*row 7, channel 2/,
      );
    },
  );

  it('float64 beyond float32', async () => {
    const path = put(npyBytes(header('(2, 1)', "'<f8'"), bytesOf(Float64Array.of(1, 1e300))));
    expect(await failure(path)).toMatch(/row 1, channel 0: 1e\+300 is beyond float32/);
  });

  it('names that are no files of vectors', async () => {
    expect(await failure(join(folder, 'none.npy'))).toMatch(/BINCE_NOT_FOUND.*no such file/);
    mkdirSync(join(folder, 'sub.npy'));
    expect(await failure(join(folder, 'sub.npy'))).toMatch(/is a folder/);
    expect(await failure('/dev/null')).toMatch(/no ordinary file/);
    expect(await failure(put(Buffer.from('hello there'), 'txt'))).toMatch(/known are .npy/);
    expect(await failure(put(Buffer.from('hello there'), 'npy'))).toMatch(/numpy.save/);
  });

  it('stops between batches when aborted', async () => {
    const file = await openVectors(writeNpy(fresh('npy'), normalRows(10, 5), 1));
    const controller = new AbortController();
    const read = async () => {
      for await (const _ of file.batches({ rows: 2, signal: controller.signal })) controller.abort();
    };
    await expect(read()).rejects.toThrow(/abort/);
    await file.close();
  });
});
