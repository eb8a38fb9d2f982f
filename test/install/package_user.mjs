// A user of the published package: every door opens and does a little work.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinceError } from 'bince';
import { BinceReader, BinceWriter } from 'bince/codec';
import { decodeFile } from 'bince/decoder';
import { fitEcsq, vectorsInMemory } from 'bince/fit';
import { describe, infoNCESync } from 'bince/kernels';

assert.match(describe().backend, /^(ref|avx2|avx512|neon)$/);
const q = Float32Array.from([1, 0, 0, 1]);
const { loss } = infoNCESync(q, q, { dim: 2 });
assert.ok(Math.abs(loss - Math.log(1 + Math.exp(-1))) < 1e-6);
assert.throws(() => infoNCESync(q, q, { dim: 3 }), BinceError);

const channels = 8;
const rows = Float32Array.from(
  { length: 500 * channels },
  (_, i) => Math.sin(i * 0.37) * (1 + (i % channels)),
);
const { model } = await fitEcsq(vectorsInMemory(rows, channels), { step: 0.05 });
const folder = mkdtempSync(join(tmpdir(), 'bince-user-'));
const path = join(folder, 'rows.bince');
const writer = await BinceWriter.create(path, model);
await writer.write(rows);
await writer.close();
const reader = await BinceReader.open(path);
const back = await reader.rows(0, 500);
await reader.close();
assert.equal(back.length, rows.length);
for (let i = 0; i < rows.length; i += 1) assert.ok(Math.abs(back[i] - rows[i]) < 0.026);
assert.deepEqual(decodeFile(new Uint8Array(readFileSync(path))).data, back);
rmSync(folder, { recursive: true });
console.log('the package works');
