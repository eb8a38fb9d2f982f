// Training of the lossless-prediction systems: time of a whole step (batch, augmentation, forward, backward, clipping,
// update) beside the same step in PyTorch, alternately in one run. With QUALITY=NAME,NAME (or all) also what trained
// models reach, which takes minutes each: banana-vic, banana-vc, mnist-vic, mnist-vc, mnist-bince.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe } from '../dist/kernels/index.js';
import {
  createExperiment,
  evaluateRun,
  openRun,
  resolveConfig,
  trainRun,
} from '../dist/systems/lossless-prediction/index.js';
import { Trainer } from '../dist/train/index.js';
import { atLeast, atMost, targetText } from '../scripts/bench_targets.mjs';

/**
 * A peer process that is asked for one timing at a time; null where PyTorch is missing. It gets the fastest kernels of
 * OpenBLAS, which by itself does not know newer processors, and a malloc that keeps freed memory: twice as fast here.
 */
async function startPeer(log) {
  const script = fileURLToPath(new URL('peers/lossless_prediction_torch.py', import.meta.url));
  const kernels = { avx512: 'SkylakeX', avx2: 'Haswell' }[describe().backends[0]];
  const env = {
    ...(kernels && { OPENBLAS_CORETYPE: kernels }),
    MALLOC_MMAP_THRESHOLD_: '2000000000',
    MALLOC_TRIM_THRESHOLD_: '4000000000',
    ...process.env,
  };
  const child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'inherit'], env });
  let missing;
  child.on('error', (error) => {
    missing = error.message;
  });
  child.stdin.on('error', () => {});
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
      const { ms, cpuMs, error } = await answer();
      if (error) throw new Error(error);
      return { ms, cpuMs };
    },
    stop: () => child.stdin.end(),
  };
}

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
}

// Steps that normalise pose or bend images are left out: the peer has none. The network is the default one.
const kImages = { data: 'mnist', pose: false, trainingSteps: [] };
const kSpeeds = [
  {
    name: 'banana VIC, batch 1024',
    config: { system: 'vic', data: 'banana' },
    request: { case: 'banana', batch: 1024, augment: false },
    threads: [1, 2],
    steps: 20,
    target: atLeast(4, 'ratio'),
  },
  ...[128, 256].flatMap((batch) =>
    [true, false].map((augment) => ({
      name: `MNIST VIC, batch ${batch}, ${augment ? 'augmented' : 'images as they are'}`,
      config: { ...kImages, system: 'vic', batch, ...(augment ? {} : { augmentation: [] }) },
      request: { case: 'vic', batch, augment },
      threads: [2],
      steps: batch === 128 ? 20 : 10,
      target: atLeast(1, 'ratio'),
    })),
  ),
  {
    name: 'MNIST BINCE, batch 128, augmented',
    config: { ...kImages, system: 'bince', batch: 128 },
    request: { case: 'bince', batch: 128, augment: true },
    threads: [2],
    steps: 10,
  },
];

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/**
 * Rounds of a few steps: ours inside a Trainer, then the peer's with each number of threads, in the same order. On a
 * busy machine the peer's threads wait for each other at barriers, so that its medians say little: the best rounds
 * and the processor time are noted beside.
 */
async function compare({ name, config, request, threads, steps, target }, rounds, peer, log) {
  const total = steps * (rounds + 1);
  const experiment = await createExperiment(resolveConfig({ ...config, steps: total }));
  const ours = [];
  const theirs = threads.map(() => []);
  let round = -1;
  let start = performance.now();
  let startCpu = cpuMs();
  const onStepEnd = async ({ step }) => {
    if ((step + 1) % steps !== 0) return;
    const mine = { ms: (performance.now() - start) / steps, cpuMs: (cpuMs() - startCpu) / steps };
    for (const [i, count] of threads.entries()) {
      const other = peer && (await peer.time({ ...request, steps, threads: count }));
      if (round >= 0 && peer) theirs[i].push(other); // the first round warms both up
    }
    if (round >= 0) ours.push(mine);
    round += 1;
    start = performance.now();
    startCpu = cpuMs();
  };
  try {
    const options = { ...experiment.trainer, callbacks: { onStepEnd } };
    await new Trainer(experiment.task, experiment.source, options).fit();
  } finally {
    experiment.dispose();
  }
  return threads.map((count, i) => {
    const own = spread(ours.map(({ ms }) => ms));
    const ownCpu = spread(ours.map((each) => each.cpuMs)).median;
    const rate = (ms) => Math.round((1000 * request.batch) / ms);
    const result = {
      case: `${name}; ${describe().threads} threads, peer ${count}`,
      unit: 'ms a step',
      ours: own,
      ...(target !== undefined && { target }),
      note: `${rate(own.median)} examples/s`,
    };
    if (peer) {
      const peerCpu = spread(theirs[i].map((each) => each.cpuMs)).median;
      result.peer = { name: peer.name, ...spread(theirs[i].map(({ ms }) => ms)) };
      result.ratio = result.peer.median / own.median;
      const best = (result.peer.min / own.min).toFixed(2);
      result.note += `; peer ${rate(result.peer.median)}; best rounds ${best}x`;
      result.note += `; processor ${ownCpu.toFixed(1)} and ${peerCpu.toFixed(1)} ms`;
    } else {
      result.note += '; PyTorch is not installed';
    }
    log(
      `${result.case}: ${own.median.toFixed(2)} ms, ${result.note}${peer ? `, ${result.ratio.toFixed(2)}x` : ''}`,
    );
    return result;
  });
}

