// What JavaScript adds to small synchronous calls: their time less that of the same call through the C ABI, in one
// process, in turns.
import { BlockCoder, compressai, describe, infoNCESync } from '../dist/kernels/index.js';
import { atMost } from '../scripts/bench_targets.mjs';
import { openAbi } from './peers/c_abi.mjs';

/** Microseconds that the boundary may cost. */
const target = atMost(3);

function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
}

/** One call both ways; null without the C side. */
function overhead(name, call, abi, native, rounds, log) {
  const calls = 200; // few enough that most rounds are not interrupted
  const times = { js: [], c: [], extra: [] };
  // Until code is compiled and the heap has found its size.
  for (let i = 0; i < 100 * calls; ++i) call();
  for (let round = -1; round < rounds; ++round) {
    const begin = performance.now();
    for (let i = 0; i < calls; ++i) call();
    const js = (1e3 * (performance.now() - begin)) / calls;
    const c = (1e6 * abi.seconds(native, calls)) / calls;
    if (round < 0) continue;
    times.js.push(js);
    times.c.push(c);
    times.extra.push(js - c);
  }
  const [js, c] = [spread(times.js), spread(times.c)];
  const result = {
    case: `${name}: JavaScript's part`,
    unit: 'us',
    ours: spread(times.extra),
    target,
    note: `${js.median.toFixed(2)} us from JavaScript, ${c.median.toFixed(2)} through the C ABI`,
  };
  log(`${result.case}: ${result.ours.median.toFixed(2)} of ${js.median.toFixed(2)} us`);
  return result;
}

function contrastiveCase(rows, dim, abi, rounds, log) {
  const draw = random(1);
  const [q, k] = [0, 0].map(() => Float32Array.from({ length: rows * dim }, () => 2 * draw() - 1));
  return overhead(
    `infoNCESync, ${rows} x ${rows} x ${dim}, forward + backward`,
    () => infoNCESync(q, k, { dim }),
    abi,
    abi.contrastive(describe().backend, describe().threads, q, k, dim, 0, 1),
    rounds,
    log,
  );
}

/** Tables of 15 symbols for each channel, Gaussian, and one row drawn from them. */
function codedRow(channels) {
  const weights = Array.from({ length: 15 }, (_, i) => Math.exp(-(((i - 7) / 2) ** 2) / 2));
  const total = weights.reduce((a, b) => a + b, 0);
  const cdf = [0];
  for (const weight of weights) cdf.push(cdf.at(-1) + Math.floor((65000 * weight) / total));
  cdf.push(65536);
  const tables = {
    cdf: Int32Array.from({ length: channels * cdf.length }, (_, i) => cdf[i % cdf.length]),
    start: Int32Array.from({ length: channels + 1 }, (_, c) => c * cdf.length),
    offset: new Int32Array(channels).fill(-7),
  };
  const draw = random(2);
  const symbols = Int32Array.from({ length: channels }, () => {
    const slot = Math.floor(65000 * draw());
    return Math.max(cdf.findLastIndex((low) => low <= slot) - 7, -7);
  });
  return { tables, symbols };
}

function decodeCases(channels, abi, rounds, log) {
  const { tables, symbols } = codedRow(channels);
  const { cdf, start, offset } = tables;
  const blocks = new BlockCoder({ tables, channels, blockRows: 1, lanes: 1, coder: 'rans', headerCrc: 0 });
  const { bytes } = blocks.encodeSync(symbols);
  const out = new Float32Array(channels);
  const block = abi.blockDecode(cdf, start, offset, bytes, channels, 1, 1, 1);
  const indexes = Int32Array.from({ length: channels }, (_, c) => c);
  const [string] = compressai.encodeSync(symbols, { tables, indexes });
  return [
    [`BlockCoder.decodeSync, one row of ${channels}`, () => blocks.decodeSync(bytes), block],
    [
      `BlockCoder.decodeSync, one row of ${channels}, into an array`,
      () => blocks.decodeSync(bytes, { out }),
      block,
    ],
    [
      `compressai.decodeSync, one string of ${channels}`,
      () => compressai.decodeSync([string], { tables, indexes }),
      abi.stringDecode(cdf, start, offset, string, indexes),
    ],
  ].map(([name, call, native]) => overhead(name, call, abi, native, rounds, log));
}

export default async function smallCalls({ quick = false, log = console.log } = {}) {
  const abi = openAbi(log);
  if (!abi) return [];
  const rounds = quick ? 51 : 251;
  return [
    contrastiveCase(1, 1, abi, rounds, log), // one pair costs nothing but the call itself
    contrastiveCase(64, 32, abi, rounds, log),
    ...decodeCases(32, abi, rounds, log),
    ...decodeCases(512, abi, rounds, log),
  ];
}
