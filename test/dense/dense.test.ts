import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native.js';

type Handle = object;

/** The calls under test, as the addon takes them. */
interface DenseCalls {
  storageCreate(type: number, elements: number): Handle;
  storageWrite(handle: Handle, first: number, data: Float32Array): void;
  storageRead(handle: Handle, first: number, data: Float32Array): void;
  matmulSync(...values: unknown[]): void;
  conv2dSync(...values: unknown[]): void;
  conv2dBackwardInputSync(...values: unknown[]): void;
  conv2dBackwardWeightSync(...values: unknown[]): void;
}
const calls = native() as unknown as DenseCalls;

function tensor(values: number[] | number): Handle {
  const data = typeof values === 'number' ? new Float32Array(values).fill(NaN) : Float32Array.from(values);
  const handle = calls.storageCreate(0, data.length);
  calls.storageWrite(handle, 0, data);
  return handle;
}

function values(handle: Handle, count: number): number[] {
  const data = new Float32Array(count);
  calls.storageRead(handle, 0, data);
  return [...data];
}

describe('matmulSync', () => {
  const a = [1, 2, 3, 4, 5, 6]; // 2 x 3
  const b = [1, 0, 2, 1, 0, 3]; // 3 x 2
  const product = [5, 11, 14, 23];

  it('multiplies in all four forms', () => {
    const at = [1, 4, 2, 5, 3, 6];
    const bt = [1, 2, 0, 0, 1, 3];
    for (const [x, transA] of [[a, false] as const, [at, true] as const]) {
      for (const [y, transB] of [[b, false] as const, [bt, true] as const]) {
        const c = tensor(4);
        calls.matmulSync(1, 2, 2, 3, tensor(x), transA, 0, tensor(y), transB, 0, undefined, c, false);
        expect(values(c, 4)).toEqual(product);
      }
    }
  });

  it('adds a bias and what is there', () => {
    const c = tensor([100, 200, 300, 400]);
    calls.matmulSync(1, 2, 2, 3, tensor(a), false, 0, tensor(b), false, 0, tensor([0.5, -0.5]), c, true);
    expect(values(c, 4)).toEqual([105.5, 210.5, 314.5, 422.5]);
  });

  it('shares one matrix over a batch', () => {
    const c = tensor(8);
    const doubled = a.map((x) => 2 * x);
    calls.matmulSync(
      2,
      2,
      2,
      3,
      tensor([...a, ...doubled]),
      false,
      6,
      tensor(b),
      false,
      0,
      undefined,
      c,
      false,
    );
    expect(values(c, 8)).toEqual([...product, ...product.map((x) => 2 * x)]);
  });

  it('takes typed arrays too', () => {
    const c = new Float32Array(4);
    calls.matmulSync(
      1,
      2,
      2,
      3,
      Float32Array.from(a),
      false,
      0,
      Float32Array.from(b),
      false,
      0,
      undefined,
      c,
      false,
    );
    expect([...c]).toEqual(product);
  });

  it.each([
    [[0, 2, 2, 3, a, 0, b, 0, undefined, 4], 'batch: expected a whole number of at least 1, received 0'],
    [[1, 2.5, 2, 3, a, 0, b, 0, undefined, 4], 'M: expected a whole number of at least 1, received 2.5'],
    [[1, 2, 2, NaN, a, 0, b, 0, undefined, 4], 'K: expected a whole number of at least 1, received NaN'],
    [[1, 2, 2, 4, a, 0, b, 0, undefined, 4], 'a: expected 8 elements, received 6'],
    [[1, 2, 3, 3, a, 0, b, 0, undefined, 6], 'b: expected 9 elements, received 6'],
    [[2, 2, 2, 3, a, 6, b, 0, undefined, 8], 'a: expected 12 elements, received 6'],
    [[2, 2, 2, 3, a, 5, b, 0, undefined, 8], 'a: expected at least 11 elements, received 6'],
    [[2, 2, 2, 3, a, -6, b, 0, undefined, 8], 'strideA: expected a whole number of at least 0, received -6'],
    [[1, 2, 2, 3, a, 0, b, 0, [1], 4], 'bias: expected 2 elements, received 1'],
    [[1, 2, 2, 3, a, 0, b, 0, undefined, 5], 'c: expected 4 elements, received 5'],
    [[1, 2 ** 40, 2 ** 40, 3, a, 0, b, 0, undefined, 5], 'a: expected 3298534883328 elements, received 6'],
  ] as const)('refuses %j', (given, message) => {
    const [batch, M, N, K, x, strideA, y, strideB, bias, c] = given as unknown as [
      number,
      number,
      number,
      number,
      number[],
      number,
      number[],
      number,
      number[] | undefined,
      number,
    ];
    const shift = bias && tensor(bias);
    const call = () =>
      calls.matmulSync(
        batch,
        M,
        N,
        K,
        tensor(x),
        false,
        strideA,
        tensor(y),
        false,
        strideB,
        shift,
        tensor(c),
        false,
      );
    expect(call).toThrow(expect.objectContaining({ code: 'BINCE_INVALID_ARGUMENT', message }));
  });

  it('refuses other things than float32 tensors, and a result that is an input', () => {
    const x = tensor(1);
    const call = (y: unknown, c: unknown) => () =>
      calls.matmulSync(1, 1, 1, 1, x, false, 0, y, false, 0, undefined, c, false);
    expect(call(undefined, tensor(1))).toThrow('b: expected a tensor, received undefined');
    expect(call(calls.storageCreate(1, 1), tensor(1))).toThrow('b: expected a Float32Array');
    expect(call('text', tensor(1))).toThrow('b: expected a Float32Array');
    expect(call(tensor(1), x)).toThrow('c: expected another tensor than the inputs');
  });
});

