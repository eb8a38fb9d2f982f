// Fused symmetric InfoNCE against PyTorch and its sgemm, alternately in one run; memory at N = 65536; AVX2 beside
// AVX-512.
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { clipLossSync, describe } from '../dist/kernels/index.js';
import { atLeast, atMost } from '../scripts/bench_targets.mjs';
import { openAbi } from './peers/c_abi.mjs';

/** Times faster than PyTorch, by type of the inputs and dimension. */
const targets = { float32: { 128: 3, 512: 1.5 }, bfloat16: { 128: 4.5, 512: 2.5 } };
/** Rows from which the targets hold: smaller calls are over before OpenBLAS's threads have met. */
const aimedRows = 4096;
/** Inputs of a type from float32 numbers. */
const inputs = {
  float32: (x) => x,
  bfloat16: (x) => Uint16Array.from(new Uint32Array(x.buffer), (bits) => bits >>> 16),
};
/** Of the sgemm's rate in the same run, on the passes made. */
const shareTarget = 80;
const slowerTarget = 2.2;
const memoryTarget = 64;
/** OpenBLAS's threads wait busily for about 25 ms after a product, on the processors that the next timing needs. */
const idleAfter = 60;
const symmetricCosine = 3; // BINCE_CONTRASTIVE_SYMMETRIC | BINCE_CONTRASTIVE_COSINE
const call = { backward: 2, both: 3 }; // BINCE_CONTRASTIVE_BACKWARD, _FORWARD_BACKWARD

/** A peer process that is asked for one timing at a time; null where PyTorch is missing. */
async function startPeer(log) {
  const script = fileURLToPath(new URL('peers/contrastive_torch.py', import.meta.url));
  // OpenBLAS takes slow kernels on processors that it does not know, so the peer is told the best it has.
  const kernels = { avx512: 'SkylakeX', avx2: 'Haswell' }[describe().backends[0]];
  const env = { ...(kernels && { OPENBLAS_CORETYPE: kernels }), ...process.env };
  const child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'ignore'], env });
  let missing;
  child.on('error', (error) => {
    missing = error.message;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    return done ? { error: missing ?? 'the peer process ended' } : JSON.parse(value);
  };
  const hello = await answer();
  if (hello.error) {
    log(`PyTorch is not here: ${hello.error}`);
    return null;
  }
  return {
    name: `PyTorch ${hello.version}${kernels ? `, OpenBLAS ${env.OPENBLAS_CORETYPE}` : ''}`,
    async time(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { ms, error } = await answer();
      if (error) throw new Error(error);
      await sleep(idleAfter);
      return ms;
    },
    stop() {
      child.stdin.end();
      return new Promise((ended) => child.once('close', ended));
    },
  };
}

function random(count) {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2147483648 - 1;
  });
}

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1];
  return { median, min: sorted[0], max: sorted.at(-1) };
}

/** Milliseconds of the second of two calls in a row: caches and memory are as in a loop. The peer does the same. */
function warmTime(call) {
  call();
  const start = performance.now();
  call();
  return performance.now() - start;
}

/**
 * Passes of 2 N M D that a symmetric forward + backward makes: scores, dq, dk, and scores again except where the
 * forward kept them. What it kept is what its workspace holds beyond that of a backward alone.
 */
function passesMade(abi, n, d, dtype) {
  if (!abi) return 4;
  const bytes = (which) =>
    abi.contrastiveWorkspace(
      describe().backend,
      n,
      n,
      d,
      dtype === 'bfloat16' ? 1 : 0,
      symmetricCosine,
      which,
    );
  return 4 - Math.min(1, (bytes(call.both) - bytes(call.backward)) / (4 * n * n));
}

async function compare({ n, d, dtype, rounds }, peer, abi, log) {
  const { threads, backend } = describe();
  const q = inputs[dtype](random(n * d));
  const k = inputs[dtype](random(n * d).reverse());
  const ours = [];
  const theirs = [];
  const products = [];
  for (let round = -1; round < rounds; ++round) {
    const mine = warmTime(() => clipLossSync(q, k, { dim: d }));
    const other = peer && (await peer.time({ n, d, threads, kind: 'clip' }));
    const product = peer && (await peer.time({ n, d, threads, kind: 'sgemm' }));
    if (round < 0) continue;
    ours.push(mine);
    if (peer) theirs.push(other);
    if (peer) products.push(product);
  }
  const result = {
    case: `symmetric CLIP forward + backward, N = M = ${n}, D = ${d}, ${dtype}, ${backend}, ${threads} threads`,
    unit: 'ms',
    ours: spread(ours),
    ...(n >= aimedRows && { target: atLeast(targets[dtype][d], 'ratio') }),
  };
  const passes = passesMade(abi, n, d, dtype);
  const gflops = (ms) => (2 * n * n * d) / ms / 1e6;
  const made = ours.map((ms) => passes * gflops(ms));
  result.note = `${spread(made).median.toFixed(0)} GFLOP/s on the ${passes.toFixed(2)} passes made`;
  if (!peer) return [{ ...result, note: `${result.note}; PyTorch is not installed` }];
  result.peer = { name: `${peer.name}, float32`, ...spread(theirs) };
  result.ratio = result.peer.median / result.ours.median;
  const sgemm = spread(products.map(gflops));
  const share = {
    case: `share of sgemm, N = M = ${n}, D = ${d}, ${dtype}`,
    unit: '%',
    ours: spread(made.map((rate) => (100 * rate) / sgemm.median)),
    ...(n >= aimedRows && dtype === 'float32' && { target: atLeast(shareTarget) }),
    note:
      `${spread(made).median.toFixed(0)} GFLOP/s, sgemm of the same run ${sgemm.median.toFixed(0)}; on ` +
      `${passes.toFixed(2)} passes of 2 N M D: 4 less the share of scores that the forward keeps, ` +
      '(workspace(forward + backward) - workspace(backward)) / 4 N M',
  };
  log(
    `${result.case}: ${result.ours.median.toFixed(1)} ms, ${peer.name} ${result.peer.median.toFixed(1)} ms, ` +
      `${result.ratio.toFixed(2)}x; ${share.ours.median.toFixed(0)}% of sgemm`,
  );
  return [result, share];
}

