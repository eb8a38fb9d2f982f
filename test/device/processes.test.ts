/** What needs a process of its own: machines without CUDA, with little memory, with two devices; workers; garbage. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, describe as group, it } from 'vitest';
import { temporaryFolder } from '../data/files.js';
import { inProcess, missing, simulator } from './simulator.js';

const onSimulator = group.skipIf(missing !== undefined);
const simulated = { BINCE_CUDA_LIBRARY: simulator };

const availability = `
  const { cuda } = bince.device;
  report({
    available: cuda.available,
    reason: cuda.reason,
    devices: cuda.devices,
    auto: bince.device.choose('auto'),
    refused: refusal(() => bince.ones([2]).to('cuda')),
    made: refusal(() => bince.ones([2], { device: 'cuda:1' })),
    still: bince.ones([2], { device: 'auto' }).add(1).toArray(),
  });`;

interface Availability {
  available: boolean;
  reason: string;
  devices: unknown[];
  auto: { device: string; sentence: string };
  refused: { code: string; message: string; hint: string };
  made: { code: string; message: string };
  still: number[];
}

async function expectNone(library: string, reason: RegExp): Promise<void> {
  const found = (await inProcess(availability, { BINCE_CUDA_LIBRARY: library })) as Availability;
  expect(found.available).toBe(false);
  expect(found.reason).toMatch(reason);
  expect(found.devices).toEqual([]);
  expect(found.auto).toEqual({ device: 'cpu', sentence: `device cpu: ${found.reason}` });
  expect(found.refused).toMatchObject({
    code: 'BINCE_UNSUPPORTED',
    message: `device 'cuda': ${found.reason}`,
  });
  expect(found.refused.hint).toMatch(/'cpu'/);
  expect(found.made.message).toBe(`device 'cuda:1': ${found.reason}`);
  expect(found.still).toEqual([2, 2]);
}

group('without CUDA', () => {
  it('says where the library was looked for', () =>
    expectNone('/nowhere/libbince_cuda.so', /not found at \/nowhere\/libbince_cuda\.so; build it with/));

  it('says what is wrong with the library', async () => {
    const folder = temporaryFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'broken.so'), 'no library');
    await expectNone(join(folder, 'broken.so'), /could not be opened: .*broken\.so/);
  });

  it('refuses cuda as the backend of the CPU', async () => {
    const refused = await inProcess('report(refusal(() => bince.ones([2])));', { BINCE_BACKEND: 'cuda' });
    expect(refused).toMatchObject({
      code: 'BINCE_UNSUPPORTED',
      message: expect.stringMatching(/\.to\('cuda'\)/),
    });
  });
});

onSimulator('machines that are simulated', () => {
  it('without a device, or with an old driver', async () => {
    for (const [environment, reason] of [
      [{ CUSIM_DEVICES: '0' }, /finds no device/],
      [{ CUSIM_DRIVER: '12040' }, /serves CUDA 12\.4.*driver 580/],
    ] as const) {
      const found = (await inProcess(availability, { ...simulated, ...environment })) as Availability;
      expect(found.available).toBe(false);
      expect(found.reason).toMatch(reason);
    }
  });

  it('with little memory: the error names the sizes, and all goes on', async () => {
    const text = `
      const small = bince.ones([1 << 18], { device: 'cuda' });
      const refused = refusal(() => bince.ones([1 << 20], { device: 'cuda' }));
      const tensors = bince.memory().cuda.tensors;
      // What was freed and kept goes back to the device for a tensor of another size.
      bince.ones([1 << 17], { device: 'cuda' }).dispose();
      const other = bince.ones([150_000], { device: 'cuda' });
      report({ refused, tensors, sum: small.to('cpu').sum().item() + other.to('cpu').sum().item() });`;
    const { refused, tensors, sum } = (await inProcess(text, { ...simulated, CUSIM_MEMORY: '2097152' })) as {
      refused: { code: string; message: string };
      tensors: number;
      sum: number;
    };
    expect(refused.code).toBe('BINCE_OUT_OF_MEMORY');
    expect(refused.message).toMatch(
      /4194304 bytes were asked for, \d+ of 2097152 are free; 1048576 bytes are in use/,
    );
    expect(tensors).toBe(1);
    expect(sum).toBe((1 << 18) + 150_000);
  });

  it('with two devices, between which tensors move', async () => {
    const text = `
      const x = bince.tensor([1, 2, 3], { device: 'cuda:1', requiresGrad: true });
      const y = x.to('cuda:0');
      y.to('cpu').square().sum().backward();
      const wrong = (at) => refusal(() =>
        bince.Tensor.fromDevicePointer(y.devicePointer, [3], 'float32', { device: at }));
      const all = [x.device, y.device, y.toArray(), x.grad.device, x.grad.toArray(), bince.device.cuda.devices.length];
      report({ all, mixed: refusal(() => bince.concat([x, y])), wrong: wrong('cuda:1'), right: wrong('cuda:0') });`;
    const { all, mixed, wrong, right } = (await inProcess(text, {
      ...simulated,
      CUSIM_DEVICES: '2',
    })) as Record<string, { message: string }>;
    expect(all).toEqual(['cuda:1', 'cuda:0', [1, 2, 3], 'cuda:1', [2, 4, 6], 2]);
    expect(mixed!.message).toMatch(/concat: expected tensors on one device, received cuda:1 .* and cuda:0/);
    expect(wrong!.message).toMatch(/expected memory of CUDA device 1, received that of device 0/);
    expect(right).toBeUndefined();
  });

  it('in workers, each with a context of its own, also one that is terminated', async () => {
    const text = `
      import { Worker } from 'node:worker_threads';
      const work = (body) => new Promise((resolve, reject) => {
        const source = \`Promise.all([import(process.env.BINCE_ROOT), import('node:worker_threads')])
          .then(([bince, { parentPort }]) => { \${body} })\`;
        const worker = new Worker(source, { eval: true });
        let said;
        worker.on('message', (message) => {
          said = message;
          if (message === 'terminate me') worker.terminate();
        });
        worker.on('error', reject);
        worker.on('exit', () => resolve(said));
      });
      const post = 'parentPort.postMessage';
      const mine = bince.ones([3], { device: 'cuda' });
      const sum = post + "(bince.ones([5], { device: 'cuda' }).to('cpu').sum().item())";
      const stay = "globalThis.x = bince.ones([1 << 16], { device: 'cuda' }); x.data();"
        + post + "('terminate me'); setInterval(() => x.data(), 1)";
      const said = await Promise.all([work(sum), work(sum), work(stay)]);
      report([...said, mine.toArray()]);`;
    const root = new URL('../../dist/index.js', import.meta.url).href;
    const said = await inProcess(text, { ...simulated, BINCE_ROOT: root });
    expect(said).toEqual([5, 5, 'terminate me', [1, 1, 1]]);
  });

  it('ends well with tensors that live, and with jobs that run', async () => {
    const text = `
      globalThis.x = bince.ones([1 << 18], { device: 'cuda' });
      globalThis.capsule = x.toDLPack();
      globalThis.pending = [x.data(), x.data()];
      report('alive');
      process.exit(0);`;
    expect(await inProcess(text, simulated)).toBe('alive');
  });

  it('frees what nobody holds any more, capsules included', async () => {
    const text = `
      const before = bince.memory();
      const owner = new FinalizationRegistry(() => { freed += 1; });
      let freed = 0;
      const held = bince.ones([4], { device: 'cuda' });
      const lent = { };
      (() => {
        for (const device of ['cpu', 'cuda']) {
          bince.ones([1 << 16], { device });
          bince.ones([1 << 16], { device }).toDLPack();
          const x = bince.ones([1 << 16], { device });
          const capsule = x.toDLPack();
          x.dispose();
        }
        const object = { };
        owner.register(object, 0);
        bince.Tensor.fromDevicePointer(held.devicePointer, [4], 'float32', { owner: object });
        lent.kept = { };
        owner.register(lent.kept, 1);
        lent.tensor = bince.Tensor.fromDevicePointer(held.devicePointer, [4], 'float32', { owner: lent.kept });
        lent.kept = undefined;
      })();
      for (let i = 0; i < 10; i++) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const after = bince.memory();
      report([after.tensors - before.tensors, after.cuda.tensors - before.cuda.tensors, freed, lent.tensor.toArray()]);`;
    expect(await inProcess(text, simulated, ['--expose-gc'])).toEqual([0, 1, 1, [1, 1, 1, 1]]);
  });
});
