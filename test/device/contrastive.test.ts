/** InfoNCE where q is on a device, against the CPU's result. */
import { expect, describe as group, it } from 'vitest';
import {
  type ContrastiveOptions,
  infoNCE,
  memory,
  ntXent,
  randn,
  scope,
  type Tensor,
  tensor,
} from '../../lib/index.js';
import * as kernels from '../../lib/kernels/index.js';
import { missing, useSimulator } from './simulator.js';

useSimulator();

/** The largest difference, relative to the largest value. */
function difference(received: Float32Array, expected: Float32Array): number {
  expect(received.length).toBe(expected.length);
  const size = expected.reduce((most, each) => Math.max(most, Math.abs(each)), 1e-30);
  return received.reduce((most, each, i) => Math.max(most, Math.abs(each - expected[i]!)), 0) / size;
}

const labels = (length: number, classes: number) =>
  Int32Array.from({ length }, (_, i) => ((i * 7) % (classes + 1)) - 1);

type Settings = Omit<ContrastiveOptions, 'queue'> & { queued?: number };
const modes: Record<string, { rows: number; keys: number; dim: number; settings: Settings }> = {
  'InfoNCE, scaled': { rows: 13, keys: 17, dim: 8, settings: { scale: 3 } },
  'symmetric, cosine': {
    rows: 19,
    keys: 19,
    dim: 33,
    settings: { symmetric: true, cosine: true, temperature: 0.1 },
  },
  'groups without the diagonal': {
    rows: 12,
    keys: 12,
    dim: 16,
    settings: { groups: { rows: labels(12, 3), columns: labels(12, 3) }, excludeDiagonal: true },
  },
  'positives and weights': {
    rows: 7,
    keys: 11,
    dim: 5,
    settings: {
      positive: Int32Array.of(3, 1, -1, 10, 0, 0, 6),
      rowWeight: Float32Array.of(1, 2, 1, 0, 0.5, 1, 3),
      reduction: 'sum',
    },
  },
  'own key and queue': {
    rows: 6,
    keys: 6,
    dim: 12,
    settings: { ownKey: true, queued: 9, cosine: true, scale: 5 },
  },
  sigmoid: { rows: 9, keys: 9, dim: 8, settings: { denominator: 'sigmoid', scale: 2, bias: -3 } },
  'clipped, each': {
    rows: 8,
    keys: 8,
    dim: 8,
    settings: {
      denominator: 'each',
      clip: 20,
      regularizer: 0.05,
      groups: { rows: labels(8, 4), columns: labels(8, 4) },
    },
  },
};

function inputs(mode: { rows: number; keys: number; dim: number; settings: Settings }, bfloat16: boolean) {
  const { queued, ...settings } = mode.settings;
  const make = (rows: number): Tensor => {
    const x = randn([rows, mode.dim]);
    return bfloat16 ? x.convert('bfloat16') : x;
  };
  const [q, k, queue] = [make(mode.rows), make(mode.keys), queued ? make(queued) : undefined];
  return { q, k, queue, settings };
}

interface Outcome {
  readonly loss: number;
  readonly dq: Float32Array;
  readonly dk: Float32Array;
}

function lossOn(device: 'cpu' | 'cuda', given: ReturnType<typeof inputs>, factor: number): Outcome {
  const [q, k] = [given.q.to(device).detach(), given.k.to(device).detach()];
  q.requiresGrad = true;
  k.requiresGrad = true;
  const loss = infoNCE(q, k, { ...given.settings, queue: given.queue?.to(device) });
  expect(loss.device).toBe('cpu');
  loss.mul(factor).backward();
  expect(q.grad?.device).toBe(q.device);
  return { loss: loss.item(), dq: q.grad!.floats(), dk: k.grad!.floats() };
}