/** One shape on both backends, alternately. */
function backends({ n, d, rounds }, abi, log) {
  const both = ['avx512', 'avx2'];
  if (!abi || !both.every((name) => describe().backends.includes(name))) return [];
  const q = random(n * d);
  const k = random(n * d).reverse();
  const { threads } = describe();
  const cases = both.map((name) => abi.contrastive(name, threads, q, k, d, symmetricCosine, 1 / 0.07));
  const times = [[], []];
  for (let round = -1; round < rounds; ++round)
    for (const [i, each] of cases.entries()) {
      const ms = 1e3 * abi.seconds(each, 1);
      if (round >= 0) times[i].push(ms);
    }
  const [avx512, avx2] = times.map(spread);
  const result = {
    case: `AVX2's time by AVX-512's, N = M = ${n}, D = ${d}`,
    unit: 'times',
    ours: spread(times[1].map((ms) => ms / avx512.median)),
    target: atMost(slowerTarget),
    note: `${avx2.median.toFixed(1)} and ${avx512.median.toFixed(1)} ms`,
  };
  log(`${result.case}: ${result.ours.median.toFixed(2)}`);
  return [result];
}

/** Memory beyond inputs and results at 65536 x 65536: the workspace, and what a process really takes. */
function memory(abi, log, quick) {
  const n = 65536;
  const results = [];
  const one = (value) => ({ median: value, min: value, max: value });
  for (const dtype of ['float32', 'bfloat16'])
    for (const d of [64, 512]) {
      if (!abi) continue;
      const halves = dtype === 'bfloat16' ? 1 : 0;
      const bytes = abi.contrastiveWorkspace(describe().backend, n, n, d, halves, symmetricCosine, call.both);
      results.push({
        case: `workspace of forward + backward, N = M = ${n}, D = ${d}, ${dtype}`,
        unit: 'MB',
        ours: one(bytes / 1e6),
        target: atMost(memoryTarget),
      });
    }
  if (quick) return results;
  const d = 16;
  const root = fileURLToPath(new URL('..', import.meta.url));
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', residentProgram(n, d)], {
    cwd: root,
    encoding: 'utf8',
  });
  if (child.status !== 0) throw new Error(child.stderr);
  const [grown, seconds] = child.stdout.split(' ').map(Number);
  const extra = (grown - 4 * (2 * n * d + 4 * n)) / 1e6;
  results.push({
    case: `peak memory of forward + backward beyond inputs and results, N = M = ${n}, D = ${d}, float32`,
    unit: 'MB',
    ours: one(extra),
    target: atMost(memoryTarget),
    note: `growth of the process's largest resident set, in ${seconds.toFixed(1)} s`,
  });
  log(`${results.at(-1).case}: ${extra.toFixed(1)} MB`);
  return results;
}

/** A program that prints by how many bytes one call raises the resident set at its largest, and its seconds. */
const residentProgram = (n, d) => `
  import { readFileSync, writeFileSync } from 'node:fs';
  import { clipLossSync } from './dist/kernels/index.js';
  const [q, k] = [new Float32Array(${n * d}), new Float32Array(${n * d})];
  for (let i = 0; i < ${n * d}; ++i) [q[i], k[i]] = [Math.random() - 0.5, Math.random() - 0.5];
  clipLossSync(q.subarray(0, 1024), k.subarray(0, 1024), { dim: ${d} });
  writeFileSync('/proc/self/clear_refs', '5'); // the largest is what there is now
  const bytes = (key) => 1024 * Number(readFileSync('/proc/self/status', 'utf8').match(key + ':\\\\s*(\\\\d+)')[1]);
  const before = bytes('VmRSS');
  const begin = performance.now();
  clipLossSync(q, k, { dim: ${d} });
  const seconds = (performance.now() - begin) / 1e3;
  console.log(bytes('VmHWM') - before, seconds);
`;

export default async function contrastive({ quick = false, log = console.log } = {}) {
  const peer = await startPeer(log);
  const abi = openAbi(log);
  const shapes = quick
    ? [{ n: 1024, d: 128, rounds: 3 }]
    : [
        { n: 1024, d: 128, rounds: 15 },
        { n: 4096, d: 128, rounds: 9 },
        { n: 4096, d: 512, rounds: 7 },
        { n: 8192, d: 512, rounds: 3 },
      ];
  const results = [];
  for (const dtype of ['float32', 'bfloat16'])
    for (const shape of shapes) results.push(...(await compare({ ...shape, dtype }, peer, abi, log)));
  await peer?.stop();
  for (const shape of quick
    ? shapes
    : [
        { n: 4096, d: 128, rounds: 7 },
        { n: 4096, d: 512, rounds: 5 },
      ])
    results.push(...backends(shape, abi, log));
  results.push(...memory(abi, log, quick));
  return results;
}
