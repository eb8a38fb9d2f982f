import { Worker } from 'node:worker_threads';
import { expect, describe as group, it } from 'vitest';
import { type CdfTables, decode, encode, encodeSync } from '../../lib/kernels/index.js';

const tables: CdfTables = {
  cdf: Int32Array.from([0, 8000, 30000, 60000, 65500, 65536]),
  start: Int32Array.from([0, 6]),
  offset: Int32Array.from([-2]),
};
const symbols = (count: number) => Int32Array.from({ length: count }, (_, i) => ((i * 7) % 4) - 2);

group('long calls', () => {
  it('leave the event loop live', async () => {
    const input = symbols(20_000_000);
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    const started = performance.now();
    await encode(input, { tables, coder: 'range', lanes: 1 });
    const elapsed = performance.now() - started;
    clearInterval(timer);
    expect(elapsed).toBeGreaterThan(20);
    // A blocked loop would give one turn at the end.
    expect(turns).toBeGreaterThan(5);
  });

  it('run in the order they were started and settle each on its own', async () => {
    const inputs = [1000, 10, 100_000, 1].map(symbols);
    const coded = await Promise.all(inputs.map((input) => encode(input, { tables })));
    const decoded = await Promise.all(coded.map((c, i) => decode(c, { tables, count: inputs[i]!.length })));
    for (const [i, input] of inputs.entries()) {
      expect(coded[i]).toEqual(encodeSync(input, { tables }));
      expect(decoded[i]).toEqual(input);
    }
  });

  it('reject with the reason of a signal that had fired', async () => {
    const reason = new Error('changed my mind');
    await expect(encode(symbols(10), { tables, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('end early, with the reason, when the signal fires while they wait or run', async () => {
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const input = symbols(20_000_000);
    const running = encode(input, { tables, coder: 'range', lanes: 1, signal: controller.signal });
    const waiting = encode(input, { tables, coder: 'range', lanes: 1, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 5);
    const outcomes = await Promise.allSettled([running, waiting]);
    expect(outcomes).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    // The thread takes further work.
    expect(await encode(symbols(100), { tables })).toEqual(encodeSync(symbols(100), { tables }));
  });

  it('do not outlive a worker that is terminated in their middle', async () => {
    const source = `
      const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(new URL('../../dist/kernels/index.js', import.meta.url).href)}).then((kernels) => {
        const tables = { cdf: Int32Array.from([0, 30000, 65000, 65536]), start: Int32Array.from([0, 4]),
          offset: Int32Array.from([0]) };
        for (let i = 0; i < 8; i += 1) kernels.encode(new Int32Array(5e6), { tables, coder: 'range', lanes: 1 });
        parentPort.postMessage('started');
      });`;
    for (let round = 0; round < 3; round += 1) {
      const worker = new Worker(source, { eval: true });
      await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await worker.terminate()).toBe(1);
    }
  });
});
