import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BinceReader, BinceWriter, createModel } from '../../lib/codec/index.js';
import { BinceFile, decodeFile } from '../../lib/decoder/index.js';

const kFolder = join(dirname(fileURLToPath(import.meta.url)), '../golden/bince');

interface Golden {
  file: string;
  rows: number;
  channels: number;
  dtype: 'int32' | 'float32';
  blockRows: number;
  lanes: 1 | 4 | 8 | 32;
  coder: 'rans' | 'range';
  /** Rows of each session of writing. */
  sessions: number[];
  cutOff: boolean;
  data: number[];
}

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

  it.runIf(!golden.cutOff && golden.sessions.length === 1)('is what the writer writes', async () => {
    const { header } = decodeFile(bytes);
    const { tables, tableIndex, median, step, shift, channels, dtype, json } = header;
    const model = createModel({
      ...{ tables, channels, dtype, name: String(json['name']), method: String(json['method']) },
      ...(tableIndex ? { tableIndex } : {}),
      ...(median ? { median } : {}),
      ...(step ? { step } : {}),
      ...(shift ? { shift } : {}),
    });
    const parts: Uint8Array[] = [];
    const sink = {
      write: async (part: Uint8Array) => void parts.push(part.slice()),
      close: async () => {},
      abort: async () => {},
    };
    const { blockRows, lanes, coder } = golden;
    const writer = await BinceWriter.create(sink, model, { blockRows, lanes, coder });
    await writer.write(expected);
    await writer.close();
    expect(new Uint8Array(Buffer.concat(parts))).toEqual(bytes);
  });
});

// Only for a new format version: BINCE_WRITE_GOLDEN=1 makes files that are not there yet.
describe.runIf(process.env['BINCE_WRITE_GOLDEN'])('golden files', () => {
  it('are made', async () => {
    const { goldenFiles } = await import('./golden_files.js');
    const all: Golden[] = [];
    for (const { golden, bytes } of goldenFiles()) {
      const path = join(kFolder, golden.file);
      if (!existsSync(path)) writeFileSync(path, bytes);
      all.push(golden);
    }
    writeFileSync(
      join(kFolder, 'rows.json'),
      `[\n${all.map((golden) => JSON.stringify(golden)).join(',\n')}\n]\n`,
    );
  });
});
