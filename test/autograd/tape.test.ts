import { expect, describe as group, it } from 'vitest';
import {
  add,
  backward,
  concat,
  conv2d,
  crossEntropy,
  gradientCheck,
  infoNCE,
  memory,
  mul,
  noGrad,
  ones,
  record,
  scope,
  square,
  type Tensor,
  tensor,
  zeros,
} from '../../lib/index.js';

const leaf = (values: number[]) => tensor(values, { requiresGrad: true });

group('backward', () => {
  it('adds up in leaves, over uses and over passes', () => {
    const x = leaf([1, 2, 3]);
    mul(x, x).sum().backward();
    expect(x.grad?.toArray()).toEqual([2, 4, 6]);
    add(x, x).sum().backward();
    expect(x.grad?.toArray()).toEqual([4, 6, 8]);
  });

  it('sums over what broadcasting repeated', () => {
    const [x, y, z] = [
      zeros([2, 3], { requiresGrad: true }),
      leaf([1, 2, 3]),
      tensor(2, { requiresGrad: true }),
    ];
    x.add(y).mul(z).sum().backward();
    expect(x.grad?.toArray()).toEqual([
      [2, 2, 2],
      [2, 2, 2],
    ]);
    expect(y.grad?.toArray()).toEqual([4, 4, 4]);
    expect(z.grad?.toArray()).toBe(12);
  });

  it('gives leaves gradients of their own, also where the derivative is the identity', () => {
    const [x, y] = [leaf([1, 2]), leaf([3, 4])];
    const gradient = tensor([1, 10]);
    backward(add(x, y), gradient);
    x.grad!.write(Float32Array.of(7, 7));
    expect(y.grad?.toArray()).toEqual([1, 10]);
    expect(gradient.toArray()).toEqual([1, 10]);
    // A leaf is its own result.
    backward(x.reshape([2]), gradient);
    expect(x.grad?.toArray()).toEqual([8, 17]);
  });

  it('goes through long chains and shared parts once', () => {
    const x = leaf([1]);
    let y: Tensor = x;
    for (let i = 0; i < 20; i++) y = add(y, y);
    y.backward();
    expect(x.grad?.item()).toBe(2 ** 20);
    const z = leaf([0]);
    let deep: Tensor = z;
    for (let i = 0; i < 20000; i++) deep = deep.add(1);
    deep.backward();
    expect(z.grad?.item()).toBe(1);
  });

  it('frees gradients and saved tensors as it goes', () => {
    const x = leaf([1, 2, 3]);
    const labels = tensor([1], { dtype: 'int32' });
    const { tensors } = memory();
    scope(() => {
      crossEntropy(square(x).reshape([1, 3]), labels).backward();
    });
    // x's gradient alone.
    expect(memory().tensors).toBe(tensors + 1);
  });

  it('stops at detached tensors', () => {
    const x = leaf([3]);
    mul(x, x.detach()).backward();
    expect(x.grad?.item()).toBe(3);
  });

  it('takes operations of the user', () => {
    const cube = (x: Tensor) =>
      record(
        'cube',
        [x],
        noGrad(() => mul(mul(x, x), x)),
        (dy) => [mul(dy, mul(square(x), 3))],
      );
    expect(gradientCheck(([x]) => cube(x!), [tensor([1, 2, -1])]).checked).toBe(3);
    const { tensors } = memory();
    const x = leaf([2]);
    scope(() => {
      cube(x).backward();
    });
    expect(x.grad?.item()).toBe(12);
    x.dispose();
    expect(memory().tensors).toBe(tensors);
  });
});

