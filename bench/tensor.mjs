// Tensor operations beside PyTorch's (bench/peers/tensor_torch.py), in turns in one run: an elementwise function, one with its
// derivative, batch normalisation with ReLU, and an Adam step.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { native } from '../dist/native.js';

/** Starts the PyTorch peer; undefined where Python or torch is missing. */
async function startPeer(threads) {
  const script = fileURLToPath(new URL('peers/tensor_torch.py', import.meta.url));
  const child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  const ask = async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await lines.next();
    return done ? undefined : JSON.parse(value);
  };
  const first = await ask({ threads });
  return first && { ask, stop: () => child.stdin.end() };
}

function summary(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
}

const random = (elements) => {
  const handle = native().storageCreate(0, elements);
  native().randomSync(handle, 1, 0, 1, 1, 0, 0);
  return handle;
};
const filled = (elements, value) => {
  const handle = native().storageCreate(0, elements);
  native().fillSync(handle, value);
  return handle;
};

// Each: what one repetition does on tensors of the shape, and the bytes it must read and write.
const CASES = {
  exp(elements) {
    const [x, y] = [random(elements), random(elements)];
    return { bytes: 8 * elements, step: () => native().unarySync(1, 0, 0, x, y) };
  },
  softplus(elements) {
    const [x, y, dy, dx] = [0, 0, 0, 0].map(() => random(elements));
    const step = () => {
      native().unarySync(15, 0, 0, x, y);
      native().unaryBackwardSync(15, 0, 0, x, y, dy, dx);
    };
    return { bytes: 20 * elements, step };
  },
  batchNorm(elements, [rows, C]) {
    const [x, y] = [random(elements), random(elements)];
    const [gamma, beta, mean, rstd] = [1, 0, 0, 1].map((value) => filled(C, value));
    const running = [filled(C, 0), filled(C, 1)];
    const rest = [gamma, beta, 1e-5, 0.1, ...running, mean, rstd, 1, 0, y];
    return { bytes: 12 * elements, step: () => native().batchNormSync(x, rows, C, true, ...rest) };
  },
  batchNormBackward(elements, [rows, C]) {
    const [x, y, dy, dx] = [0, 0, 0, 0].map(() => random(elements));
    const [gamma, beta, mean, rstd, dgamma, dbeta] = [1, 0, 0, 1, 0, 0].map((value) => filled(C, value));
    const running = [filled(C, 0), filled(C, 1)];
    const step = () => {
      native().batchNormSync(x, rows, C, true, gamma, beta, 1e-5, 0.1, ...running, mean, rstd, 1, 0, y);
      const gradients = [dx, dgamma, dbeta];
      native().batchNormBackwardSync(x, dy, rows, C, true, gamma, beta, mean, rstd, 1, 0, ...gradients);
    };
    return { bytes: 32 * elements, step };
  },
  adam(elements) {
    const [p, g, m] = [0, 0, 0].map(() => random(elements));
    const v = filled(elements, 1);
    const step = () => native().adamSync(p, g, m, v, 1e-3, 0.9, 0.999, 1e-8, 0, false, 10, 1);
    return { bytes: 28 * elements, step };
  },
};

const RUNS = [
  { name: 'exp', shape: [1 << 20] },
  { name: 'softplus', shape: [1 << 20], title: 'softplus forward + backward' },
  { name: 'batchNorm', shape: [1024, 256], title: 'batch norm + ReLU forward' },
  { name: 'batchNormBackward', shape: [1024, 256], title: 'batch norm + ReLU forward + backward' },
  { name: 'batchNorm', shape: [50176, 32], title: 'batch norm + ReLU forward' },
  { name: 'batchNormBackward', shape: [50176, 32], title: 'batch norm + ReLU forward + backward' },
  { name: 'adam', shape: [1 << 20], title: 'Adam step' },
];

async function compare(peer, { name, shape, title = name }, turns) {
  const elements = shape.reduce((a, b) => a * b, 1);
  const { bytes, step } = CASES[name](elements, shape);
  const repeat = elements > 500_000 ? 10 : 40;
  step();
  const ours = [];
  const theirs = [];
  const cpu = { ours: 0, theirs: 0 }; // processor seconds: what other processes do hardly touches them
  for (let turn = 0; turn < turns; turn++) {
    const before = process.cpuUsage();
    for (let i = 0; i < repeat; i++) {
      const start = performance.now();
      step();
      ours.push(bytes / (performance.now() - start) / 1e6);
    }
    const used = process.cpuUsage(before);
    cpu.ours += (used.user + used.system) / 1e6;
    if (!peer) continue;
    const { seconds, cpu_seconds: cpuSeconds } = await peer.ask({ case: name, shape, repeat });
    theirs.push(...seconds.map((time) => bytes / time / 1e9));
    cpu.theirs += cpuSeconds;
  }
  const result = { case: `${title} ${shape.join(' x ')}`, unit: 'GB/s', ours: summary(ours) };
  if (!peer) return { ...result, note: 'no peer: /usr/bin/python3 has no torch' };
  const other = { name: 'PyTorch', ...summary(theirs) };
  const note = `${(cpu.theirs / cpu.ours).toFixed(1)} x less processor time`;
  return { ...result, peer: other, ratio: result.ours.median / other.median, note };
}

/** A call on one element: what the way from JavaScript costs. */
function smallCall() {
  const [x, y] = [random(1), random(1)];
  const times = [];
  for (let turn = 0; turn < 20; turn++) {
    const start = performance.now();
    for (let i = 0; i < 5000; i++) native().unarySync(1, 0, 0, x, y);
    times.push((performance.now() - start) / 5);
  }
  return { case: 'exp of one element, from JavaScript', unit: 'us', ours: summary(times) };
}

async function benchTensor({ quick = false, log = console.log } = {}) {
  const { backend, threads } = native().describe();
  const peer = await startPeer(threads);
  log(`tensor: backend ${backend}, ${threads} threads${peer ? '' : ', no PyTorch'}`);
  const results = [];
  for (const each of quick ? RUNS.slice(1, 3) : RUNS) results.push(await compare(peer, each, quick ? 2 : 7));
  peer?.stop();
  results.push(smallCall());
  for (const { case: name, ours, unit, peer: other, ratio, note } of results)
    log(
      `  ${name}: ${ours.median.toFixed(2)} ${unit}${other ? `, PyTorch ${other.median.toFixed(2)}, ${ratio.toFixed(2)} x (${note})` : ''}`,
    );
  return results;
}

export default benchTensor;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = await benchTensor({ quick: process.argv.includes('--quick') });
  console.log(JSON.stringify(results, null, 1));
}
