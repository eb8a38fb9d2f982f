/** Tensors in the memory of a device, on the simulator. */
import { afterEach, beforeEach, expect, describe as group, it } from 'vitest';
import {
  concat,
  debugLeaks,
  device,
  keep,
  leaks,
  memory,
  ones,
  randn,
  scope,
  Tensor,
  tensor,
  trimMemory,
  zeros,
} from '../../lib/index.js';
import { missing, useSimulator } from './simulator.js';

useSimulator();

const onSimulator = group.skipIf(missing !== undefined);

let before: number;
beforeEach(() => {
  before = memory().cuda.tensors;
});
const made = () => memory().cuda.tensors - before;

onSimulator('device.cuda', () => {
  it('describes the devices', () => {
    expect(device.cuda.available).toBe(true);
    expect(device.cuda.reason).toBeUndefined();
    const [first] = device.cuda.devices;
    expect(first).toMatchObject({
      index: 0,
      name: expect.any(String),
      computeCapability: expect.stringMatching(/^\d+\.\d+$/),
      driver: expect.stringMatching(/^\d+\.\d+$/),
      runtime: expect.stringMatching(/^\d+\.\d+$/),
    });
    expect(first!.multiprocessors).toBeGreaterThan(0);
    expect(first!.freeBytes).toBeLessThanOrEqual(first!.totalBytes);
  });

  it('chooses a device and says why', () => {
    expect(device.choose('auto')).toMatchObject({
      device: 'cuda:0',
      sentence: expect.stringMatching(/^device cuda:0: .*GiB$/),
    });
    expect(device.choose('cuda').device).toBe('cuda:0');
    expect(device.choose('cpu')).toEqual({ device: 'cpu', sentence: 'device cpu, as asked' });
    expect(() => device.choose('cuda:9')).toThrow(/device 'cuda:9': there is 1 CUDA device, cuda:0/);
    expect(() => device.choose('gpu' as 'cuda')).toThrow(
      /device: expected 'cpu', 'cuda', 'cuda:N' or 'auto'/,
    );
  });
});

