import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIdx } from '../../lib/data/idx.js';
import { readIdx } from '../../lib/data/index.js';
import { BinceError } from '../../lib/errors.js';
import { idxBytes, temporaryFolder } from './files.js';

const folder = temporaryFolder();
let count = 0;
function put(bytes: Uint8Array): string {
  const path = join(folder, `${count++}-idx`);
  writeFileSync(path, bytes);
  return path;
}

async function failure(bytes: Uint8Array): Promise<string> {
  const error = await readIdx(put(bytes)).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BinceError);
  const { code, message } = error as BinceError;
  return `${code} ${message}`;
}

describe('readIdx', () => {
  const values = Uint8Array.from({ length: 24 }, (_, i) => i * 7);
  const good = idxBytes(8, [2, 3, 4], values);

  it('reads bytes, plain and gzipped', async () => {
    const expected = { dtype: 'uint8', shape: [2, 3, 4] };
    for (const bytes of [good, gzipSync(good)]) {
      const array = await readIdx(put(bytes));
      expect(array).toMatchObject(expected);
      expect([...array.data]).toEqual([...values]);
    }
  });

  it('reads big-endian int32 and float32', async () => {
    const room = Buffer.alloc(8);
    room.writeInt32BE(-5, 0);
    room.writeInt32BE(1 << 20, 4);
    expect((await readIdx(put(idxBytes(12, [2], room)))).data).toEqual(Int32Array.of(-5, 1 << 20));
    room.writeFloatBE(1.5, 0);
    room.writeFloatBE(-(2 ** -20), 4);
    expect((await readIdx(put(idxBytes(13, [1, 2], room)))).data).toEqual(Float32Array.of(1.5, -(2 ** -20)));
  });

  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'only 0 bytes'],
    ['another magic', Buffer.from('PNG and so on'), 'not as an IDX file does'],
    ['an unknown type', idxBytes(7, [1], new Uint8Array(1)), 'not as an IDX file does'],
    ['no dimensions', Buffer.of(0, 0, 8, 0), '0 dimensions, expected 1 to 8'],
    ['many dimensions', Buffer.of(0, 0, 8, 9), '9 dimensions'],
    ['a header cut off', good.subarray(0, 15), 'ends in its header, at byte 15'],
    ['values cut off', good.subarray(0, -1), 'needs 40 bytes, the file has 39'],
    ['values to spare', Buffer.concat([good, Buffer.of(1)]), 'needs 40 bytes, the file has 41'],
    ['sizes that lie', idxBytes(8, [0xffffffff, 0xffffffff, 0xffffffff], values), 'the file has 40'],
    ['gzip cut off', gzipSync(good).subarray(0, 40), 'gzip'],
    ['gzip without content', gzipSync(good).subarray(0, 12), 'too short for gzip'],
    ['gzip with a trailer that lies', lying(gzipSync(good), 3), 'damaged gzip'],
    ['gzip that claims gigabytes', lying(gzipSync(good), 0xfffffff0), 'impossible for'],
  ])('%s is corrupt', async (_, bytes, expected) => {
    const text = await failure(bytes);
    expect(text).toContain('BINCE_CORRUPT_DATA');
    expect(text).toContain(expected);
  });

  it('names types that it does not take, and files that are missing', async () => {
    expect(await failure(idxBytes(14, [1], new Uint8Array(8)))).toMatch(
      /BINCE_UNSUPPORTED .*float64, expected uint8, int32 or float32/,
    );
    await expect(readIdx(join(folder, 'none'))).rejects.toMatchObject({ code: 'BINCE_NOT_FOUND' });
  });

  it('never fails in another way on damaged bytes', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, length) => {
        const bytes = Uint8Array.from(good);
        bytes[at] = value;
        try {
          parseIdx(bytes.subarray(0, length), 'x');
        } catch (error) {
          expect(error).toBeInstanceOf(BinceError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** A gzip file whose trailer claims another size. */
function lying(bytes: Buffer, size: number): Buffer {
  const out = Buffer.from(bytes);
  out.writeUInt32LE(size, out.length - 4);
  return out;
}