describe('conv2dSync and its derivatives', () => {
  // One image of 3 x 3, one channel; a kernel of 2 x 2, stride 1, no padding; one output channel.
  const geometry = Int32Array.from([1, 3, 3, 1, 2, 2, 1, 1, 0, 0, 1, 2, 2]);
  const x = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const w = [1, 10, 100, 1000];

  it('are right on a small example', () => {
    const y = tensor(4);
    calls.conv2dSync(geometry, tensor(x), tensor(w), tensor([0.5]), y);
    expect(values(y, 4)).toEqual([5421.5, 6532.5, 8754.5, 9865.5]);
    const dy = tensor([1, 0, 0, 2]);
    const dx = tensor(9);
    calls.conv2dBackwardInputSync(geometry, dy, tensor(w), undefined, dx);
    expect(values(dx, 9)).toEqual([1, 10, 0, 100, 1002, 20, 0, 200, 2000]);
    const dw = tensor(4);
    const dbias = tensor(1);
    calls.conv2dBackwardWeightSync(geometry, tensor(x), dy, dw, dbias);
    expect(values(dw, 4)).toEqual([11, 14, 20, 23]);
    expect(values(dbias, 1)).toEqual([3]);
  });

  it.each([
    [[1, 3, 3], 'geometry: expected 13 numbers, received 3'],
    [[1, 3, 3, 1, 2, 2, 0, 1, 0, 0, 1, 2, 2], 'geometry: expected strideY of at least 1, received 0'],
    [[1, 3, 3, 1, 2, 2, 1, 1, 0, -1, 1, 2, 2], 'geometry: expected padX of at least 0, received -1'],
    [
      [1, 3, 3, 1, 4, 2, 1, 1, 0, 0, 1, 1, 2],
      'geometry: a kernel of 4 x 2 is larger than the padded image, 3 x 3',
    ],
    [[1, 3, 3, 1, 2, 2, 1, 1, 0, 0, 1, 3, 2], 'geometry: expected OH x OW of 2 x 2, received 3 x 2'],
    [[2, 3, 3, 1, 2, 2, 1, 1, 0, 0, 1, 2, 2], 'x: expected 18 elements, received 9'],
    [[1, 3, 3, 1, 2, 2, 1, 1, 0, 0, 3, 2, 2], 'w: expected 12 elements, received 4'],
  ])('refuse the geometry %j', (numbers, message) => {
    const call = () => calls.conv2dSync(Int32Array.from(numbers), tensor(x), tensor(w), undefined, tensor(4));
    expect(call).toThrow(expect.objectContaining({ code: 'BINCE_INVALID_ARGUMENT', message }));
  });

  it('refuse tensors of another size', () => {
    const good = { x: 9, w: 4, y: 4 };
    expect(() => calls.conv2dSync(geometry, tensor(9), tensor(4), tensor(2), tensor(4))).toThrow(
      'bias: expected 1 elements, received 2',
    );
    expect(() =>
      calls.conv2dBackwardInputSync(geometry, tensor(good.y + 1), tensor(good.w), undefined, tensor(good.x)),
    ).toThrow('dy: expected 4 elements, received 5');
    expect(() =>
      calls.conv2dBackwardInputSync(geometry, tensor(good.y), tensor(good.w), undefined, tensor(1)),
    ).toThrow('dx: expected 9 elements, received 1');
    expect(() =>
      calls.conv2dBackwardWeightSync(geometry, tensor(good.x), tensor(good.y), tensor(5), undefined),
    ).toThrow('dw: expected 4 elements, received 5');
    expect(() =>
      calls.conv2dBackwardWeightSync(geometry, tensor(good.x), tensor(good.y), tensor(4), tensor(3)),
    ).toThrow('dbias: expected 1 elements, received 3');
  });
});
