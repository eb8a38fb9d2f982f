// Fused symmetric InfoNCE against PyTorch, alternately in one run, and the overhead of a small synchronous call.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { clipLossSync, describe, infoNCESync } from '../dist/kernels/index.js';

const targets = { 128: 3, 512: 1.5 };

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
      return ms;
    },
    stop: () => child.stdin.end(),
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

function timed(call) {
  const start = performance.now();
  call();
  return performance.now() - start;
}

async function compare(n, d, rounds, peer, log) {
  const { threads, backend } = describe();
  const q = random(n * d);
  const k = random(n * d).reverse();
  const ours = [];
  const theirs = [];
  const products = [];
  for (let round = -1; round < rounds; ++round) {
    const mine = timed(() => clipLossSync(q, k, { dim: d }));
    const other = peer && (await peer.time({ n, d, threads, kind: 'clip' }));
    const product = peer && (await peer.time({ n, d, threads, kind: 'sgemm' }));
    if (round < 0) continue; // warms both up
    ours.push(mine);
    if (peer) theirs.push(other);
    if (peer) products.push(product);
  }
  const result = {
    case: `symmetric CLIP forward + backward, N = M = ${n}, D = ${d}, float32, ${backend}, ${threads} threads`,
    unit: 'ms',
    ours: spread(ours),
    target: targets[d],
  };
  const gflops = (8 * n * n * d) / result.ours.median / 1e6;
  result.note = `${gflops.toFixed(0)} GFLOP/s counted as 8 N M D`;
  if (peer) {
    result.peer = { name: peer.name, ...spread(theirs) };
    result.ratio = result.peer.median / result.ours.median;
    result.note += `; sgemm of the same run ${((2 * n * n * d) / spread(products).median / 1e6).toFixed(0)}`;
  } else {
    result.note += '; PyTorch is not installed';
  }
  log(
    `${result.case}: ${result.ours.median.toFixed(1)} ms` +
      (peer ? `, ${peer.name} ${result.peer.median.toFixed(1)} ms, ${result.ratio.toFixed(2)}x` : ''),
  );
  return result;
}

function smallCall(rows, dim, log) {
  const q = random(rows * dim);
  const k = random(rows * dim).reverse();
  const calls = 500;
  const times = [];
  for (let round = 0; round < 12; ++round) {
    const ms = timed(() => {
      for (let i = 0; i < calls; ++i) infoNCESync(q, k, { dim });
    });
    if (round > 1) times.push((1e3 * ms) / calls);
  }
  const result = {
    case: `infoNCESync forward + backward, ${rows} x ${rows} x ${dim}`,
    unit: 'us',
    ours: spread(times),
  };
  log(`${result.case}: ${result.ours.median.toFixed(1)} us`);
  return result;
}

export default async function contrastive({ quick = false, log = console.log } = {}) {
  const peer = await startPeer(log);
  const shapes = quick
    ? [[1024, 128, 3]]
    : [
        [1024, 128, 15],
        [4096, 128, 7],
        [4096, 512, 5],
        [8192, 512, 3],
      ];
  const results = [];
  for (const [n, d, rounds] of shapes) results.push(await compare(n, d, rounds, peer, log));
  peer?.stop();
  // One pair costs nothing but the call itself.
  results.push(smallCall(1, 1, log), smallCall(64, 32, log));
  return results;
}