group('backward refuses', () => {
  it('a tape that was freed', () => {
    const x = leaf([1]);
    const y = square(x);
    const z = y.mul(2);
    z.backward();
    expect(() => z.backward()).toThrow(/the tape of 'affine' was already freed/);
    expect(() => y.add(1).backward()).toThrow(/the tape of 'square' was already freed/);
    expect(x.grad?.item()).toBe(4);
  });

  it('several elements without a gradient, and gradients that do not fit', () => {
    const x = leaf([1, 2]);
    expect(() => x.mul(2).backward()).toThrow(/backward: expected a tensor of one element/);
    expect(() => x.mul(2).backward(ones([3]))).toThrow(/gradient: expected float32\[2\]/);
  });

  it('what depends on no leaf', () => {
    expect(() => ones([1]).mul(2).backward()).toThrow(/depends on no tensor that requires a gradient/);
    const x = leaf([1]);
    expect(() => noGrad(() => x.mul(2)).backward()).toThrow(/depends on no tensor/);
  });

  it('inputs that were disposed of, naming both operations, and frees the rest', () => {
    const x = leaf([1, 2]);
    const { tensors } = memory();
    const a = x.relu();
    const b = a.square().sum();
    a.dispose();
    expect(() => b.backward()).toThrow(
      /backward of 'square': the tensor float32\[2\] of relu was used after/,
    );
    expect(() => b.backward()).toThrow(/already freed/);
    b.dispose();
    expect(memory().tensors).toBeLessThanOrEqual(tensors + 1);
    expect(x.grad).toBeUndefined();
  });

  it('derivatives of a wrong shape', () => {
    const x = leaf([1, 2]);
    const wrong = record(
      'wrong',
      [x],
      noGrad(() => x.sum()),
      () => [ones([3])],
    );
    expect(() => wrong.backward()).toThrow(
      /the derivative of 'wrong' returned \[3\] for an input of shape \[2\]/,
    );
  });
});

group('gradientCheck', () => {
  it('finds a wrong derivative', () => {
    const wrong = (x: Tensor) =>
      record(
        'wrong',
        [x],
        noGrad(() => square(x)),
        (dy) => [mul(dy, x)],
      );
    expect(() => gradientCheck(([x]) => wrong(x!), [tensor([1, 2])])).toThrow(
      /gradient of input 0 \[2\], element 0/,
    );
  });
});

group('operations refuse', () => {
  const x = ones([2, 3]);
  const wrong: [string, () => unknown, RegExp][] = [
    [
      'shapes that do not broadcast',
      () => x.add(ones([2])),
      /add: expected shapes that broadcast, received \[2, 3\] and \[2\]/,
    ],
    [
      'integers',
      () => x.add(tensor([1], { dtype: 'int32' })),
      /add: expected a float32 tensor, received 'int32\[1\] of tensor'/,
    ],
    ['numbers alone', () => add(1, 2), /add: expected at least one tensor/],
    ['NaN as an operand', () => x.mul(Number.NaN), /mul: expected a finite number/],
    [
      'inner sizes',
      () => x.matmul(ones([2, 3])),
      /matmul: expected equal inner sizes, received \[2, 3\] and \[2, 3\]: 3 and 2/,
    ],
    ['vectors in matmul', () => x.matmul(ones([3])), /matmul: expected tensors of at least two axes/],
    ['axes out of range', () => x.sum(2), /sum: axis: expected -2 to 1, received 2/],
    ['an axis twice', () => x.sum([0, -2]), /sum: axis: expected every axis once/],
    ['the mean of nothing', () => zeros([0]).mean(), /mean: expected at least one element/],
    ['a reshape of another size', () => x.reshape([4]), /reshape: expected a shape of 6 elements/],
    ['a reshape that does not divide', () => x.reshape([4, -1]), /reshape/],
    ['a permutation with gaps', () => x.permute([0, 0]), /permute: order/],
    ['a slice outside', () => x.slice(1, 0, 4), /slice: expected a range within the 3 elements of axis 1/],
    [
      'concat of other shapes',
      () => concat([x, ones([3, 2])], 0),
      /concat: expected tensors that differ in axis 0 only/,
    ],
    ['concat of nothing', () => concat([]), /concat: expected an array of at least one tensor/],
    [
      'expand to a smaller shape',
      () => x.expand([3]),
      /expand: expected a shape that \[2, 3\] broadcasts to/,
    ],
    ['an index out of range', () => x.gatherRows(tensor([0, 5], { dtype: 'int32' })), /5/],
    ['a label out of range', () => crossEntropy(x, tensor([0, 3], { dtype: 'int32' })), /label.*3|3.*label/i],
    ['float labels', () => crossEntropy(x, ones([2])), /crossEntropy: labels: expected a int32 tensor/],
    [
      'channels that differ',
      () => conv2d(ones([1, 4, 4, 2]), ones([3, 3, 3, 1])),
      /conv2d: weight: expected 2 input channels/,
    ],
    [
      'images too small',
      () => conv2d(ones([1, 2, 2, 1]), ones([3, 3, 1, 1])),
      /conv2d: expected at least 3 rows/,
    ],
    ['keys of another width', () => infoNCE(x, ones([2, 4])), /infoNCE: k: expected rows of 3 elements/],
    ['NaN in queries', () => infoNCE(tensor([[1, Number.NaN]]), ones([1, 2])), /row 0/],
  ];
  for (const [name, call, message] of wrong) it(name, () => expect(call).toThrow(message));
});
