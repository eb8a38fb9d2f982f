import { expect, describe as group, it } from 'vitest';
import {
  arange,
  type BinceError,
  convert,
  eye,
  full,
  Generator,
  manualSeed,
  ones,
  rand,
  randn,
  Tensor,
  tensor,
  zeros,
} from '../../lib/index.js';

group('factories', () => {
  it('take numbers, nested arrays and typed arrays', () => {
    expect(tensor(3).shape).toEqual([]);
    expect(tensor(3).item()).toBe(3);
    const nested = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect([nested.dtype, nested.shape, nested.size]).toEqual(['float32', [2, 3], 6]);
    expect(nested.toArray()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(tensor([Float32Array.of(1, 2), Float32Array.of(3, 4)]).shape).toEqual([2, 2]);
    expect(tensor(Int32Array.of(1, -2)).dtype).toBe('int32');
    expect(tensor(Uint8Array.of(1, 2, 3, 4), [2, 2]).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(tensor(Float64Array.of(0.5)).dtype).toBe('float32');
    expect(tensor([1, 2], { dtype: 'int32' }).dataSync()).toEqual(Int32Array.of(1, 2));
  });

  it('copy their input', async () => {
    const data = Float32Array.of(1, 2);
    const x = tensor(data);
    data[0] = 9;
    expect(await x.data()).toEqual(Float32Array.of(1, 2));
  });

  it('fill', () => {
    expect(zeros([2, 2]).floats()).toEqual(new Float32Array(4));
    expect(ones([3], { dtype: 'int32' }).dataSync()).toEqual(Int32Array.of(1, 1, 1));
    expect(full([2], -0.5).toArray()).toEqual([-0.5, -0.5]);
    expect(eye(2).toArray()).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(arange(3).toArray()).toEqual([0, 1, 2]);
    expect(arange(1, 2, 0.25).toArray()).toEqual([1, 1.25, 1.5, 1.75]);
    expect(arange(3, 0, -1).toArray()).toEqual([3, 2, 1]);
  });

  it('hold no elements, one element, and a shape with 0', () => {
    expect(tensor([]).shape).toEqual([0]);
    expect(zeros([2, 0, 3]).toArray()).toEqual([[], []]);
    expect(zeros([0]).sum().item()).toBe(0);
    expect(zeros([0, 3]).add(ones([3])).shape).toEqual([0, 3]);
    expect(zeros([0, 2]).matmul(ones([2, 3])).shape).toEqual([0, 3]);
    expect(() => zeros([2, 0]).matmul(zeros([0, 3]))).toThrow(/matmul: expected inner and outer sizes/);
  });

  it('name what is wrong', () => {
    const wrong: [() => unknown, RegExp][] = [
      [() => tensor([[1, 2], [3]]), /data: expected arrays nested as \[2, 2\]/],
      [() => tensor([1, 2, 3], [2, 2]), /data: expected 4 elements for shape \[2, 2\], received 3/],
      [() => tensor('text' as never), /data: expected numbers/],
      [() => tensor([1.5], { dtype: 'int32' }), /data\[0\]: expected a value of int32, received 1.5/],
      [() => tensor([300], { dtype: 'uint8' }), /data\[0\]/],
      [() => tensor([1], { dtype: 'int32', requiresGrad: true }), /requiresGrad: expected a float32 tensor/],
      [() => zeros([-1]), /shape: expected sizes of at least 0/],
      [() => zeros([1.5]), /shape/],
      [() => zeros([2], { dtype: 'float16' as never }), /dtype/],
      [() => zeros([2], { device: 'cuda' }), /device 'cuda'/],
      [() => tensor([1, 2]).item(), /item: expected a tensor of one element/],
      [() => tensor([1, 2]).write(Float32Array.of(1)), /write: expected 2 elements/],
    ];
    for (const [call, message] of wrong) expect(call).toThrow(message);
    try {
      zeros([2], { device: 'cuda' });
    } catch (error) {
      expect((error as BinceError).code).toBe('BINCE_UNSUPPORTED');
    }
  });

  it('print as dtype, shape and origin', () => {
    expect(`${zeros([2, 3]).relu()}`).toBe('float32[2, 3] of relu');
    expect(zeros([1]).device).toBe('cpu');
  });
});

group('random numbers', () => {
  it('repeat under a seed and go on otherwise', () => {
    manualSeed(7);
    const [a, b] = [rand([9]).floats(), rand([9]).floats()];
    manualSeed(7);
    expect(rand([9]).floats()).toEqual(a);
    expect(rand([9]).floats()).toEqual(b);
    expect(a).not.toEqual(b);
  });

  it('have the moments asked for', () => {
    const generator = new Generator(3);
    const x = randn([20000], { generator, mean: 2, deviation: 0.5 });
    const mean = x.mean().item();
    expect(Math.abs(mean - 2)).toBeLessThan(0.02);
    expect(Math.abs(x.sub(mean).square().mean().sqrt().item() - 0.5)).toBeLessThan(0.02);
    const u = rand([20000], { generator, low: -1, high: 3 });
    expect(Math.abs(u.mean().item() - 1)).toBeLessThan(0.05);
    expect(u.min().item()).toBeGreaterThanOrEqual(-1);
    expect(u.max().item()).toBeLessThan(3);
  });

  it('go on from a saved state', () => {
    const one = new Generator(2n ** 63n);
    one.next(5);
    const other = new Generator();
    other.setState(JSON.parse(JSON.stringify(one.state())));
    expect(other.nextSeed()).toBe(one.nextSeed());
    expect(other.next(1)).toEqual(one.next(1));
    expect(() => new Generator(-1)).toThrow(/seed/);
    expect(() => other.setState({ seed: 'x', offset: 0 })).toThrow(/state.seed/);
  });
});

group('tensors', () => {
  it('convert between types', () => {
    expect(convert(tensor(Uint8Array.of(0, 255)), 'float32', 1 / 255).toArray()).toEqual([0, 1]);
    expect(tensor([1.4, -2.6]).convert('int32').dataSync()).toEqual(Int32Array.of(1, -3));
    expect(() => tensor([1]).convert('uint8')).toThrow(/convert/);
  });

  it('share memory after reshape and detach until the last is disposed of', () => {
    const x = tensor([1, 2, 3, 4]);
    const y = x.reshape([2, -1]);
    const z = x.detach();
    x.dispose();
    expect(y.toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    z.write(Float32Array.of(5, 6, 7, 8));
    expect(y.toArray()).toEqual([
      [5, 6],
      [7, 8],
    ]);
    expect(y).toBeInstanceOf(Tensor);
  });

  it('say who made them when used after dispose', () => {
    const x = tensor([1, 2]).relu();
    x.dispose();
    x.dispose();
    expect(x.disposed).toBe(true);
    expect(() => x.add(1)).toThrow('the tensor float32[2] of relu was used after it was disposed of');
    const named = tensor([1], { name: 'weights' });
    named.dispose();
    expect(() => named.dataSync()).toThrow(/of weights was used/);
  });
});
