// The factorised entropy model beside the same model written plainly in PyTorch (bench/peers/entropy_torch.py), in
// turns in one run: noise, likelihood, bits, and backward to x and the 58 parameters a channel.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  describe,
  factorizedBackwardSync,
  factorizedForwardSync,
  gaussianBackwardSync,
  initFactorizedParameters,
} from '../dist/kernels/index.js';

/** Starts the PyTorch peer; undefined where Python or torch is missing. */
async function startPeer(threads) {
  const script = fileURLToPath(new URL('peers/entropy_torch.py', import.meta.url));
  const child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  const time = async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await lines.next();
    return done ? undefined : JSON.parse(value);
  };
  const first = await time({ rows: 1, channels: 1, backward: true, threads });
  return first && { time, stop: () => child.stdin.end() };
}

function summary(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
}

function timed(call) {
  const start = performance.now();
  call();
  return (performance.now() - start) / 1e3;
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/** One case: ours several times a turn (it is far shorter), then the peer once. */
async function compare(peer, { rows, channels, backward, turns, target }) {
  const elements = rows * channels;
  const x = Float32Array.from({ length: elements }, () => 3 * normal());
  const parameters = initFactorizedParameters(channels, { seed: 1 });
  const options = { channels, parameters, quantize: 'noise', seed: 1 };
  const out = { dx: new Float32Array(elements), dparameters: new Float32Array(parameters.length) };
  const once = backward
    ? () => factorizedBackwardSync(x, { ...options, ...out })
    : () => factorizedForwardSync(x, options);
  once();
  const ours = [];
  const theirs = [];
  const cpu = { ours: 0, theirs: 0 }; // processor seconds of a pass: what other processes do hardly touches it
  if (peer) await peer.time({ rows, channels, backward });
  for (let turn = 0; turn < turns; turn++) {
    const before = process.cpuUsage();
    for (let i = 0; i < 5; i++) ours.push(elements / timed(once) / 1e6);
    const used = process.cpuUsage(before);
    cpu.ours += (used.user + used.system) / 1e6 / 5;
    if (!peer) continue;
    const { seconds, cpu_seconds: cpuSeconds } = await peer.time({ rows, channels, backward });
    theirs.push(elements / seconds / 1e6);
    cpu.theirs += cpuSeconds;
  }
  const result = {
    case: `factorised ${backward ? 'forward + backward' : 'forward'} ${rows} x ${channels}`,
    unit: 'M elements/s',
    ours: summary(ours),
  };
  if (!peer) return { ...result, note: 'no peer: /usr/bin/python3 has no torch' };
  const other = { name: 'PyTorch, the model written plainly', ...summary(theirs) };
  const ratio = result.ours.median / other.median;
  const note = `${(cpu.theirs / cpu.ours).toFixed(0)} x less processor time`;
  return { ...result, peer: other, ratio, note, ...(target && { target }) };
}

function gaussian(rows, columns, turns) {
  const T = rows * columns;
  const y = Float32Array.from({ length: T }, () => 4 * normal());
  const mean = Float32Array.from({ length: T }, normal);
  const scale = Float32Array.from({ length: T }, () => 0.2 + 4 * Math.random());
  const out = { dy: new Float32Array(T), dmean: new Float32Array(T), dscale: new Float32Array(T) };
  const once = () => gaussianBackwardSync(y, { columns, mean, scale, quantize: 'noise', ...out });
  once();
  const ours = Array.from({ length: turns }, () => T / timed(once) / 1e6);
  return {
    case: `Gaussian conditional forward + backward ${rows} x ${columns}`,
    unit: 'M elements/s',
    ours: summary(ours),
  };
}

async function benchEntropy({ quick = false, log = console.log } = {}) {
  const { backend, threads } = describe();
  const peer = await startPeer(threads);
  log(`entropy: backend ${backend}, ${threads} threads${peer ? '' : ', no PyTorch'}`);
  const turns = quick ? 2 : 5;
  const results = [];
  const cases = [
    { rows: 2048, channels: 512, backward: true, target: 150 },
    { rows: 2048, channels: 512, backward: false },
    { rows: 256, channels: 128, backward: true },
  ];
  for (const each of quick ? cases.slice(0, 1) : cases) results.push(await compare(peer, { ...each, turns }));
  results.push(gaussian(quick ? 256 : 2048, 512, turns));
  peer?.stop();
  for (const { case: name, ours, peer: other, ratio, note } of results)
    log(
      `  ${name}: ${ours.median.toFixed(1)} M/s${other ? `, ${other.name} ${other.median.toFixed(2)} M/s, ${ratio.toFixed(0)} x (${note})` : ''}`,
    );
  return results;
}

export default benchEntropy;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = await benchEntropy({ quick: process.argv.includes('--quick') });
  console.log(JSON.stringify(results, null, 1));
}
