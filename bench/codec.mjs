// Files end to end: float32 rows in memory to a .bince file and back, in batches and one by one; the commands with
// their peak memory; sizes beside the ideal at 2, 50 and 1400 bits a row; the TypeScript decoder beside the native one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { makeBlockCoder } from '../dist/codec/block_format.js';
import { BinceReader, BinceWriter, createModel, saveModel } from '../dist/codec/index.js';
import { NpyWriter } from '../dist/data/index.js';
import { decodeFile } from '../dist/decoder/index.js';
import { preferLargePages } from '../dist/kernels/coding.js';
import { atLeast, atMost } from '../scripts/bench_targets.mjs';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

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

/** A new file as the page cache has it: written, not synced. */
async function pageCacheSink(path) {
  const file = await open(path, 'wx');
  return {
    copies: true,
    write: async (bytes) => void (await file.write(bytes)),
    close: () => file.close(),
    abort: () => file.close(),
  };
}

async function writeFile(target, model, data, batchRows, options = {}) {
  const writer = await BinceWriter.create(target, model, options);
  const size = batchRows * model.channels;
  for (let at = 0; at < data.length; at += size) await writer.write(data.subarray(at, at + size));
  return writer.close();
}

async function readFile(path, options) {
  const reader = await BinceReader.open(path);
  for await (const _ of reader.batches(options));
  await reader.close();
}

async function readRows(path) {
  const reader = await BinceReader.open(path);
  await reader.rows(0, reader.length);
  await reader.close();
}

/** Touches new memory for so many values, in arrays of `size`. */
function touch(values, size) {
  for (let left = values; left > 0; left -= size) {
    const array = preferLargePages(new Float32Array(Math.min(size, left)));
    for (let i = 0; i < array.length; i += 1024) array[i] = 1;
  }
}

/** Rates of `work`, and of `peer` in turns with it; `before` each is not counted. */
async function timed(work, symbols, rounds, { peer = () => {}, before = () => {} } = {}) {
  const rates = [[], []];
  for (let i = 0; i <= rounds; i++) {
    for (const [which, step] of [work, peer].entries()) {
      before();
      const begin = performance.now();
      await step();
      if (i > 0) rates[which].push(symbols / (performance.now() - begin) / 1e3);
    }
  }
  return rates.map(summary);
}

const unit = 'Msymbol/s';

/** The coder between memory and memory, a chunk of four blocks a call: what files can be as fast as, on two threads. */
async function coderAlone({ model, data }) {
  const coder = makeBlockCoder({ ...model, coder: 'rans', lanes: 32, blockRows: 4096, crc: 0 });
  const size = 4 * 4096 * 512;
  const out = new Uint8Array(size);
  const rows = new Float32Array(size);
  const chunks = Array.from({ length: data.length / size }, (_, i) =>
    data.subarray(i * size, (i + 1) * size),
  );
  const { bytes } = await coder.encode(chunks[0]);
  return {
    encode: async () => {
      for (const chunk of chunks) await coder.encode(chunk, { out });
    },
    decode: async () => {
      for (const _ of chunks) await coder.decode(bytes, { out: rows });
    },
  };
}

/** The columns of a case beside its peer. */
const beside = (name, [ours, peer]) => ({ ours, peer: { name, ...peer }, ratio: ours.median / peer.median });

