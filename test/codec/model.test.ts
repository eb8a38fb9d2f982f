import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  createModel,
  idealBits,
  loadModel,
  modelHash,
  SafetensorsFile,
  saveModel,
  writeSafetensors,
} from '../../lib/codec/index.js';
import { randomModel, temporaryFolder } from './models.js';
import { random, randomTables } from './random_files.js';

const kTables = randomTables(random(1), 3, 9);

describe('models', () => {
  it('are read as they were saved', async () => {
    const path = join(await temporaryFolder(), 'm.safetensors');
    const model = randomModel(5, 6, {
      shape: [2, 3],
      dtype: 'float16',
      metadata: { made: 'here', beta: 0.01, list: [1, null] },
      network: {
        'matrices.0': { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
        steps: { shape: [], data: Int32Array.of(7) },
      },
    });
    await saveModel(path, model);
    expect(await loadModel(path)).toEqual(model);
    const shared = createModel({ method: 'ecsq', tables: kTables, tableIndex: Int32Array.of(2, 0, 0, 1, 2) });
    await saveModel(path, shared);
    expect(await loadModel(path)).toEqual(shared);
    expect(await readdir(join(path, '..'))).toEqual(['m.safetensors']);
  });

  it('have defaults', () => {
    const model = createModel({ method: 'ecsq', tables: kTables });
    expect(model).toMatchObject({ name: 'unnamed', channels: 3, dtype: 'float32', metadata: {} });
    expect([...model.step, ...model.shift, ...model.median]).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0]);
  });

  it('have a hash of what decides the bytes', () => {
    const model = randomModel(5, 3);
    const same = createModel({ ...model, name: 'other', metadata: { a: 1 }, dtype: 'float16' });
    expect(modelHash(model)).toMatch(/^[0-9a-f]{64}$/);
    expect(modelHash(same)).toBe(modelHash(model));
    const step = model.step.slice();
    step[1]! *= 2;
    expect(modelHash({ ...model, step })).not.toBe(modelHash(model));
    expect(modelHash({ ...model, tableIndex: Int32Array.of(0, 1, 2) })).toBe(modelHash(model));
    expect(modelHash({ ...model, tableIndex: Int32Array.of(0, 2, 1) })).not.toBe(modelHash(model));
  });

  it('know their ideal bits a row', () => {
    const tables = {
      cdf: Int32Array.of(0, 32768, 65536, 0, 16384, 32768, 65536),
      start: Int32Array.of(0, 3, 7),
      offset: Int32Array.of(0, 0),
    };
    expect(idealBits(createModel({ method: 'ecsq', tables }))).toBe(1 + 1.5);
    const tableIndex = Int32Array.of(1, 1, 0);
    expect(idealBits(createModel({ method: 'ecsq', tables, tableIndex }))).toBe(4);
  });

  it.each<[string, object, RegExp]>([
    [
      'a table that does not rise',
      { tables: { ...kTables, cdf: kTables.cdf.map((x) => Math.min(x, 5)) } },
      /^table 0/,
    ],
    ['tables of another type', { tables: { ...kTables, cdf: Array.from(kTables.cdf) } }, /^tables.cdf/],
    [
      'a start beyond the end',
      { tables: { ...kTables, start: Int32Array.of(0, 3, 6, 999) } },
      /^tables.start/,
    ],
    ['an offset out of range', { tables: { ...kTables, offset: Int32Array.of(0, 2 ** 30, 0) } }, /^table 1/],
    ['too few tables', { channels: 4 }, /^tables: expected 4 tables/],
    ['no channels', { channels: 0 }, /^channels/],
    ['an index of no table', { tableIndex: Int32Array.of(0, 3, 0) }, /^tableIndex\[1\]/],
    ['a step of zero', { step: Float32Array.of(1, 0, 1) }, /^step\[1\]/],
    ['a subnormal step', { step: Float32Array.of(1, 1, 1e-40) }, /^step\[2\]/],
    ['a NaN median', { median: Float32Array.of(Number.NaN, 0, 1) }, /^median\[0\]/],
    ['a short shift', { shift: Float32Array.of(1) }, /^shift: expected Float32Array\(3\)/],
    ['a wrong shape', { shape: [2, 2] }, /^shape: expected a product of 3/],
    ['an unknown dtype', { dtype: 'float64' }, /^dtype/],
    ['no method', { method: '' }, /^method/],
    ['metadata that is no JSON', { metadata: [1] }, /^metadata/],
    [
      'a network tensor of a wrong size',
      { network: { a: { shape: [2], data: new Float32Array(3) } } },
      /^network.a/,
    ],
  ])('are refused: %s', (_, fields, message) => {
    const make = () => createModel({ method: 'ecsq', tables: kTables, ...fields } as never);
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ code: 'BINCE_INVALID_ARGUMENT' }));
  });

  it('are refused when the file is not theirs', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'm.safetensors');
    await expect(loadModel(path)).rejects.toMatchObject({ code: 'BINCE_NOT_FOUND' });
    await writeSafetensors(path, { x: { dtype: 'F32', shape: [1], data: new Float32Array(1) } });
    await expect(loadModel(path)).rejects.toThrow(/not a model of bince/);
    await saveModel(path, randomModel(5, 3));
    const bytes = await readFile(path);
    const changed = bytes.map((byte, i) => (i === bytes.length - 3 ? byte ^ 1 : byte));
    await writeFile(path, changed);
    await expect(loadModel(path)).rejects.toMatchObject({ code: 'BINCE_CORRUPT_DATA' });
    for (const [from, to] of [
      ['bince-model"', 'other-model"'],
      ['"version":"1"', '"version":"2"'],
      ['\\"channels\\":3', '\\"channels\\":4'],
      ['"tables.cdf"', '"tables.cdx"'],
    ]) {
      const text = bytes.toString('latin1');
      expect(text).toContain(from);
      await writeFile(path, Buffer.from(text.replace(from!, to!), 'latin1'));
      await expect(loadModel(path)).rejects.toMatchObject({ name: 'BinceError' });
    }
  });

  it('are refused, never misread, with a byte of the file changed', async () => {
    const path = join(await temporaryFolder(), 'm.safetensors');
    const model = createModel({ method: 'ecsq', tables: randomTables(random(3), 1, 4) });
    await saveModel(path, model);
    const bytes = await readFile(path);
    for (let at = 0; at < bytes.length; at += 3) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1 << (at % 8);
      await writeFile(path, damaged);
      try {
        const read = await loadModel(path);
        expect(modelHash(read)).toBe(modelHash(model));
      } catch (error) {
        expect(error).toMatchObject({ name: 'BinceError' });
      }
    }
  });
});

