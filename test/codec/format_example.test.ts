import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { BinceReader } from '../../lib/codec/index.js';
import { decodeFile } from '../../lib/decoder/index.js';
import { encodeFile } from './reference_encoder.js';

const kText = readFileSync(join(dirname(fileURLToPath(import.meta.url)), '../../docs/FORMAT.md'), 'utf8');

function hexBytes(lines: string[]): number[] {
  return lines.flatMap((line) =>
    line
      .trim()
      .split(/\s+/)
      .slice(1)
      .map((byte) => Number.parseInt(byte, 16)),
  );
}

it('the worked example of docs/FORMAT.md is a file with these rows', async () => {
  const dump = /<!-- example -->\n```\n([\s\S]*?)\n```/.exec(kText)![1]!;
  const bytes = Uint8Array.from(hexBytes(dump.split('\n')));
  expect(bytes.length).toBe(145);
  expect(decodeFile(bytes, { as: 'symbols' }).data).toEqual(Int32Array.of(0, 1, -1, 0, 7, 0));
  const reader = await BinceReader.open(bytes);
  expect(await reader.rows(0, 3)).toEqual(Float32Array.of(0, 0.5, -0.5, 0, 3.5, 0));
  const made = encodeFile(
    {
      tables: {
        cdf: Int32Array.of(0, 16384, 49152, 65532, 65536),
        start: Int32Array.of(0, 5),
        offset: Int32Array.of(-1),
      },
      ...{ tableIndex: Int32Array.of(0, 0), channels: 2, blockRows: 4, lanes: 2, coder: 'rans', dtype: 1 },
      step: Float32Array.of(0.5, 0.5),
      json: { name: 'example' },
    },
    [[0, 1, -1, 0, 7, 0]],
  );
  expect(bytes).toEqual(made);
});
