import { Worker } from 'node:worker_threads';
import { expect, describe as group, it } from 'vitest';
import { packageRoot } from '../../lib/native.js';

/** Runs `body` in a worker that has the addon as `addon`; resolves to what it posts. */
function inWorker(body: string): Promise<unknown> {
  const source = `
    const { parentPort } = require('node:worker_threads');
    const addon = require(${JSON.stringify(`${packageRoot}/build/Release/bince.node`)});
    ${body}`;
  return new Promise((resolve, reject) => {
    let message: unknown;
    const worker = new Worker(source, { eval: true });
    worker.on('message', (posted) => {
      message = posted;
    });
    worker.on('error', reject);
    worker.on('exit', (code) => (code === 0 ? resolve(message) : reject(new Error(`exit ${code}`))));
  });
}

group('worker_threads', () => {
  it('loads in several workers at once, each with its own state', async () => {
    const descriptions = await Promise.all(
      Array.from({ length: 4 }, () => inWorker('parentPort.postMessage(addon.describe());')),
    );
    for (const description of descriptions) expect(description).toMatchObject({ version: '0.1.0' });
  });

  it('loads again after a worker has ended', async () => {
    for (let round = 0; round < 3; round += 1) {
      expect(await inWorker('parentPort.postMessage(addon.describe().abi);')).toBe(2);
    }
  });
});
