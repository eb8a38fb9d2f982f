/** `--device`: the device that was taken is named, one that cannot be had is an error. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { normalRows, temporaryFolder, writeNpy } from '../data/files.js';
import { cli } from './run_cli.js';

const folder = temporaryFolder();
const vectors = join(folder, 'x.npy');
writeNpy(vectors, normalRows(64 * 4, 3), 4);

const runFit = (...args: string[]) => cli(['fit', vectors, '-o', join(folder, 'm.safetensors'), ...args]);

describe('--device', () => {
  it('auto says which device was taken and why', async () => {
    const { code, stderr } = await runFit('--device', 'auto');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^device cpu: training has no CUDA kernels in this version/m);
    expect((await runFit('--device', 'auto', '--quiet')).stderr).toBe('');
    expect((await runFit('--device', 'cpu')).stderr).not.toMatch(/device/);
  });

  it.each(['cuda', 'cuda:1'])('%s is an error with the reason', async (device) => {
    for (const { code, stderr } of [
      await runFit('--device', device),
      await cli(['train', 'vic', '--data', 'banana', '--device', device, '--out', join(folder, 'run')]),
      await cli(['fit', vectors, '-o', join(folder, 'n'), '--pairs', vectors], { BINCE_DEVICE: device }),
    ]) {
      expect(code).toBe(1);
      expect(stderr).toContain(`error: device '${device}': training has no CUDA kernels in this version`);
      expect(stderr).toMatch(/^hint: say --device cpu/m);
    }
  });

  it('refuses other words', async () => {
    const { code, stderr } = await runFit('--device', 'gpu');
    expect(code).toBe(2);
    expect(stderr).toMatch(/expected auto, cpu, cuda or cuda:N/);
  });
});

describe('doctor', () => {
  it('tells why there is no CUDA, which is no problem', async () => {
    const { code, stdout } = await cli(['doctor', '--json'], { BINCE_CUDA_LIBRARY: '/nowhere/cuda.so' });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      cuda: {
        available: false,
        reason: expect.stringMatching(/not found at \/nowhere\/cuda\.so/),
        devices: [],
      },
    });
  });
});
