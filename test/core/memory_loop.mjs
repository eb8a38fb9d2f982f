// Run by memory.test.ts with --expose-gc: 10^4 calls of every kind of kernel call, and the resident memory before and
// after the second half, as JSON on the last line.
import {
  BlockCoder,
  decodeSync,
  encode,
  encodeSync,
  factorizedBackwardSync,
  initFactorizedParameters,
} from '../../dist/kernels/index.js';

const channels = 64;
const rows = 64;
const x = Float32Array.from({ length: rows * channels }, (_, i) => 3 * Math.sin(i * 1.7));
const parameters = initFactorizedParameters(channels, { seed: 1 });
const tables = {
  cdf: Int32Array.from([0, 8000, 30000, 60000, 65500, 65536]),
  start: Int32Array.from([0, 6]),
  offset: Int32Array.from([-2]),
};
const symbols = Int32Array.from({ length: 4096 }, (_, i) => (i % 4) - 2);
const format = {
  tables,
  tableIndex: new Int32Array(channels),
  channels,
  blockRows: 32,
  lanes: 32,
  coder: 'rans',
  headerCrc: 7,
};

async function half(calls) {
  for (let i = 0; i < calls; i += 1) {
    factorizedBackwardSync(x, { channels, parameters, quantize: 'noise', seed: i });
    const coded = encodeSync(symbols, { tables });
    decodeSync(coded, { tables, count: symbols.length });
    const coder = new BlockCoder(format);
    coder.decodeSync(coder.encodeSync(x).bytes);
    if (i % 10 === 0) await encode(symbols, { tables });
    if (i % 50 === 0) {
      globalThis.gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  globalThis.gc();
  return process.memoryUsage().rss;
}

const before = await half(5000);
const after = await half(5000);
console.log(JSON.stringify({ before, after }));