/** Rates of writing 512 channels at about 2.3 bits a symbol, in batches as callers may have them. */
async function writing(folder, { model, data }, rounds, { encode: peer }) {
  const results = [];
  const rows = data.length / 512;
  const path = join(folder, 'rates.bince');
  const writer = await BinceWriter.create(path, model);
  const { batchRows } = writer;
  await writer.abort();
  const before = () => rmSync(path, { force: true });
  for (const [size, what] of [
    [rows, 'one batch'],
    [batchRows, `batches of ${batchRows} rows`],
    [4096, 'batches of 4096 rows'],
    [1000, 'batches of 1000 rows'],
  ]) {
    const work = async () => writeFile(await pageCacheSink(path), model, data, size);
    const rates = beside('coder alone', await timed(work, data.length, rounds, { before, peer }));
    const copied = size < 8192 ? { note: 'smaller than a block for every thread: gathered, by a copy' } : {};
    const name = `write ${rows} x 512 float32 to the page cache, ${what}`;
    results.push({ case: name, unit, ...rates, target: atLeast(1500), ...copied });
  }
  const [ours] = await timed(() => writeFile(path, model, data, rows), data.length, rounds, { before });
  const note = 'to the disk, and put in place by rename';
  results.push({ case: `write ${rows} x 512 float32 and sync, one batch`, unit, ours, note });
  return results;
}

/** Rates of reading them back. */
async function reading(folder, { model, data }, rounds, { decode }) {
  const rows = data.length / 512;
  const path = join(folder, 'rates.bince');
  await writeFile(path, model, data, rows);
  const name = `read ${rows} x 512 float32 from the page cache,`;
  const again = () => readFile(path, { reuse: true });
  const reused = beside('coder alone', await timed(again, data.length, rounds, { peer: decode }));
  const results = [{ case: `${name} batches that are used again`, unit, ...reused, target: atLeast(1500) }];
  const chunk = 16384 * 512;
  for (const [what, work, size] of [
    ['new batches', () => readFile(path, {}), chunk],
    ['one new array', () => readRows(path), data.length],
  ]) {
    const peer = () => touch(data.length, size);
    results.push({
      case: `${name} ${what}`,
      unit,
      ...beside('touching new memory', await timed(work, data.length, rounds, { peer })),
      note: 'bound by the making of new memory, which the peer does alone, on one thread',
    });
  }
  const part = join(folder, 'part.bince');
  await writeFile(part, model, data.subarray(0, 4096 * 512), 4096);
  const bytes = new Uint8Array(readFileSync(part));
  const [script] = await timed(() => decodeFile(bytes), 4096 * 512, 3);
  results.push({ case: 'decode 4096 x 512 in TypeScript', unit, ours: script });
  return results;
}

/** Time of one row: anywhere in the file, where its block is decoded, and beside the row before. */
async function oneRow(folder, { model, data }, rounds) {
  const results = [];
  const rows = Math.min(65536, data.length / 512);
  const path = join(folder, 'row.bince');
  for (const blockRows of [4096, 256, 16]) {
    await writeFile(path, model, data.subarray(0, rows * 512), rows, { blockRows });
    const reader = await BinceReader.open(path);
    const one = async (count, rowOf) => {
      const begin = performance.now();
      for (let i = 0; i < count; i++) await reader.rows(rowOf(i), rowOf(i) + 1);
      return ((performance.now() - begin) / count) * 1e3;
    };
    const [far, near] = [[], []];
    for (let round = 0; round <= rounds; round++) {
      const start = 200 * round;
      const anywhere = await one(50, (i) => (7919 * (i + 50 * round) * 13) % rows);
      await one(1, () => start); // decodes the block
      const times = [anywhere, await one(200, (i) => start + i)];
      if (round > 0) for (const [i, list] of [far, near].entries()) list.push(times[i]);
    }
    await reader.close();
    const name = (which) => `one row, ${which}, ${blockRows} rows a block`;
    results.push({ case: name('anywhere'), unit: 'us', ours: summary(far) });
    if (blockRows === 4096)
      results.push({ case: name('after the one before'), unit: 'us', ours: summary(near) });
  }
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
      target: atMost(allowed),
      note: `target: 1.01 x ideal + 0.1 bit a row + 64 KB for the file; ${(100 * (measured / ideal - 1)).toFixed(2)}% over the ideal`,
    });
  }
  return results;
}

