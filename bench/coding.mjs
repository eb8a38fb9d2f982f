// The coder on one thread: 512 channels with a table each, 2.3 bits a symbol, beside htscodecs' rANS 32x16 (one table
// for all channels) and a plain scalar rANS; sizes beside the ideal.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BlockCoder, chooseLanes, describe } from '../dist/kernels/index.js';
import { atLeast, atMost } from '../scripts/bench_targets.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const root = here('..');

/** A process that answers each line with a line. */
class Asked {
  constructor(command, args, env = {}) {
    this.child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }
  async ask(line) {
    this.child.stdin.write(`${line}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.child.spawnfile} ended early`);
    return value;
  }
  end() {
    this.child.stdin.end();
  }
}

/** Compiles a peer; undefined, with a note, where the compiler or the library is missing. */
function compile(folder, name, sources, flags, log) {
  const out = join(folder, name);
  const args = [
    '-O3',
    '-std=c++17',
    '-march=native',
    '-ffp-contract=off',
    '-DBINCE_X86',
    `-I${root}`,
    `-I${root}native/include`,
  ];
  const result = spawnSync('c++', [...args, '-o', out, ...sources.map((s) => `${root}${s}`), ...flags]);
  if (result.status === 0) return out;
  log(`${name} was not compiled: ${String(result.stderr ?? result.error).split('\n')[0]}`);
  return undefined;
}

const summary = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
};

/** Ours and the peers' timings of one direction, alternately. */
async function compare(ours, line, peers, peerLines, rounds) {
  const rates = [];
  const peerRates = peerLines.map(() => []);
  let answer;
  for (let round = 0; round <= rounds; ++round) {
    answer = JSON.parse(await ours.ask(line));
    if (round > 0) rates.push(answer.symbols / answer.seconds / 1e6);
    for (const [i, peerLine] of peerLines.entries()) {
      if (!peers) continue;
      const [seconds] = (await peers.ask(peerLine)).split(' ').map(Number);
      if (round > 0 && seconds > 0) peerRates[i].push(answer.symbols / seconds / 1e6);
    }
  }
  return { ours: summary(rates), peers: peerRates.map((r) => (r.length ? summary(r) : undefined)), answer };
}

const tileSets = [
  { name: 'tiles', flags: [], low: 1, high: 2.1, targets: [3500, 4000], note: 'tables of 12 to 22 entries' },
  { name: 'tiles, 28 entries', flags: [], low: 2.4, high: 2.9, note: 'tables of 24 to 30 entries' },
  { name: 'tiles, 33 to 64', flags: [], low: 3.6, high: 6.6, note: 'tables of two registers' },
  { name: 'tiles, up to 256', flags: [], low: 8, high: 25, note: 'tables in memory, gathered' },
  {
    name: 'tiles, AVX2',
    flags: ['-march=x86-64', '-mavx2', '-mfma', '-mbmi', '-mbmi2', '-mpopcnt', '-DTILES_AVX2'],
    low: 1,
    high: 2.1,
    targets: [1000, 1000],
    note: 'tables of 12 to 22 entries',
  },
];

async function tileCases(folder, rounds, log) {
  const { backend } = describe();
  if (backend !== 'avx512' && backend !== 'avx2') return [];
  const sources = ['block_ref', 'prepared_tables'].map((s) => `native/coding/${s}.cc`);
  sources.unshift('bench/peers/coding_tiles.cc');
  sources.push('native/core/status.cc', 'native/core/tensor_check.cc');
  const cases = [];
  for (const { name, flags, low, high, targets, note } of tileSets) {
    if (backend === 'avx2' && flags.length === 0) continue;
    const program = compile(folder, flags.length ? 'tiles_avx2' : 'tiles_avx512', sources, flags, log);
    if (!program) continue;
    const tiles = new Asked(program, [low, high].map(String));
    const rates = [];
    for (let round = 0; round <= 2 * rounds; ++round)
      rates.push((await tiles.ask('')).split(' ').map((r) => r / 1e6));
    tiles.end();
    const bits = (rates[0][2] * 1e6).toFixed(1);
    for (const [i, direction] of ['encode', 'decode'].entries())
      cases.push({
        case: `${name} ${direction}`,
        unit: 'Msymbol/s',
        ours: summary(rates.slice(1).map((r) => r[i])),
        ...(targets ? { target: atLeast(targets[i]) } : {}),
        note: `between streams and symbol tiles, 4 blocks side by side, ${note}, ${bits} bits a symbol, 1e-4 escapes`,
      });
  }
  return cases;
}