// Four times the work of the demo's network.
const kWide = { convolutions: [32, 64, 128], hidden: 512 };
// Settings were chosen on draw 0 of the test images' augmentations; figures are of another.
const kEvaluation = { reconstructions: false, probeEpochs: 30, draw: 1 };

// What has to be reached.
const kQualities = {
  'banana-vic': {
    config: { system: 'vic', data: 'banana' },
    target: { modelBits: atMost(2.35), meanSquaredError: atMost(0.04) },
  },
  'banana-vc': { config: { system: 'vc', data: 'banana' } },
  'mnist-vic': {
    config: { system: 'vic', data: 'mnist', ...kWide, epochs: 40 },
    target: { fileBits: atMost(50), linearProbe: atLeast(0.975) },
  },
  'mnist-vc': { config: { system: 'vc', data: 'mnist', ...kWide, epochs: 20 } },
  'mnist-bince': {
    config: { system: 'bince', data: 'mnist', ...kWide, epochs: 24 },
    target: { fileBits: atMost(50), linearProbe: atLeast(0.975) },
  },
};
const kUnits = {
  fileBits: 'bits in the file',
  modelBits: 'bits of the model',
  meanSquaredError: 'squared error',
  linearProbe: 'accuracy',
  mlpProbe: 'accuracy of an MLP',
  seconds: 's of training',
};

/** Trains a system as its configuration says, sends the test set through a file, and evaluates what comes back. */
async function measureQuality(name, log) {
  const { config, target = {} } = kQualities[name];
  const out = await mkdtemp(join(tmpdir(), 'bince-systems-'));
  try {
    const { seconds } = await trainRun(resolveConfig(config), { out: join(out, 'run') });
    const run = await openRun(join(out, 'run'));
    let evaluation;
    try {
      evaluation = await evaluateRun(run, kEvaluation);
    } finally {
      run.dispose();
    }
    const measured = { ...evaluation, seconds };
    return Object.keys(kUnits)
      .filter((key) => measured[key] !== undefined)
      .map((key) => {
        const value = measured[key];
        const ours = { median: value, min: value, max: value };
        const wanted = target[key] && { target: target[key] };
        const result = { case: name, unit: kUnits[key], ours, ...wanted };
        log(
          `${name}: ${value.toPrecision(4)} ${kUnits[key]}${wanted ? `, target ${targetText(result)}` : ''}`,
        );
        return result;
      });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

function wantedQualities() {
  const given = process.env.QUALITY ?? '';
  const names = given === 'all' ? Object.keys(kQualities) : given.split(',').filter(Boolean);
  const unknown = names.find((name) => !Object.hasOwn(kQualities, name));
  if (unknown)
    throw new Error(`QUALITY: expected ${Object.keys(kQualities).join(', ')} or all, received ${unknown}`);
  return names;
}

/** `only`: a part of the names of the speed cases that are wanted. */
export default async function benchSystems({ quick = false, only = '', log = console.log } = {}) {
  const qualities = wantedQualities();
  const peer = await startPeer(log);
  const results = [];
  try {
    for (const speed of kSpeeds.filter(({ name }) => name.includes(only))) {
      const steps = quick ? speed.steps / 2 : speed.steps;
      results.push(...(await compare({ ...speed, steps }, quick ? 5 : 11, peer, log)));
    }
  } finally {
    peer?.stop();
  }
  for (const name of qualities) results.push(...(await measureQuality(name, log)));
  return results;
}
