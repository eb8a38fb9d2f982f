// Matrix products and convolutions, forward and both derivatives, against PyTorch, alternately in one run.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe } from '../dist/kernels/index.js';
import { native } from '../dist/native.js';
import { atLeast } from '../scripts/bench_targets.mjs';

const calls = native();
const passes = ['forward', 'input', 'weight'];

/** A peer process that is asked for one timing at a time; null where PyTorch is missing. */
async function startPeer(log) {
  const script = fileURLToPath(new URL('peers/dense_torch.py', import.meta.url));
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
    name: `PyTorch ${hello.version}`,
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
  const values = Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2147483648 - 1;
  });
  const handle = calls.storageCreate(0, count);
  calls.storageWrite(handle, 0, values);
  return handle;
}

function matmulCase([m, n, k]) {
  const x = random(m * k);
  const w = random(k * n);
  const y = random(m * n);
  const outputs = [random(m * n), random(m * k), random(k * n)];
  return {
    name: `matmul ${m} x ${k} by ${k} x ${n}`,
    request: { kind: 'matmul', m, n, k },
    flops: 2 * m * n * k,
    handles: [x, w, y, ...outputs],
    forward: () => calls.matmulSync(1, m, n, k, x, false, 0, w, false, 0, undefined, outputs[0], false),
    input: () => calls.matmulSync(1, m, k, n, y, false, 0, w, true, 0, undefined, outputs[1], false),
    weight: () => calls.matmulSync(1, k, n, m, x, true, 0, y, false, 0, undefined, outputs[2], false),
  };
}

function convCase([n, size, c, o, kernel, stride, pad]) {
  const out = Math.floor((size + 2 * pad - kernel) / stride) + 1;
  const geometry = Int32Array.from([n, size, size, c, kernel, kernel, stride, stride, pad, pad, o, out, out]);
  const counts = { x: n * size * size * c, w: kernel * kernel * c * o, y: n * out * out * o };
  const [x, dx] = [random(counts.x), random(counts.x)];
  const [w, dw] = [random(counts.w), random(counts.w)];
  const [y, dy] = [random(counts.y), random(counts.y)];
  const [bias, dbias] = [random(o), random(o)];
  return {
    name: `conv ${n} x ${size} x ${size} x ${c} -> ${o}, ${kernel} x ${kernel}, stride ${stride}`,
    request: { kind: 'conv', n, size, c, o, kernel, stride, pad },
    flops: (2 * counts.y * counts.w) / o,
    handles: [x, dx, w, dw, y, dy, bias, dbias],
    forward: () => calls.conv2dSync(geometry, x, w, bias, y),
    input: () => calls.conv2dBackwardInputSync(geometry, dy, w, undefined, dx),
    weight: () => calls.conv2dBackwardWeightSync(geometry, x, dy, dw, dbias),
  };
}

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
}

function fastest(call, count) {
  let best = Infinity;
  for (let i = 0; i < count; ++i) {
    const start = performance.now();
    call();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** One pass of one shape: rounds of the fastest of a few calls, ours and the peer's in turn. */
async function compare(shape, pass, rounds, peer, log) {
  const { threads, backend } = describe();
  const count = Math.max(2, Math.min(30, Math.round(1e9 / shape.flops)));
  const ours = [];
  const theirs = [];
  for (let round = -1; round < rounds; ++round) {
    const mine = fastest(shape[pass], count);
    const other = peer && (await peer.time({ ...shape.request, pass, threads, calls: count }));
    if (round < 0) continue; // warms both up
    ours.push(mine);
    if (peer) theirs.push(other);
  }
  const result = {
    case: `${shape.name}, ${pass}, ${backend}, ${threads} threads`,
    unit: 'ms',
    ours: spread(ours),
    target: atLeast(1, 'ratio'),
    note: `${(shape.flops / spread(ours).median / 1e6).toFixed(0)} GFLOP/s`,
  };
  if (peer) {
    result.peer = { name: peer.name, ...spread(theirs) };
    result.ratio = result.peer.median / result.ours.median;
    result.note += `; peer ${(shape.flops / result.peer.median / 1e6).toFixed(0)}`;
  } else {
    result.note += '; PyTorch is not installed';
  }
  log(
    `${result.case}: ${result.ours.median.toFixed(3)} ms, ${result.note}${peer ? `, ${result.ratio.toFixed(2)}x` : ''}`,
  );
  return result;
}

export default async function dense({ quick = false, log = console.log } = {}) {
  const peer = await startPeer(log);
  const rounds = quick ? 3 : 5;
  const products = [
    [1024, 256, 256],
    [1024, 256, 2],
    [1024, 2, 256],
    [256, 256, 784],
    ...(quick
      ? []
      : [
          [512, 256, 2048],
          [4096, 4096, 4096],
        ]),
  ];
  const images = [
    [256, 28, 1, 32, 3, 2, 1],
    [256, 28, 1, 32, 5, 2, 2],
    [256, 14, 32, 64, 3, 2, 1],
    [256, 7, 64, 128, 3, 1, 1],
    [256, 14, 32, 32, 3, 1, 1],
    ...(quick ? [] : [[256, 32, 64, 64, 3, 1, 1]]),
  ];
  const results = [];
  for (const [make, list] of [
    [matmulCase, products],
    [convCase, images],
  ]) {
    for (const sizes of list) {
      const shape = make(sizes);
      for (const pass of passes) results.push(await compare(shape, pass, rounds, peer, log));
      for (const handle of shape.handles) calls.storageRelease(handle);
    }
  }
  peer?.stop();
  return results;
}
