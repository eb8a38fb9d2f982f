// The coder as a program of its own, so that it can run with one thread: makes the data, writes the symbols as bytes
// for the peers, then answers one timing for each line on standard input.
//   node bench/peers/bince_coding.mjs FILE ROWS
// Lines: "rows encode", "rows encode, counting ideal bits", "rows decode" (into the same array), "rows new" (decode into
// a new array), "symbols encode", "symbols decode", "strings encode", "strings decode", "range encode",
// "range decode". Answers: JSON {seconds, symbols, bytes, ideal}.
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { BlockCoder, compressai } from '../../dist/kernels/index.js';

const channels = 512;
const [file, rowsText] = process.argv.slice(2);
const rows = Number(rowsText);

/** Tables of 9 to 21 symbols of Gaussian shape, 2.3 bits a symbol on average, and rows drawn from them. */
function makeData() {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const cdf = [];
  const start = [0];
  const offset = [];
  for (let c = 0; c < channels; ++c) {
    const deviation = 0.6 + 1.4 * random();
    const half = Math.ceil(4.5 * deviation);
    const weights = Array.from({ length: 2 * half + 1 }, (_, i) =>
      Math.exp(-0.5 * ((i - half) / deviation) ** 2),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    const frequencies = [...weights.map((w) => Math.max(1, Math.floor((w / total) * 65000))), 1];
    frequencies[half] += 65536 - frequencies.reduce((a, b) => a + b, 0);
    let sum = 0;
    cdf.push(0);
    for (const f of frequencies) {
      sum += f;
      cdf.push(sum);
    }
    start.push(cdf.length);
    offset.push(-half);
  }
  const symbols = new Int32Array(rows * channels);
  for (let i = 0; i < symbols.length; ++i) {
    const c = i % channels;
    const slot = Math.floor(random() * 65535);
    let entry = 0;
    while (cdf[start[c] + entry + 1] <= slot) ++entry;
    symbols[i] = offset[c] + entry;
  }
  const tables = {
    cdf: Int32Array.from(cdf),
    start: Int32Array.from(start),
    offset: Int32Array.from(offset),
  };
  return { tables, symbols };
}

const { tables, symbols } = makeData();
writeFileSync(
  file,
  Uint8Array.from(symbols, (s) => s + 64),
);
const values = Float32Array.from(symbols);
const blockRows = 1024;
const coder = new BlockCoder({ tables, channels, blockRows, lanes: 32, coder: 'rans', headerCrc: 0 });
const range = new BlockCoder({ tables, channels, blockRows, lanes: 1, coder: 'range', headerCrc: 0 });
const indexes = Int32Array.from({ length: channels }, (_, c) => c);
const few = symbols.subarray(0, Math.min(rows, 2048) * channels);
const fewRows = few.length / channels;
const coded = coder.encodeSync(values);
const rangeCoded = range.encodeSync(few);
const strings = compressai.encodeSync(few, { tables, indexes, rows: fewRows });
const stringBytes = strings.reduce((sum, string) => sum + string.length, 0);

const out = new Float32Array(values.length);
const outBytes = new Uint8Array(coded.bytes.length + (1 << 20));
const outSymbols = new Int32Array(values.length);
const outStrings = new Int32Array(few.length);
const calls = {
  'rows encode': [
    () => coder.encodeSync(values, { out: outBytes, idealBits: false }),
    symbols,
    coded.bytes.length,
  ],
  'rows encode, counting ideal bits': [
    () => coder.encodeSync(values, { out: outBytes }),
    symbols,
    coded.bytes.length,
  ],
  'rows decode': [() => coder.decodeSync(coded.bytes, { out }), symbols, coded.bytes.length],
  'rows new': [() => coder.decodeSync(coded.bytes), symbols, coded.bytes.length],
  'symbols encode': [
    () => coder.encodeSync(symbols, { out: outBytes, idealBits: false }),
    symbols,
    coded.bytes.length,
  ],
  'symbols decode': [
    () => coder.decodeSync(coded.bytes, { as: 'symbols', out: outSymbols }),
    symbols,
    coded.bytes.length,
  ],
  'range encode': [() => range.encodeSync(few, { idealBits: false }), few, rangeCoded.bytes.length],
  'range decode': [() => range.decodeSync(rangeCoded.bytes), few, rangeCoded.bytes.length],
  'strings encode': [() => compressai.encodeSync(few, { tables, indexes, rows: fewRows }), few, stringBytes],
  'strings decode': [
    () => compressai.decodeSync(strings, { tables, indexes, out: outStrings }),
    few,
    stringBytes,
  ],
};

for await (const line of createInterface({ input: process.stdin })) {
  const [call, coding, bytes] = calls[line];
  const begin = process.hrtime.bigint();
  call();
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  const ideal = coding === symbols ? coded.idealBits : rangeCoded.idealBits;
  console.log(JSON.stringify({ seconds, symbols: coding.length, bytes, ideal }));
}
