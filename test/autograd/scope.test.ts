import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, describe as group, it } from 'vitest';
import {
  debugLeaks,
  keep,
  leaks,
  memory,
  noGrad,
  ones,
  scope,
  type Tensor,
  tensor,
} from '../../lib/index.js';

const later = () => new Promise((resolve) => setImmediate(resolve));
let before: number;
beforeEach(() => {
  before = memory().tensors;
});
afterEach(() => debugLeaks(false));
const made = () => memory().tensors - before;

group('scope', () => {
  it('frees all but its result', () => {
    const y = scope(() => ones([4]).add(1).mul(3));
    expect(made()).toBe(1);
    expect(y.toArray()).toEqual([6, 6, 6, 6]);
    y.dispose();
    expect(made()).toBe(0);
  });

  it('keeps tensors in arrays, objects, maps and sets, at any depth', () => {
    const result = scope(() => {
      const [a, b, c, d, e] = [1, 2, 3, 4, 5].map((n) => ones([n])) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      e.add(1);
      return {
        a,
        more: [b, { c }],
        map: new Map([['d', d]]),
        set: new Set([e]),
        n: 3,
        data: new Uint8Array(2),
      };
    });
    expect(made()).toBe(5);
    for (const each of [result.a, ...result.map.values(), ...result.set]) each.dispose();
    expect(made()).toBe(2);
    scope(() => result);
    expect(made()).toBe(2);
    for (const each of result.more)
      (each === result.more[0] ? (each as Tensor) : (each as { c: Tensor }).c).dispose();
    expect(made()).toBe(0);
  });

  it('gives survivors to the scope outside', () => {
    scope(() => {
      const inner = scope(() => ones([3]).add(1));
      expect(inner.toArray()).toEqual([2, 2, 2]);
      expect(made()).toBe(1);
    });
    expect(made()).toBe(0);
  });

  it('holds across awaits, also for scopes that run at the same time', async () => {
    const run = (value: number) =>
      scope(async () => {
        const x = ones([2]).mul(value);
        await later();
        const y = x.add(1);
        await scope(async () => {
          await later();
          y.mul(2);
        });
        await later();
        return y.add(0.5);
      });
    const results = await Promise.all([run(1), run(2), run(3)]);
    expect(made()).toBe(3);
    expect(results.map((each) => each.toArray())).toEqual([
      [2.5, 2.5],
      [3.5, 3.5],
      [4.5, 4.5],
    ]);
    for (const each of results) each.dispose();
  });

  it('does not own what is made outside while it waits', async () => {
    const pending = scope(async () => {
      await later();
      ones([2]);
      await later();
    });
    const outside = ones([3]);
    await pending;
    expect(outside.toArray()).toEqual([1, 1, 1]);
    outside.dispose();
    expect(made()).toBe(0);
  });

  it('frees everything when fn throws or rejects', async () => {
    expect(() =>
      scope(() => {
        ones([2]).add(1);
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(made()).toBe(0);
    await expect(
      scope(async () => {
        ones([2]);
        await later();
        ones([2]);
        throw new Error('stop later');
      }),
    ).rejects.toThrow('stop later');
    expect(made()).toBe(0);
    // The context is what it was.
    const x = ones([1], { requiresGrad: true });
    expect(x.add(1).requiresGrad).toBe(true);
    x.dispose();
  });

  it('leaves what is kept, and gradients of leaves', () => {
    const w = ones([3], { requiresGrad: true });
    const state = scope(() => {
      const buffer = keep(ones([2]));
      w.mul(2).sum().backward();
      return { buffer }.buffer.shape;
    });
    expect(state).toEqual([2]);
    expect(made()).toBe(3);
    expect(w.grad?.toArray()).toEqual([2, 2, 2]);
    w.dispose();
    expect(made()).toBe(1);
  });

  it('does not grow by what was disposed of inside', () => {
    scope(() => {
      for (let i = 0; i < 20000; i++) ones([1]).dispose();
      expect(made()).toBe(0);
    });
  });

  it('works with using', () => {
    {
      using x = ones([2]);
      using y = x.add(1);
      expect(y.toArray()).toEqual([2, 2]);
    }
    expect(made()).toBe(0);
  });
});

group('memory', () => {
  it('counts tensors and bytes', () => {
    const { bytes } = memory();
    const x = ones([1024, 256]);
    expect(memory().bytes - bytes).toBe(1 << 20);
    expect(memory().peak).toBeGreaterThanOrEqual(memory().bytes);
    const view = x.reshape([-1]);
    expect(made()).toBe(1);
    x.dispose();
    view.dispose();
    expect(memory().bytes).toBe(bytes);
    expect(memory().cached).toBeGreaterThanOrEqual(1 << 20);
  });

  it('stays flat in ten thousand training steps', { timeout: 120_000 }, () => {
    const script = fileURLToPath(new URL('./training_loop.mjs', import.meta.url));
    const output = execFileSync(process.execPath, ['--expose-gc', script], { encoding: 'utf8' });
    const { first, last, loss } = JSON.parse(output.trim().split('\n').at(-1)!);
    expect(last.tensors).toBe(first.tensors);
    expect(last.bytes).toBe(first.bytes);
    expect(last.peak).toBe(first.peak);
    expect(loss).toBeLessThan(0.05);
    // One leaked [64, 32] tensor a step would show as 80 MB here.
    expect(last.rss - first.rss).toBeLessThan(12e6);
  });

  it('names leaks by operation, shape and place', () => {
    debugLeaks(true);
    const x = scope(() => {
      keep(ones([9]));
      return tensor([[1, 2]]).relu();
    });
    const found = leaks();
    expect(found.map(({ operation, shape }) => [operation, shape])).toEqual([['relu', [1, 2]]]);
    expect(found[0]!.stack).toMatch(/scope\.test\.ts/);
    x.dispose();
    expect(leaks()).toEqual([]);
    debugLeaks(false);
    ones([1]);
    expect(leaks()).toEqual([]);
  });
});

group('noGrad', () => {
  it('records nothing, also across awaits', async () => {
    const x = ones([2], { requiresGrad: true });
    expect(noGrad(() => x.add(1)).requiresGrad).toBe(false);
    const later1 = noGrad(async () => {
      await later();
      return x.mul(2);
    });
    expect(x.mul(2).requiresGrad).toBe(true);
    expect((await later1).requiresGrad).toBe(false);
    expect(() => noGrad(() => x.reshape([3]))).toThrow();
    expect(x.mul(2).requiresGrad).toBe(true);
  });

  it('leaves tensors to the scope around it', () => {
    scope(() => {
      noGrad(() => ones([5]).add(1));
    });
    // Only what the test above left.
    expect(made()).toBe(0);
  });
});