describe('safetensors', () => {
  async function fileWith(header: unknown, data: Uint8Array): Promise<string> {
    const path = join(await temporaryFolder(), 'x.safetensors');
    const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    await writeFile(path, Buffer.concat([length, json, data]));
    return path;
  }

  it('converts every dtype', async () => {
    const view = (array: ArrayBufferView) => array;
    const tensors = {
      f64: { dtype: 'F64' as const, shape: [2], data: view(Float64Array.of(0.1, -2)) },
      f32: { dtype: 'F32' as const, shape: [1, 2], data: view(Float32Array.of(1.5, -2)) },
      f16: { dtype: 'F16' as const, shape: [4], data: view(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00)) },
      bf16: { dtype: 'BF16' as const, shape: [2], data: view(Uint16Array.of(0x3f80, 0xc020)) },
      i64: { dtype: 'I64' as const, shape: [2], data: view(BigInt64Array.of(-5n, 7n)) },
      u8: { dtype: 'U8' as const, shape: [3], data: view(Uint8Array.of(1, 2, 255)) },
      i16: { dtype: 'I16' as const, shape: [2], data: view(Int16Array.of(-300, 300)) },
      empty: { dtype: 'F32' as const, shape: [0, 4], data: view(new Float32Array(0)) },
    };
    const path = join(await temporaryFolder(), 'x.safetensors');
    await writeSafetensors(path, tensors, { a: 'b' });
    await using file = await SafetensorsFile.open(path);
    expect(file.metadata).toEqual({ a: 'b' });
    expect(file.entry('f32').shape).toEqual([1, 2]);
    expect(await file.readFloat32('f64')).toEqual(Float32Array.of(0.1, -2));
    expect(await file.readFloat32('f32', { begin: 1, end: 2 })).toEqual(Float32Array.of(-2));
    expect(await file.readFloat32('f16')).toEqual(Float32Array.of(1, -2, 2 ** -24, Number.POSITIVE_INFINITY));
    expect(await file.readFloat32('bf16')).toEqual(Float32Array.of(1, -2.5));
    expect(await file.readFloat32('u8')).toEqual(Float32Array.of(1, 2, 255));
    expect(await file.readFloat32('empty')).toEqual(new Float32Array(0));
    expect(await file.readInt32('i64')).toEqual(Int32Array.of(-5, 7));
    expect(await file.readInt32('i16')).toEqual(Int32Array.of(-300, 300));
    await expect(file.readInt32('f32')).rejects.toThrow(/expected integers/);
    await expect(file.readFloat32('f32', { begin: 1, end: 3 })).rejects.toThrow(/^range/);
    expect(() => file.entry('none')).toThrow(/no tensor 'none'; it has .*f64/);
  });

  it.each<[string, unknown, number]>([
    ['header is not JSON', '{', 0],
    ['header is no object', '[]', 0],
    ["'a' is no object", { a: 1 }, 0],
    ['the dtype F8', { a: { dtype: 'F8', shape: [1], data_offsets: [0, 1] } }, 1],
    ['the dtype toString', { a: { dtype: 'toString', shape: [1], data_offsets: [0, 1] } }, 1],
    ['the shape [-1]', { a: { dtype: 'U8', shape: [-1], data_offsets: [0, 1] } }, 1],
    ['the shape', { a: { dtype: 'U8', shape: 3, data_offsets: [0, 1] } }, 1],
    ['no data_offsets', { a: { dtype: 'U8', shape: [1] } }, 1],
    ['where its shape needs 8', { a: { dtype: 'F32', shape: [2], data_offsets: [0, 4] } }, 4],
    [
      'overlaps',
      {
        a: { dtype: 'U8', shape: [2], data_offsets: [0, 2] },
        b: { dtype: 'U8', shape: [2], data_offsets: [1, 3] },
      },
      3,
    ],
    ['follows a gap', { a: { dtype: 'U8', shape: [1], data_offsets: [1, 2] } }, 2],
    ['ends at byte', { a: { dtype: 'U8', shape: [9], data_offsets: [0, 9] } }, 3],
    ['after the last tensor', { a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } }, 3],
    ['is no string', { __metadata__: { a: 1 } }, 0],
  ])('is refused: %s', async (message, header, size) => {
    const path = await fileWith(header, new Uint8Array(size));
    await expect(SafetensorsFile.open(path)).rejects.toMatchObject({
      code: 'BINCE_CORRUPT_DATA',
      message: expect.stringContaining(message),
    });
  });

  it('is refused with a header that lies about its length', async () => {
    const path = join(await temporaryFolder(), 'x.safetensors');
    for (const bytes of [
      [],
      [1, 2, 3],
      [255, 255, 255, 255, 255, 255, 255, 255],
      [9, 0, 0, 0, 0, 0, 0, 0, 123],
    ]) {
      await writeFile(path, Uint8Array.from(bytes));
      await expect(SafetensorsFile.open(path)).rejects.toMatchObject({ code: 'BINCE_CORRUPT_DATA' });
    }
  });
});