/** Runs a command of the built command line; gives its JSON line and the most memory that it had, in bytes. */
async function command(...args) {
  // The kernel's own high-water mark: getrusage() would count what the parent had when it forked.
  const report = `
    import { readFileSync, writeSync } from 'node:fs';
    process.on('exit', () => writeSync(3, /VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]));`;
  const child = spawn(
    process.execPath,
    [`--import=data:text/javascript,${encodeURIComponent(report)}`, main, ...args, '--json', '--quiet'],
    { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] },
  );
  const [line, peak] = await Promise.all([text(child.stdout), text(child.stdio[3])]);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`bince ${args[0]} ended with ${child.exitCode}`);
  return { ...JSON.parse(line), peak: 1024 * Number(peak) };
}

/** `bince compress` and `decompress` of a .npy file: peak memory, throughput, and what the time went into. */
async function commandLine(folder, { model, data }, { rows, rounds }) {
  const [modelPath, input, coded, output] = ['m.safetensors', 'x.npy', 'x.bince', 'y.npy'].map((name) =>
    join(folder, name),
  );
  await saveModel(modelPath, model);
  const writer = await NpyWriter.create(input, { rows, channels: 512 });
  for (let left = rows; left > 0; left -= data.length / 512) await writer.write(data.subarray(0, left * 512));
  await writer.finish();
  const runs = { compress: [], decompress: [] };
  for (let round = 0; round < rounds; round++) {
    runs.compress.push(await command('compress', input, '-m', modelPath, '-o', coded));
    rmSync(output, { force: true });
    runs.decompress.push(await command('decompress', coded, '-o', output));
  }
  return Object.entries(runs).flatMap(([name, all]) => {
    const of = (value) => summary(all.map(value));
    const stage = (key) => {
      const { median } = of(({ stages }) => stages[key].share);
      return `${key} ${Math.round(100 * median)}%`;
    };
    const { median: seconds } = of((one) => one.seconds);
    const { median: bytes } = of((one) => one.bytesPerSecond / 1e6);
    const shares = ['reading', 'coding', 'writing', 'syncing'].map(stage).join(', ');
    return [
      {
        case: `bince ${name}, ${rows} x 512 float32: peak memory`,
        unit: 'MB',
        ours: of(({ peak }) => peak / 1e6),
        target: atMost(300),
        note: 'most resident memory of the process, Node itself included',
      },
      {
        case: `bince ${name}, ${rows} x 512 float32: throughput`,
        unit,
        ours: of(({ symbolsPerSecond }) => symbolsPerSecond / 1e6),
        note: `${seconds.toFixed(2)} s, ${bytes.toFixed(0)} MB/s; at work: ${shares}; stages overlap`,
      },
    ];
  });
}

/** How many rows the commands get: a million, if three times that many bytes are free. */
function commandRows(folder, quick) {
  const { bavail, bsize } = statfsSync(folder);
  return quick || bavail * bsize < 3 * 4 * 512e6 ? 65536 : 1e6;
}

export default async function ({ quick = false, log = () => {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bince-bench-'));
  const clean = () => rmSync(folder, { recursive: true, force: true });
  const stop = () => process.exit(130);
  process.once('exit', clean);
  process.once('SIGINT', stop);
  try {
    const data = sample(512, 1.15, 8, quick ? 65536 : 262144);
    const rounds = quick ? 5 : 9;
    const rows = commandRows(folder, quick);
    const alone = await coderAlone(data);
    log('codec: files end to end');
    const results = [
      ...(await writing(folder, data, rounds, alone)),
      ...(await reading(folder, data, rounds, alone)),
      ...(await oneRow(folder, data, rounds)),
    ];
    log(`codec: the commands, ${rows} rows`);
    results.push(...(await commandLine(folder, data, { rows, rounds: 3 })));
    log('codec: sizes');
    return [...results, ...(await sizes(folder, quick))];
  } finally {
    process.off('exit', clean);
    process.off('SIGINT', stop);
    clean();
  }
}