onSimulator('tensors on a device', () => {
  it('move there and back unchanged, in every type', async () => {
    const arrays = {
      float32: Float32Array.of(1.5, -2, Number.NaN, 4),
      int32: Int32Array.of(1, -2, 3, 2 ** 31 - 1),
      uint8: Uint8Array.of(0, 1, 2, 255),
      bfloat16: Uint16Array.of(0x3f80, 0xbf80, 0x7f80, 1),
    };
    for (const [dtype, array] of Object.entries(arrays)) {
      const x = tensor(array, [2, 2]);
      const there = x.to('cuda');
      expect([there.device, there.dtype, there.shape]).toEqual(['cuda:0', dtype, [2, 2]]);
      expect(there.dataSync()).toEqual(array);
      expect(await there.data()).toEqual(array);
      const back = there.to('cpu');
      expect(back.device).toBe('cpu');
      expect(back.dataSync()).toEqual(array);
      for (const each of [x, there, back]) each.dispose();
    }
    expect(made()).toBe(0);
  });

  it('share memory where nothing moves', () => {
    const x = ones([3], { device: 'cuda' });
    const y = x.to('cuda:0');
    expect(made()).toBe(1);
    expect(y.devicePointer).toBe(x.devicePointer);
    x.dispose();
    expect(y.toArray()).toEqual([1, 1, 1]);
    y.dispose();
    expect(made()).toBe(0);
    const c = ones([3]);
    expect(c.to('cpu').storage).toBe(c.storage);
  });

  it('are made there by the factories', () => {
    scope(() => {
      expect(tensor([[1, 2]], { device: 'cuda:0' }).toArray()).toEqual([[1, 2]]);
      expect(zeros([2, 0], { device: 'cuda' }).toArray()).toEqual([[], []]);
      expect(ones([2], { device: 'auto' }).device).toBe('cuda:0');
      const leaf = randn([4, 3], { device: 'cuda', requiresGrad: true, name: 'w' });
      expect([leaf.device, leaf.requiresGrad, leaf.name, leaf.isLeaf]).toEqual(['cuda:0', true, 'w', true]);
      expect(leaf.toString()).toBe('float32[4, 3] of w on cuda:0');
    });
    expect(made()).toBe(0);
    expect(() => ones([2], { device: 'cuda:7' })).toThrow(/there is 1 CUDA device/);
  });

  it('pass gradients back across the move', () => {
    scope(() => {
      const x = tensor([1, 2, 3], { requiresGrad: true });
      const there = x.to('cuda');
      expect(there.requiresGrad).toBe(true);
      there.to('cpu').square().sum().backward();
      expect(x.grad?.device).toBe('cpu');
      expect(x.grad?.toArray()).toEqual([2, 4, 6]);
    });
    scope(() => {
      const leaf = tensor([1, 2, 3], { requiresGrad: true, device: 'cuda' });
      const w = tensor([3, 5, 7]);
      leaf.to('cpu').mul(w).sum().backward();
      expect(leaf.grad?.device).toBe('cuda:0');
      expect(leaf.grad?.toArray()).toEqual([3, 5, 7]);
      // A second use adds up, on the device.
      leaf.to('cpu').mul(w).sum().backward();
      expect(leaf.grad?.toArray()).toEqual([6, 10, 14]);
      leaf.grad?.dispose();
      leaf.grad = undefined;
      leaf.backward(ones([3], { device: 'cuda' }));
      expect(leaf.grad).toMatchObject({ device: 'cuda:0' });
      expect(() => leaf.backward(ones([3]))).toThrow(/gradient: expected a tensor on cuda:0/);
      leaf.dispose();
    });
    expect(made()).toBe(0);
  });

  it('reshape, concatenate and take rows without a kernel', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4, 5, 6], [3, 2], { device: 'cuda', requiresGrad: true });
      const joined = concat([x.slice(0, 1, 3), x.slice(0, 0, 1).reshape([1, 2])]);
      expect(joined.toArray()).toEqual([
        [3, 4],
        [5, 6],
        [1, 2],
      ]);
      joined.backward(tensor([10, 20, 30, 40, 50, 60], [3, 2], { device: 'cuda' }));
      expect(x.grad?.toArray()).toEqual([
        [50, 60],
        [10, 20],
        [30, 40],
      ]);
      expect(() => x.slice(1, 0, 1)).toThrow("slice: no CUDA kernel; move the tensor with .to('cpu')");
      x.dispose();
    });
    expect(made()).toBe(0);
  });

  it('are written in place', () => {
    const x = zeros([3], { device: 'cuda' });
    x.write(Float32Array.of(1, 2, 3));
    expect(x.toArray()).toEqual([1, 2, 3]);
    expect(() => x.write(Float32Array.of(1))).toThrow(/write: expected 3 elements/);
    x.dispose();
    expect(() => x.dataSync()).toThrow(/was used after it was disposed of/);
  });

  it('are refused by name where an operation has no kernel, and where devices are mixed', () => {
    scope(() => {
      const x = ones([2, 2], { device: 'cuda' });
      const y = ones([2, 2]);
      const say = (operation: string) => `${operation}: no CUDA kernel; move the tensor with .to('cpu')`;
      expect(() => x.add(x)).toThrow(say('add'));
      expect(() => x.relu()).toThrow(say('relu'));
      expect(() => x.matmul(x)).toThrow(say('matmul'));
      expect(() => x.sum()).toThrow(say('sum'));
      expect(() => x.convert('int32')).toThrow(say('convert'));
      expect(() => x.transpose()).toThrow(say('transpose'));
      expect(() => x.add(x)).toThrowError(expect.objectContaining({ code: 'BINCE_UNSUPPORTED' }));
      expect(() => x.mul(y)).toThrow(/mul: expected tensors on one device, received cuda:0 .* and cpu/);
      expect(() => y.mul(x)).toThrow(/mul: expected tensors on one device, received cpu .* and cuda:0/);
    });
  });

  it('are counted apart, in scopes, leaks and trims', () => {
    trimMemory();
    const start = memory();
    scope(() => {
      ones([1 << 18], { device: 'cuda' });
      expect(memory().cuda.bytes - start.cuda.bytes).toBe(1 << 20);
      expect(memory().cuda.peak).toBeGreaterThanOrEqual(1 << 20);
    });
    expect(memory().cuda.bytes).toBe(start.cuda.bytes);
    expect(memory().bytes).toBe(start.bytes);
    expect(memory().cuda.cached).toBeGreaterThanOrEqual(1 << 20);
    trimMemory();
    expect(memory().cuda.cached).toBe(0);
    debugLeaks(true);
    const x = scope(() => {
      keep(ones([9], { device: 'cuda' }));
      return tensor([[1, 2]]).to('cuda');
    });
    expect(leaks()).toMatchObject([{ operation: 'to', shape: [1, 2], device: 'cuda:0' }]);
    x.dispose();
  });
  afterEach(() => debugLeaks(false));

  it('stay alive while they are read on the other thread', async () => {
    const values = Float32Array.from({ length: 1 << 20 }, (_, i) => i);
    const x = tensor(values).to('cuda');
    const pending = x.data();
    x.dispose();
    // Would take the block of x, if it were free.
    const others = [1, 2, 3].map(() => zeros([1 << 20], { device: 'cuda' }));
    expect(Buffer.compare(Buffer.from((await pending).buffer), Buffer.from(values.buffer))).toBe(0);
    for (const each of others) each.dispose();
  });
});

