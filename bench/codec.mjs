// Files end to end: float32 rows in memory to a .bince file and back, by batches as the command line has them; sizes
// beside the ideal at 2, 50 and 1400 bits a row; the TypeScript decoder beside the native one.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinceReader, BinceWriter, createModel } from '../dist/codec/index.js';
import { decodeFile } from '../dist/decoder/index.js';

const summary = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
};

/** The integer table of a normal with standard deviation `sigma` in steps, symbols -reach..reach and the escape. */
function normalTable(sigma, reach) {
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-(((i - reach) / sigma) ** 2) / 2),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  const free = 65536 - weights.length - 1;
  const frequencies = weights.map((weight) => 1 + Math.floor((free * weight) / sum));
  frequencies[reach] += 65535 - frequencies.reduce((a, b) => a + b, 0);
  return [...frequencies, 1];
}

/** C channels of that table, each its own, and n rows drawn from it by inverse sampling. */
function sample(channels, sigma, reach, rows) {
  const frequencies = normalTable(sigma, reach);
  const cdf = [0];
  for (const frequency of frequencies) cdf.push(cdf.at(-1) + frequency);
  const all = new Int32Array(channels * cdf.length);
  for (let c = 0; c < channels; c++) all.set(cdf, c * cdf.length);
  const tables = {
    cdf: all,
    start: Int32Array.from({ length: channels + 1 }, (_, c) => c * cdf.length),
    offset: new Int32Array(channels).fill(-reach),
  };
  const model = createModel({ method: 'bench', tables, step: new Float32Array(channels).fill(0.25) });
  const symbolOf = new Int8Array(65535);
  for (let e = 0; e < cdf.length - 2; e++) symbolOf.fill(e - reach, cdf[e], cdf[e + 1]);
  let state = 1;
  const data = new Float32Array(rows * channels);
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = 0.25 * symbolOf[(((state >>> 8) * 65535) / 2 ** 24) | 0];
  }
  return { model, data };
}

async function writeFile(path, model, data, batchRows, options = {}) {
  const writer = await BinceWriter.create(path, model, options);
  const size = batchRows * model.channels;
  for (let at = 0; at < data.length; at += size) await writer.write(data.subarray(at, at + size));
  return writer.close();
}

async function readFile(path, options) {
  const reader = await BinceReader.open(path);
  let rows = 0;
  for await (const batch of reader.batches(options)) rows += batch.rows;
  await reader.close();
  return rows;
}

async function readRows(path) {
  const reader = await BinceReader.open(path);
  const { length } = await reader.rows(0, reader.length);
  await reader.close();
  return length;
}

async function timed(work, symbols, rounds) {
  const rates = [];
  for (let i = 0; i < rounds; i++) {
    const begin = performance.now();
    await work();
    rates.push(symbols / (performance.now() - begin) / 1e3);
  }
  return summary(rates);
}

/** Rates of writing and reading 512 channels at about 2.3 bits a symbol. */
async function rates(folder, quick) {
  const rows = quick ? 16384 : 65536;
  const rounds = quick ? 5 : 9;
  const { model, data } = sample(512, 1.15, 8, rows);
  const path = join(folder, 'rates.bince');
  const unit = 'Msymbol/s';
  const results = [];
  const note = 'opening, syncing and renaming included';
  for (const batchRows of [rows, 4096, 2048]) {
    const name = batchRows === rows ? 'one batch' : `batches of ${batchRows} rows`;
    const ours = await timed(() => writeFile(path, model, data, batchRows), data.length, rounds);
    results.push({
      case: `write ${rows} x 512 float32 to a file, ${name}`,
      unit,
      ours,
      target: 1500,
      note,
    });
  }
  for (const [name, options] of [
    ['batches that are used again', { reuse: true }],
    ['new batches', {}],
  ]) {
    const ours = await timed(() => readFile(path, options), data.length, rounds);
    results.push({ case: `read ${rows} x 512 float32 from a file, ${name}`, unit, ours, target: 1500 });
  }
  const all = await timed(() => readRows(path), data.length, rounds);
  results.push({ case: `read ${rows} x 512 float32 from a file as one new array`, unit, ours: all });
  const part = join(folder, 'part.bince');
  await writeFile(part, model, data.subarray(0, 4096 * 512), 4096);
  const bytes = new Uint8Array(readFileSync(part));
  const script = await timed(() => decodeFile(bytes), 4096 * 512, 3);
  results.push({ case: 'decode 4096 x 512 in TypeScript', unit, ours: script });
  return results;
}

/** Measured bits a row beside the ideal, header and all. */
async function sizes(folder, quick) {
  const results = [];
  for (const [channels, sigma, reach] of [
    [1, 0.9, 8],
    [22, 1.1, 8],
    [512, 1.55, 10],
  ]) {
    const rows = quick ? 16384 : 65536;
    const { model, data } = sample(channels, sigma, reach, rows);
    const path = join(folder, 'size.bince');
    const statistics = await writeFile(path, model, data, 8192);
    const measured = (8 * statSync(path).size) / rows;
    const ideal = statistics.idealBits / rows;
    const allowed = 1.01 * ideal + 0.1 + (8 * 65536) / rows;
    const value = (x) => ({ median: x, min: x, max: x });
    results.push({
      case: `size of ${rows} rows at ${ideal.toFixed(1)} bits a row`,
      unit: 'bits a row',
      ours: value(measured),
      peer: { name: 'ideal (cross-entropy)', ...value(ideal) },
      ratio: ideal / measured,
      target: allowed,
      note: `target: 1.01 x ideal + 0.1 bit a row + 64 KB for the file; ${(100 * (measured / ideal - 1)).toFixed(2)}% over the ideal`,
    });
  }
  return results;
}

export default async function ({ quick = false, log = () => {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bince-bench-'));
  try {
    log('codec: files end to end');
    return [...(await rates(folder, quick)), ...(await sizes(folder, quick))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
