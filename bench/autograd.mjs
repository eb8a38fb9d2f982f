// What a small recorded operation costs, tape and native call and all, beside PyTorch's (bench/peers/autograd_torch.py,
// one thread), in turns in one run. Tensors of 16 and 16 x 16 elements: nearly all of it is overhead.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { add, full, ones, relu, scope, sum } from '../dist/index.js';

async function startPeer() {
  const script = fileURLToPath(new URL('peers/autograd_torch.py', import.meta.url));
  const child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  const time = async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await lines.next();
    return done ? undefined : JSON.parse(value);
  };
  return (await time({ case: 'add', count: 1 })) === undefined
    ? undefined
    : { time, stop: () => child.stdin.end() };
}

function summary(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
}

function timed(call, count) {
  for (let i = 0; i < count / 10; i++) call();
  const start = performance.now();
  for (let i = 0; i < count; i++) call();
  return ((performance.now() - start) / count) * 1e3;
}

export default async function ({ quick, log }) {
  const x = ones([16], { requiresGrad: true });
  const y = full([16], 2);
  const m = ones([16, 16], { requiresGrad: true });
  const chain = () => {
    scope(() => {
      let h = x;
      for (let i = 0; i < 20; i++) h = add(h, y);
      sum(h).backward();
    });
    x.grad.dispose();
    x.grad = undefined;
  };
  const cases = {
    add: ['add, recorded', () => add(x, y).dispose()],
    'add a row': ['add a row to a matrix, recorded', () => add(m, y).dispose()],
    relu: ['relu, recorded', () => relu(x).dispose()],
    sum: ['sum over rows, recorded', () => sum(m, 0).dispose()],
    chain: ['20 adds and a sum, forward and backward', chain],
  };
  const peer = await startPeer();
  const results = [];
  for (const [name, [label, call]] of Object.entries(cases)) {
    log(label);
    const count = Math.ceil((quick ? 2000 : 20000) / (name === 'chain' ? 20 : 1));
    const [ours, theirs] = [[], []];
    for (let turn = 0; turn < (quick ? 3 : 9); turn++) {
      ours.push(timed(call, count));
      if (peer) theirs.push(await peer.time({ case: name, count }));
    }
    const mine = summary(ours);
    results.push({
      case: label,
      unit: 'us',
      ours: mine,
      ...(peer
        ? { peer: { name: 'torch', ...summary(theirs) }, ratio: summary(theirs).median / mine.median }
        : { note: 'python3-torch is not installed' }),
    });
  }
  peer?.stop();
  return results;
}
