/** Models and rows for tests of the codec. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type CodecModel, createModel, type ModelFields } from '../../lib/codec/index.js';
import { decodeFile } from '../../lib/decoder/index.js';
import { random, randomTables } from './random_files.js';

/** A folder that is removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bince-codec-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A model with random tables and scalars. */
export function randomModel(seed: number, channels: number, fields: Partial<ModelFields> = {}): CodecModel {
  const next = random(seed);
  const scalars = (make: () => number) => Float32Array.from({ length: channels }, make);
  return createModel({
    name: 'test',
    method: 'ecsq',
    tables: randomTables(next, channels, 24),
    median: scalars(() => next() - 0.5),
    step: scalars(() => 0.05 + next()),
    shift: scalars(() => 20 * (next() - 0.5)),
    ...fields,
  });
}

/** n rows that lie on the model's grid, so that decoding gives them back exactly. */
export function gridRows(model: CodecModel, rows: number, seed = 7): Float32Array {
  const next = random(seed);
  const { channels, tables, median, step, shift } = model;
  const f = Math.fround;
  return Float32Array.from({ length: rows * channels }, (_, i) => {
    const c = i % channels;
    const t = model.tableIndex ? model.tableIndex[c]! : c;
    const entries = tables.start[t + 1]! - tables.start[t]! - 1;
    const far = next() < 0.02 ? 1000 : 1;
    const symbol = tables.offset[t]! + Math.floor(far * next() * entries);
    return f(f(f(f(symbol) + median[c]!) * step[c]!) + shift[c]!);
  });
}

/** The parts of an array in batches of `size` rows. */
export function* inBatches(rows: Float32Array, channels: number, size: number): Generator<Float32Array> {
  for (let at = 0; at < rows.length; at += size * channels) yield rows.subarray(at, at + size * channels);
}

/** The model that a file was written with. */
export function modelOf(file: Uint8Array): CodecModel {
  const { tables, tableIndex, median, step, shift, channels, dtype, json } = decodeFile(file).header;
  return createModel({
    ...{ tables, channels, dtype, name: String(json['name']), method: String(json['method']) },
    ...(tableIndex ? { tableIndex } : {}),
    ...(median ? { median } : {}),
    ...(step ? { step } : {}),
    ...(shift ? { shift } : {}),
  });
}
