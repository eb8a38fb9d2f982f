import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BinceReader, BinceWriter } from '../../lib/codec/index.js';
import { BinceFile, decodeFile } from '../../lib/decoder/index.js';
import { type Golden, goldenFiles } from './golden_files.js';
import { modelOf, temporaryFolder } from './models.js';

const kFolder = join(dirname(fileURLToPath(import.meta.url)), '../golden/bince');

const kGolden = JSON.parse(readFileSync(join(kFolder, 'rows.json'), 'utf8')) as Golden[];

describe.each(kGolden)('$file', (golden) => {
  const path = join(kFolder, golden.file);
  const bytes = new Uint8Array(readFileSync(path));
  const expected = golden.dtype === 'int32' ? Int32Array.from(golden.data) : Float32Array.from(golden.data);
  const recover = golden.cutOff;

  it('decodes to its rows', async () => {
    expect(decodeFile(bytes, { recover }).data).toEqual(expected);
    const file = await BinceFile.open(bytes, { recover });
    expect(await file.rows(0, file.length)).toEqual(expected);
    await using reader = await BinceReader.open(path, { recover });
    expect(await reader.rows(0, reader.length)).toEqual(expected);
    expect(reader.info).toMatchObject({ rows: golden.rows, channels: golden.channels, dtype: golden.dtype });
    expect((await reader.verify()).bad).toEqual([]);
    for (let row = 0; row < golden.rows; row += 7) {
      const one = expected.subarray(row * golden.channels, (row + 1) * golden.channels);
      expect(await reader.rows(row, row + 1)).toEqual(one);
    }
    if (recover) await expect(BinceReader.open(path)).rejects.toMatchObject({ code: 'BINCE_CORRUPT_DATA' });
  });

  it('is what the writer writes', async () => {
    if (golden.cutOff) return expect(decodeFile(bytes, { recover }).recovery?.wholeBlocks).toBe(5);
    const { channels } = golden;
    const model = modelOf(bytes);
    const { blockRows, lanes, coder } = golden;
    const copy = join(await temporaryFolder(), 'copy.bince');
    let row = 0;
    for (const [session, rows] of golden.sessions.entries()) {
      const options = { blockRows, lanes, coder };
      const writer =
        session === 0 ? await BinceWriter.create(copy, model, options) : await BinceWriter.append(copy);
      await writer.write(expected.subarray(row * channels, (row + rows) * channels));
      await writer.close();
      row += rows;
    }
    expect(new Uint8Array(readFileSync(copy))).toEqual(bytes);
  });
});

it('the reference encoder makes the golden files', () => {
  for (const { golden, bytes } of goldenFiles()) {
    expect(kGolden).toContainEqual(golden);
    expect(new Uint8Array(readFileSync(join(kFolder, golden.file))), golden.file).toEqual(bytes);
  }
});