group.skipIf(missing !== undefined)('infoNCE on a device', () => {
  for (const [name, mode] of Object.entries(modes))
    for (const dtype of ['float32', 'bfloat16'])
      it(`equals the CPU's: ${name}, ${dtype}`, () => {
        const before = memory().cuda.tensors;
        scope(() => {
          const given = inputs(mode, dtype === 'bfloat16');
          const expected = lossOn('cpu', given, 1);
          const received = lossOn('cuda', given, 1);
          // bfloat16 products are exact in float32; the probabilities may be rounded before the second product.
          const allowed = dtype === 'bfloat16' ? 1e-2 : 1e-4;
          expect(Math.abs(received.loss - expected.loss)).toBeLessThan(
            allowed * (1 + Math.abs(expected.loss)),
          );
          expect(difference(received.dq, expected.dq)).toBeLessThan(allowed);
          expect(difference(received.dk, expected.dk)).toBeLessThan(allowed);
        });
        expect(memory().cuda.tensors).toBe(before);
      });

  it('takes a gradient other than 1, and a learned scale', () => {
    scope(() => {
      const [q, k] = [randn([9, 8]), randn([9, 8])];
      const run = (device: 'cpu' | 'cuda') => {
        const leaf = q.to(device).detach();
        leaf.requiresGrad = true;
        const scale = tensor(2.5, { requiresGrad: true });
        const bias = tensor([0.5], { requiresGrad: true });
        const options = { scale, bias, denominator: 'sigmoid' } as const;
        infoNCE(leaf, k.to(device), options).mul(0.25).add(1).backward();
        return [leaf.grad!.floats(), scale.grad!.floats(), bias.grad!.floats()] as const;
      };
      const [expected, received] = [run('cpu'), run('cuda')];
      for (const [i, each] of expected.entries()) expect(difference(received[i]!, each)).toBeLessThan(1e-4);
    });
  });

  it('adds up the gradients of a tensor in both roles', () => {
    scope(() => {
      const [a, b] = [randn([6, 8]), randn([6, 8])];
      const run = (device: 'cpu' | 'cuda') => {
        const leaf = a.to(device).detach();
        leaf.requiresGrad = true;
        ntXent(leaf, b.to(device)).backward();
        return leaf.grad!.floats();
      };
      expect(difference(run('cuda'), run('cpu'))).toBeLessThan(1e-4);
    });
  });

  it('tells all that the kernel does, in calls without a tape', async () => {
    const [q, k] = [randn([5, 8]), randn([5, 8])];
    const options = { symmetric: true, scale: 2 };
    const expected = kernels.infoNCESync(q.floats(), k.floats(), { ...options, dim: 8 });
    const [there, keys] = [q.to('cuda'), k.to('cuda')];
    const pending = kernels.infoNCE(there, keys, options);
    there.dispose();
    const received = await pending;
    expect(received.loss).toBeCloseTo(expected.loss, 4);
    expect(received.dscale).toBeCloseTo(expected.dscale!, 4);
    expect(received.rowLoss.device).toBe('cuda:0');
    for (const name of ['rowLoss', 'rowLse', 'columnLoss', 'columnLse', 'dq', 'dk'] as const) {
      expect(difference(received[name]!.floats(), expected[name]!)).toBeLessThan(1e-4);
      received[name]!.dispose();
    }
    keys.dispose();
  });

  it('names the row of a NaN, and leaves nothing behind', async () => {
    const before = memory().cuda.tensors;
    const values = new Float32Array(12 * 8).fill(0.25);
    values[8 * 8 + 3] = Number.NaN;
    const [bad, good] = [tensor(values, [12, 8], { device: 'cuda' }), randn([12, 8], { device: 'cuda' })];
    expect(() => infoNCE(bad, good)).toThrow(/q: row 8 holds NaN or infinity/);
    expect(() => infoNCE(good, bad)).toThrow(/k: row 8 holds NaN or infinity/);
    await expect(kernels.infoNCE(bad, good)).rejects.toThrow(/q: row 8/);
    expect(() => infoNCE(good, good, { positive: new Int32Array(12).fill(99) })).toThrow(/positive: row 0/);
    expect(Number.isFinite(infoNCE(good, good).item())).toBe(true);
    bad.dispose();
    good.dispose();
    expect(memory().cuda.tensors).toBe(before);
  });
});

group.skipIf(missing !== undefined)('infoNCE of tensors on several devices', () => {
  it('names both devices', () => {
    scope(() => {
      const [q, k] = [randn([4, 8], { device: 'cuda' }), randn([4, 8])];
      expect(() => infoNCE(q, k)).toThrow(
        /infoNCE: expected tensors on one device, received cuda:0 .* and cpu/,
      );
      expect(() => infoNCE(k, q)).toThrow(/received cpu .* and cuda:0/);
      const there = k.to('cuda');
      expect(() => infoNCE(q, there, { queue: k })).toThrow(/cuda:0 .* and cpu/);
      expect(() => infoNCE(q, there, { positive: tensor(new Int32Array(4)) })).toThrow(/cuda:0 .* and cpu/);
      expect(() => kernels.infoNCESync(q, k)).toThrow(/received q on cuda:0 and k on cpu/);
    });
  });
});

group('infoNCE of bfloat16 on the CPU', () => {
  it('is that of the rounded values, with float32 gradients', () => {
    scope(() => {
      const q = randn([6, 8], { requiresGrad: true });
      const k = randn([6, 8]).convert('bfloat16');
      const scale = tensor(3, { requiresGrad: true });
      const rounded = q.convert('bfloat16');
      infoNCE(rounded, k, { scale }).mul(2).backward();
      const same = rounded.convert('float32').detach();
      same.requiresGrad = true;
      const other = tensor(3, { requiresGrad: true });
      infoNCE(same, k.convert('float32'), { scale: other }).mul(2).backward();
      expect(difference(q.grad!.floats(), same.grad!.floats())).toBeLessThan(1e-4);
      expect(difference(scale.grad!.floats(), other.grad!.floats())).toBeLessThan(1e-4);
      expect(() => infoNCE(q, k)).toThrow(/k: expected float32 as q, received 'bfloat16/);
    });
  });
});