/** Rows of the AVX2 backend, and two threads beside one: processes of their own, asked in turns. */
async function rowCases(folder, rounds, rows, log) {
  const start = async (env) => {
    const asked = new Asked(
      process.execPath,
      [here('peers/bince_coding.mjs'), join(folder, 'others'), String(rows)],
      env,
    );
    await asked.ask('rows encode');
    await asked.ask('rows decode');
    return asked;
  };
  const cases = [];
  const one = await start({ BINCE_THREADS: '1' });
  const two = await start({ BINCE_THREADS: '2' });
  const rate = async (asked, line) => {
    const { symbols, seconds } = JSON.parse(await asked.ask(line));
    return symbols / seconds / 1e6;
  };
  for (const direction of ['encode', 'decode']) {
    const rates = [[], []];
    for (let round = 0; round < rounds; ++round)
      for (const [i, asked] of [one, two].entries()) rates[i].push(await rate(asked, `rows ${direction}`));
    const [single, both] = rates.map(summary);
    cases.push({
      case: `rows ${direction}, two threads`,
      unit: 'Msymbol/s',
      ours: both,
      peer: { name: 'one thread', ...single },
      ratio: both.median / single.median,
      target: atLeast(1.8, 'ratio'),
    });
  }
  two.end();
  one.end();
  if (describe().backend !== 'avx512' && describe().backend !== 'avx2') return cases;
  const avx2 = await start({ BINCE_THREADS: '1', BINCE_BACKEND: 'avx2' });
  for (const direction of ['encode', 'decode']) {
    const rates = [];
    for (let round = 0; round < rounds; ++round) rates.push(await rate(avx2, `rows ${direction}`));
    cases.push({
      case: `rows ${direction}, AVX2`,
      unit: 'Msymbol/s',
      ours: summary(rates),
      target: atLeast(1000),
      note: 'sections and row-major float32; ideal bits are not counted',
    });
  }
  avx2.end();
  log('rows of AVX2 and of two threads are done');
  return cases;
}

/** CompressAI's strings, 2048 of 512 symbols, beside a coder built as CompressAI's core is. */
async function stringCases(ours, folder, file, rounds, log) {
  const program = compile(folder, 'strings_peer', ['bench/peers/strings_peer.cc'], [], log);
  const peer = program && new Asked(program, [file, '512', '2048']);
  const cases = [];
  for (const direction of ['encode', 'decode']) {
    const result = await compare(ours, `strings ${direction}`, peer, peer ? [direction] : [], rounds);
    const theirs = result.peers[0];
    const name = "plain rANS-64 as CompressAI's core is built";
    cases.push({
      case: `strings ${direction}`,
      unit: 'Msymbol/s',
      ours: result.ours,
      ...(theirs ? { peer: { name, ...theirs }, ratio: result.ours.median / theirs.median } : {}),
      target: atLeast({ encode: 145, decode: 190 }[direction]),
      note: "5 times the 29 and 38 published of CompressAI's own core, lists in and out, on another machine",
    });
  }
  peer?.end();
  return cases;
}

