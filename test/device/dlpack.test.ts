/** Tensors out as DLPack capsules and in again. */
import { expect, describe as group, it } from 'vitest';
import { type DLPackCapsule, memory, ones, scope, Tensor, tensor, zeros } from '../../lib/index.js';
import { missing, useSimulator } from './simulator.js';

useSimulator();

const places = missing ? (['cpu'] as const) : (['cpu', 'cuda'] as const);
const counts = () => ({ cpu: memory().tensors, cuda: memory().cuda.tensors });

group.each(places)('DLPack on %s', (device) => {
  it('shares the memory in every type, and frees it with the last user', () => {
    const before = counts()[device];
    for (const array of [
      Float32Array.of(1, 2, 3, 4, 5, 6),
      Int32Array.of(1, 2, 3, 4, 5, 6),
      Uint8Array.of(1, 2, 3, 4, 5, 6),
      Uint16Array.of(1, 2, 3, 4, 5, 6),
    ]) {
      const x = tensor(array, [3, 1, 2], { device });
      const y = Tensor.fromDLPack(x.toDLPack());
      expect([y.dtype, y.shape, y.device]).toEqual([x.dtype, [3, 1, 2], x.device]);
      expect(counts()[device]).toBe(before + 1);
      y.write(array.slice().fill(9));
      expect(x.toArray()).toEqual(y.toArray());
      x.dispose();
      expect(counts()[device]).toBe(before + 1);
      expect([...y.dataSync()]).toEqual([9, 9, 9, 9, 9, 9]);
      y.dispose();
      expect(counts()[device]).toBe(before);
    }
  });

  it('outlives the exporter, whose block serves nobody else meanwhile', () => {
    const before = counts()[device];
    const x = tensor([1, 2, 3], { device });
    const capsule = x.toDLPack();
    x.dispose();
    const others = [1, 2, 3].map(() => zeros([3], { device }));
    const y = Tensor.fromDLPack(capsule);
    expect(y.toArray()).toEqual([1, 2, 3]);
    const z = Tensor.fromDLPack(y.toDLPack());
    y.dispose();
    expect(z.toArray()).toEqual([1, 2, 3]);
    for (const each of [...others, z]) each.dispose();
    expect(counts()[device]).toBe(before);
  });

  it('is consumed once', () => {
    const x = ones([2], { device });
    const capsule = x.toDLPack();
    const y = Tensor.fromDLPack(capsule);
    expect(() => Tensor.fromDLPack(capsule)).toThrow(/this capsule was used already/);
    y.dispose();
    expect(() => Tensor.fromDLPack(capsule)).toThrow(/this capsule was used already/);
    x.dispose();
  });

  it('takes scalars, and tensors without elements', () => {
    scope(() => {
      expect(Tensor.fromDLPack(tensor(7, { device }).toDLPack()).toArray()).toBe(7);
      const empty = Tensor.fromDLPack(zeros([2, 0, 3], { device }).toDLPack());
      expect([empty.shape, empty.size, empty.dataSync().length]).toEqual([[2, 0, 3], 0, 0]);
    });
  });
});

group('DLPack', () => {
  it('opens nothing but capsules', () => {
    const x = ones([2]);
    const handle = x.handle as unknown as DLPackCapsule;
    for (const wrong of [handle, undefined, {}, 5, Symbol('x')] as DLPackCapsule[])
      expect(() => Tensor.fromDLPack(wrong)).toThrow(/dlpack: expected a capsule/);
    x.dispose();
    expect(() => x.toDLPack()).toThrow(/used after it was disposed of/);
  });
});
