// The factorised entropy model beside PyTorch (bench/peers/entropy_torch.py), in turns in one run: noise, likelihood, bits, and
// backward to x and the 58 parameters a channel.  Peers: the model as an nn.Module of the structure of CompressAI's
// EntropyBottleneck, which the target is set against, and the same arithmetic with all else left out.
// Other backends and one thread run in processes of their own: `entropy.mjs --ours` answers requests on stdin.
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
import { atLeast, atMost } from '../scripts/bench_targets.mjs';

/** A process that answers each line of JSON with one; undefined where it does not start. */
async function startProcess(program, parameters, first, env = {}) {
  const child = spawn(program, parameters, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  const time = async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await lines.next();
    return done ? undefined : JSON.parse(value);
  };
  return (await time(first)) && { time, stop: () => child.stdin.end() };
}

const startPeer = (threads) =>
  startProcess('/usr/bin/python3', [fileURLToPath(new URL('peers/entropy_torch.py', import.meta.url))], {
    kind: 'lean',
    rows: 1,
    channels: 1,
    backward: true,
    threads,
  });

const startOurs = (env) =>
  startProcess(
    process.execPath,
    [fileURLToPath(import.meta.url), '--ours'],
    { rows: 1, channels: 1, backward: true },
    env,
  );

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

/** A call over fixed random data. */
function makeCall({ rows, channels, backward }) {
  const elements = rows * channels;
  const x = Float32Array.from({ length: elements }, () => 3 * normal());
  const parameters = initFactorizedParameters(channels, { seed: 1 });
  const options = { channels, parameters, quantize: 'noise', seed: 1 };
  const out = { dx: new Float32Array(elements), dparameters: new Float32Array(parameters.length) };
  const once = backward
    ? () => factorizedBackwardSync(x, { ...options, ...out })
    : () => factorizedForwardSync(x, options);
  once();
  return once;
}

const nameOf = ({ rows, channels, backward }) =>
  `factorised ${backward ? 'forward + backward' : 'forward'} ${rows} x ${channels}`;

/** One case: ours several times a turn (it is far shorter), then every peer once. */
async function compare(peer, { rows, channels, backward, kinds, turns, target }) {
  const elements = rows * channels;
  const once = makeCall({ rows, channels, backward });
  const ours = [];
  const theirs = Object.fromEntries(kinds.map((kind) => [kind, []]));
  const cpu = Object.fromEntries(['ours', ...kinds].map((kind) => [kind, 0])); // processor seconds of a pass
  for (const kind of peer ? kinds : []) await peer.time({ kind, rows, channels, backward });
  for (let turn = 0; turn < turns; turn++) {
    const before = process.cpuUsage();
    for (let i = 0; i < 5; i++) ours.push(elements / timed(once) / 1e6);
    const used = process.cpuUsage(before);
    cpu.ours += (used.user + used.system) / 1e6 / 5;
    for (const kind of peer ? kinds : []) {
      const { seconds, cpu_seconds: cpuSeconds } = await peer.time({ kind, rows, channels, backward });
      theirs[kind].push(elements / seconds / 1e6);
      cpu[kind] += cpuSeconds;
    }
  }
  const result = { case: nameOf({ rows, channels, backward }), unit: 'M elements/s', ours: summary(ours) };
  if (!peer) return [{ ...result, note: 'no peer: /usr/bin/python3 has no torch' }];
  return kinds.map((kind) => {
    const other = { name: peerNames[kind], ...summary(theirs[kind]) };
    const ratio = result.ours.median / other.median;
    const note = `${(cpu[kind] / cpu.ours).toFixed(0)} x less processor time`;
    const aimed = kind === 'module' && target ? { target } : {};
    const name = kind === 'module' ? result.case : `${result.case}, lean peer`;
    return { ...result, case: name, peer: other, ratio, note, ...aimed };
  });
}

const peerNames = {
  module: "PyTorch module of CompressAI's structure",
  lean: 'PyTorch, the arithmetic alone',
};

/** The other backend and one thread beside this process's own setting, in turns: peer is the other one. */
async function compareSettings(name, env, turns, target) {
  const request = { rows: 2048, channels: 512, backward: true };
  const elements = request.rows * request.channels;
  const other = await startOurs(env);
  if (!other) return [];
  const once = makeCall(request);
  await other.time(request);
  const rates = { ours: [], other: [] };
  for (let turn = 0; turn < 3 * turns; turn++) {
    rates.ours.push(elements / timed(once) / 1e6);
    rates.other.push(elements / (await other.time(request)).seconds / 1e6);
  }
  other.stop();
  const [ours, slower] = [summary(rates.ours), summary(rates.other)];
  const ratio = ours.median / slower.median;
  return [
    {
      case: `${nameOf(request)} beside ${name}`,
      unit: 'M elements/s',
      ours,
      peer: { name, ...slower },
      ratio,
      ...target,
    },
  ];
}

/** What `--ours` does: answers requests until stdin ends. */
async function answer() {
  const calls = new Map();
  for await (const line of createInterface({ input: process.stdin })) {
    if (!calls.has(line)) calls.set(line, makeCall(JSON.parse(line)));
    console.log(JSON.stringify({ seconds: timed(calls.get(line)) }));
  }
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
  const kinds = ['module', 'lean'];
  const cases = [
    { rows: 2048, channels: 512, backward: true, kinds, target: atLeast(150, 'ratio') },
    { rows: 2048, channels: 512, backward: false, kinds },
    { rows: 256, channels: 128, backward: true, kinds: ['module'] },
  ];
  for (const each of quick ? cases.slice(0, 1) : cases)
    results.push(...(await compare(peer, { ...each, turns })));
  if (threads > 1)
    results.push(
      ...(await compareSettings('one thread', { BINCE_THREADS: '1' }, turns, {
        target: atLeast(1.8, 'ratio'),
      })),
    );
  if (backend === 'avx512')
    results.push(
      ...(await compareSettings('AVX2', { BINCE_BACKEND: 'avx2' }, turns, {
        target: atMost(2, 'ratio'),
      })),
    );
  results.push(gaussian(quick ? 256 : 2048, 512, turns));
  peer?.stop();
  for (const { case: name, ours, peer: other, ratio, note } of results)
    log(
      `  ${name}: ${ours.median.toFixed(1)} M/s${other ? `, ${other.name} ${other.median.toFixed(2)} M/s, ${ratio.toFixed(1)} x${note ? ` (${note})` : ''}` : ''}`,
    );
  return results;
}

export default benchEntropy;

if (process.argv.includes('--ours') && process.argv[1] === fileURLToPath(import.meta.url)) {
  await answer();
} else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = await benchEntropy({ quick: process.argv.includes('--quick') });
  console.log(JSON.stringify(results, null, 1));
}