/** Sizes beside the ideal at 2, 50 and 1400 bits a row, in blocks of 4096 rows with the lanes that chooseLanes picks. */
function sizeCases(quick) {
  return [
    [1, 2],
    [25, 2],
    [512, 2.73],
  ].map(([channels, bits]) => {
    const half = 12;
    const deviation = 2 ** (bits - 2.047);
    const weights = Array.from({ length: 2 * half + 1 }, (_, i) =>
      Math.exp(-0.5 * ((i - half) / deviation) ** 2),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    const cdf = new Int32Array(2 * half + 3);
    for (const [i, w] of weights.entries())
      cdf[i + 1] = cdf[i] + Math.max(1, Math.floor((w / total) * 65500));
    cdf[2 * half + 1] = 65535;
    cdf[2 * half + 2] = 65536;
    const tables = { cdf, start: Int32Array.from([0, cdf.length]), offset: Int32Array.from([-half]) };
    const rows = 4096 * (quick ? 1 : 4);
    let seed = 7;
    const symbols = Int32Array.from({ length: rows * channels }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      let entry = 0;
      while (cdf[entry + 1] <= seed >>> 16) ++entry;
      return Math.min(entry, 2 * half) - half;
    });
    const format = {
      tables,
      tableIndex: new Int32Array(channels),
      channels,
      blockRows: 4096,
      coder: 'rans',
      headerCrc: 0,
    };
    const { idealBits } = new BlockCoder({ ...format, lanes: 32 }).encodeSync(symbols);
    const lanes = chooseLanes(idealBits / rows, 4096);
    const perRow = (8 * new BlockCoder({ ...format, lanes }).encodeSync(symbols).bytes.length) / rows;
    const ideal = idealBits / rows;
    const side = (x) => ({ median: x, min: x, max: x });
    return {
      case: `size, ${channels} channel${channels > 1 ? 's' : ''}`,
      unit: 'bit/row',
      ours: side(perRow),
      peer: { name: 'cross-entropy', ...side(ideal) },
      ratio: ideal / perRow,
      target: atMost(1.01 * ideal + 0.1),
      note: `${lanes} lanes; the target is 1.01 times the ideal and 0.1 bit a row`,
    };
  });
}

export default async function bench({ quick = false, log = () => {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bince-coding-'));
  const rounds = quick ? 2 : 9;
  try {
    const file = join(folder, 'symbols');
    const ours = new Asked(
      process.execPath,
      [here('peers/bince_coding.mjs'), file, String(quick ? 4096 : 16384)],
      {
        BINCE_THREADS: '1',
      },
    );
    await ours.ask('symbols encode'); // the symbols' file is written now
    const hts = existsSync('/usr/include/htscodecs/rANS_static4x16.h');
    if (!hts) log('htscodecs is not installed (libhtscodecs-dev)');
    const flags = hts ? ['-DHAVE_HTSCODECS', '-lhtscodecs'] : [];
    const program = compile(folder, 'coding_peers', ['bench/peers/coding_peers.cc'], flags, log);
    const peers = program && new Asked(program, [file, '512']);
    const cases = await tileCases(folder, rounds, log);
    cases.push(...(await rowCases(folder, rounds, quick ? 8192 : 65536, log)));
    const rate = async (what, direction, peer, peerLine, target, note) => {
      const result = await compare(ours, `${what} ${direction}`, peers, peerLine ? [peerLine] : [], rounds);
      const theirs = result.peers[0];
      cases.push({
        case: `${what} ${direction}`,
        unit: 'Msymbol/s',
        ours: result.ours,
        ...(theirs ? { peer: { name: peer, ...theirs }, ratio: result.ours.median / theirs.median } : {}),
        ...(target ? { target: atLeast(target) } : {}),
        ...(note ? { note } : {}),
      });
    };
    for (const direction of ['encode', 'decode']) {
      await rate(
        'rows',
        direction,
        'htscodecs',
        `htscodecs ${direction}`,
        1500,
        'sections and row-major float32; ideal bits are not counted',
      );
      await rate(
        'symbols',
        direction,
        'scalar rANS',
        `scalar ${direction}`,
        undefined,
        'sections and int32 rows',
      );
      await rate(
        'range',
        direction,
        'scalar rANS',
        `scalar ${direction}`,
        undefined,
        'the range coder, one chain',
      );
    }
    await rate('rows', 'encode, counting ideal bits');
    cases.push(...(await stringCases(ours, folder, file, rounds, log)));
    ours.end();
    peers?.end();
    return [...cases, ...sizeCases(quick)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
