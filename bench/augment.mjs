// Augmentations in images a second. MNIST's affine stands beside the same warp of the whole batch in PyTorch
// (bench/peers/augment_torch.py), in turns in one run; the published augmentations stand alone.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { augmentations, augmentSync } from '../dist/data/index.js';
import { describe } from '../dist/kernels/index.js';
import { atLeast } from '../scripts/bench_targets.mjs';

/** Starts the PyTorch peer; undefined where Python or torch is missing. */
async function startPeer(threads) {
  const script = fileURLToPath(new URL('peers/augment_torch.py', import.meta.url));
  const child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  const time = async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await lines.next();
    return done ? undefined : JSON.parse(value);
  };
  const first = await time({ images: 1, height: 28, width: 28, channels: 1, threads });
  return first && { time, stop: () => child.stdin.end() };
}

function summary(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
}

const cases = [
  { name: 'mnist', side: 28, channels: 1, withPeer: true, target: atLeast(100_000) },
  { name: 'mnistViews', side: 28, channels: 1, target: atLeast(80_000) },
  { name: 'mnist', side: 32, channels: 3, withPeer: true },
  { name: 'amdim', side: 32, channels: 3 },
  { name: 'simclr', side: 32, channels: 3 },
];

/** One case: ours three times a turn (it is shorter), then the peer once. */
async function compare(peer, { name, side, channels, withPeer, target }, turns) {
  const images = 4096;
  const size = side * side * channels;
  const pixels = Uint8Array.from({ length: images * size }, () => Math.random() * 256);
  const out = new Float32Array(images * size);
  const shape = [images, side, side, channels];
  const request = { images, height: side, width: side, channels };
  const ours = [];
  const theirs = [];
  const cpu = { ours: 0, theirs: 0 };
  const once = (epoch) => augmentSync(pixels, { shape, steps: augmentations[name], epoch, out });
  once(0);
  if (peer && withPeer) await peer.time(request);
  for (let turn = 0; turn < turns; turn++) {
    const before = process.cpuUsage();
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      once(3 * turn + i);
      ours.push((images / (performance.now() - start)) * 1e3);
    }
    const used = process.cpuUsage(before);
    cpu.ours += (used.user + used.system) / 1e6 / 3;
    if (!peer || !withPeer) continue;
    const { seconds, cpu_seconds: cpuSeconds } = await peer.time(request);
    theirs.push(images / seconds);
    cpu.theirs += cpuSeconds;
  }
  const result = {
    case: `augmentations.${name}, ${side} x ${side} x ${channels}`,
    unit: 'images/s',
    ours: summary(ours),
  };
  if (!withPeer) return target ? { ...result, target } : result;
  if (!peer) return { ...result, note: 'no peer: /usr/bin/python3 has no torch', ...(target && { target }) };
  const other = { name: 'PyTorch, affine_grid and grid_sample', ...summary(theirs) };
  const note = `${(cpu.theirs / cpu.ours).toFixed(1)} x less processor time`;
  return {
    ...result,
    peer: other,
    ratio: result.ours.median / other.median,
    note,
    ...(target && { target }),
  };
}

async function benchAugment({ quick = false, log = console.log } = {}) {
  const { backend, threads } = describe();
  const peer = await startPeer(threads);
  log(`augment: backend ${backend}, ${threads} threads${peer ? '' : ', no PyTorch'}`);
  const results = [];
  for (const each of quick ? cases.slice(0, 1) : cases)
    results.push(await compare(peer, each, quick ? 3 : 9));
  peer?.stop();
  for (const { case: name, ours, ratio } of results)
    log(`  ${name}: ${ours.median.toFixed(0)} images/s${ratio ? `, ${ratio.toFixed(1)} x PyTorch` : ''}`);
  return results;
}

export default benchAugment;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = await benchAugment({ quick: process.argv.includes('--quick') });
  console.log(JSON.stringify(results, null, 1));
}