onSimulator('memory of other frameworks', () => {
  it('is borrowed by address, and never freed', () => {
    const owned = tensor([1, 2, 3, 4], { device: 'cuda' });
    const { tensors } = memory().cuda;
    const owner = { released: false };
    const x = Tensor.fromDevicePointer(owned.devicePointer + 4n, [3], 'float32', { owner });
    expect([x.device, x.toArray(), x.storage.owner]).toEqual(['cuda:0', [2, 3, 4], owner]);
    expect(memory().cuda.tensors).toBe(tensors);
    x.write(Float32Array.of(7, 8, 9));
    x.dispose();
    expect(owned.toArray()).toEqual([1, 7, 8, 9]);
    owned.dispose();
  });

  it('is refused where it is not what it is said to be', () => {
    const x = tensor([1, 2, 3, 4], { device: 'cuda' });
    const borrow = (pointer: bigint, shape = [4], options = {}) =>
      Tensor.fromDevicePointer(pointer, shape, 'float32', options);
    const address = x.devicePointer;
    expect(() => borrow(address + 2n, [1])).toThrow(/pointer: expected alignment to 4 bytes/);
    expect(() => borrow(0n)).toThrow(/pointer: expected an address, received 0/);
    expect(() => borrow(-8n)).toThrow(/pointer: expected a bigint of 64 bits/);
    expect(() => borrow(0x1000n)).toThrow(/received host memory|cudaPointerGetAttributes/);
    expect(() => borrow(address, [1 << 24])).toThrow(/pointer: its last byte/);
    expect(() => borrow(address, [4], { device: 'cuda:1' })).toThrow(/there is 1 CUDA device/);
    expect(() => borrow(address, [4], { device: 'cpu' })).toThrow(/device: expected a CUDA device/);
    expect(() => borrow(Number(address) as unknown as bigint)).toThrow(/pointer: expected a bigint/);
    expect(() => Tensor.fromDevicePointer(address, [4], 'float64' as 'float32')).toThrow(/dtype: expected/);
    expect(() => ones([1]).devicePointer).toThrow(/devicePointer: expected a tensor on a device/);
    x.dispose();
    expect(() => x.devicePointer).toThrow(/was used after it was disposed of/);
  });
});
