import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BinceError,
  clipLossSync,
  type Denominator,
  type InfoNCEOptions,
  infoNCE,
  infoNCESync,
  mocoSync,
  ntXent,
  ntXentSync,
  sigLIPSync,
  supConSync,
} from '../../lib/kernels/index.js';

/** Normal numbers from a seed (mulberry32, Box-Muller). */
function normal(seed: number, count: number, deviation = 1): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return Float32Array.from(
    { length: count },
    () => deviation * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

function labels(seed: number, count: number, groups: number): Int32Array {
  return normal(seed, count, 100).reduce((all, value, i) => {
    all[i] = Math.abs(Math.round(value)) % groups;
    return all;
  }, new Int32Array(count));
}

describe('gradients agree with finite differences', () => {
  const n = 7;
  const m = 9;
  const dim = 5;
  const groups = { rows: labels(3, n, 3), columns: labels(4, m, 3) };
  const settings: Array<[string, Partial<InfoNCEOptions>]> = [
    ['plain', {}],
    ['symmetric cosine', { symmetric: true, cosine: true, scale: 4 }],
    ['groups', { groups, scale: 1.5 }],
    ['diagonal excluded', { groups, excludeDiagonal: true }],
    ['clip and regulariser', { groups, clip: 2, regularizer: 0.1 }],
    [
      'negative weight and ids',
      { negativeLogWeight: 1.2, ids: { rows: labels(5, n, 4), columns: labels(6, m, 4) } },
    ],
    ['own key', { ownKey: true, cosine: true, queue: normal(9, 6 * dim) }],
    ['weights', { rowWeight: normal(8, n).map(Math.abs), reduction: 'sum' }],
  ];
  const denominators: Denominator[] = ['all', 'negatives', 'each', 'sigmoid'];
  for (const [name, setting] of settings)
    for (const denominator of denominators) {
      if (denominator === 'sigmoid' && (setting.symmetric || setting.ownKey)) continue;
      it(`${name}, ${denominator}`, () => {
        const q = normal(1, n * dim);
        const k = normal(2, m * dim);
        const options = { dim, bias: 0.3, ...setting, denominator };
        const out = infoNCESync(q, k, options);
        const loss = (change: Partial<InfoNCEOptions>, x = q, y = k) =>
          infoNCESync(x, y, { ...options, ...change, gradients: false }).loss;
        const step = 2e-2;
        // Along a random direction: d loss / d t at t = 0, four-point rule.
        const slope = (f: (t: number) => number) =>
          (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step);
        const moved = (x: Float32Array, v: Float32Array, t: number) => x.map((value, i) => value + t * v[i]!);
        const along = (g: Float32Array, v: Float32Array) =>
          g.reduce((sum, value, i) => sum + value * v[i]!, 0);
        const room = 2e-4 * Math.max(1, Math.abs(out.loss));
        const vq = normal(11, n * dim, 0.5);
        const vk = normal(12, m * dim, 0.5);
        expect(Math.abs(along(out.dq!, vq) - slope((t) => loss({}, moved(q, vq, t))))).toBeLessThan(room * 4);
        expect(Math.abs(along(out.dk!, vk) - slope((t) => loss({}, q, moved(k, vk, t))))).toBeLessThan(
          room * 4,
        );
        const scale = options.scale ?? 1;
        expect(Math.abs(out.dscale! - slope((t) => loss({ scale: scale + t })))).toBeLessThan(room * 4);
        expect(Math.abs(out.dbias! - slope((t) => loss({ bias: 0.3 + t })))).toBeLessThan(room * 4);
      });
    }
});

describe('facts about the losses', () => {
  it('InfoNCE of identical keys is log M', () => {
    const q = normal(1, 6 * 4);
    const k = new Float32Array(5 * 4).fill(0.25);
    const out = infoNCESync(q, k, { dim: 4, positive: Int32Array.of(0, 1, 2, 3, 4, 0) });
    for (const row of out.rowLoss) expect(row).toBeCloseTo(Math.log(5), 5);
  });

  it('rows without a positive add nothing, and none at all gives zero', () => {
    const q = normal(1, 5 * 3);
    const k = normal(2, 4 * 3);
    const one = infoNCESync(q, k, { dim: 3, positive: Int32Array.of(-1, 2, -1, -1, -1) });
    expect(one.loss).toBe(one.rowLoss[1]);
    expect([...one.rowLoss.filter((value) => value !== 0)]).toHaveLength(1);
    const none = infoNCESync(q, k, { dim: 3, positive: new Int32Array(5).fill(-1) });
    expect(none.loss).toBe(0);
    expect(none.dq!.every((value) => value === 0)).toBe(true);
    expect(none.dscale).toBe(0);
  });

  it('a weight on negatives equals repeated negatives', () => {
    const q = normal(1, 4 * 3);
    const k = normal(2, 4 * 3);
    const repeated = new Float32Array(4 * 3 * 3);
    for (let copy = 0; copy < 3; ++copy) repeated.set(k, copy * 12);
    const ids = {
      rows: Int32Array.of(0, 1, 2, 3),
      columns: Int32Array.from({ length: 12 }, (_, j) => j % 4),
    };
    const expected = infoNCESync(q, repeated, { dim: 3, ids });
    const actual = infoNCESync(q, k, { dim: 3, negativeLogWeight: Math.log(3) });
    expect(actual.loss).toBeCloseTo(expected.loss, 5);
    for (let i = 0; i < 12; ++i) expect(actual.dq![i]).toBeCloseTo(expected.dq![i]!, 5);
  });

  it('a threshold on the cosine keeps similar columns out of the denominator', () => {
    const q = Float32Array.of(1, 0, 0, 1, 1, 1); // row 2 is within 45 degrees of both others
    const without = infoNCESync(q, q, { dim: 2, cosine: true });
    const within = infoNCESync(q, q, { dim: 2, cosine: true, threshold: 0.5 });
    expect(without.rowLse![2]).toBeCloseTo(Math.log(Math.E + 2 * Math.exp(Math.SQRT1_2)), 5);
    expect(within.rowLse![2]).toBeCloseTo(1, 5);
    expect(within.rowLse![0]).toBeCloseTo(Math.log(Math.E + 1), 5);
  });

  it('decoupled with one positive is InfoNCE with the positive taken out', () => {
    const q = normal(1, 8 * 4);
    const k = normal(2, 8 * 4);
    const all = clipLossSync(q, k, { dim: 4, scale: 3 });
    const decoupled = clipLossSync(q, k, { dim: 4, scale: 3, decoupled: true });
    for (let i = 0; i < 8; ++i) {
      const positive = all.rowLse![i]! - all.rowLoss[i]!;
      const negatives = Math.log(Math.exp(all.rowLse![i]!) - Math.exp(positive));
      expect(decoupled.rowLoss[i]).toBeCloseTo(negatives - positive, 4);
    }
  });

  it('SigLIP is the sum of pairwise logistic losses', () => {
    const q = normal(1, 3 * 2);
    const k = normal(2, 3 * 2);
    const out = sigLIPSync(q, k, { dim: 2, cosine: false, scale: 2, bias: -1 });
    let total = 0;
    for (let i = 0; i < 3; ++i)
      for (let j = 0; j < 3; ++j) {
        const s = 2 * (q[2 * i]! * k[2 * j]! + q[2 * i + 1]! * k[2 * j + 1]!) - 1;
        total += Math.log1p(Math.exp(i === j ? -s : s));
      }
    expect(out.loss).toBeCloseTo(total / 3, 5);
    expect(out.rowLse).toBeUndefined();
  });

  it('NT-Xent is SupCon with one label a pair', () => {
    const z = normal(5, 12 * 6);
    const views = ntXentSync(z, { dim: 6, temperature: 0.3 });
    const labelled = supConSync(
      z,
      Int32Array.from({ length: 12 }, (_, i) => i % 6),
      {
        dim: 6,
        temperature: 0.3,
      },
    );
    expect(labelled.loss).toBeCloseTo(views.loss, 5);
    for (let i = 0; i < z.length; ++i) expect(labelled.dz![i]).toBeCloseTo(views.dz![i]!, 5);
  });

  it('MoCo gives the queue and the keys no gradient unless asked', () => {
    const out = mocoSync(normal(1, 4 * 3), normal(2, 4 * 3), normal(3, 7 * 3), { dim: 3 });
    expect(out.dq).toHaveLength(12);
    expect(out.dk).toBeUndefined();
    expect(out.dscale).toBeDefined();
  });

  it('bfloat16 inputs are the upper halves of floats', () => {
    const halves = Uint16Array.from({ length: 24 }, (_, i) => 0x3f00 + i);
    const floats = new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer);
    const a = infoNCESync(halves, halves, { dim: 4 });
    const b = infoNCESync(floats, floats, { dim: 4 });
    expect(a.loss).toBe(b.loss);
    expect(a.dq).toEqual(b.dq);
  });

  it('symmetric swaps with its arguments, and adding to all scores changes nothing', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(),
          n: fc.integer({ min: 1, max: 40 }),
          dim: fc.integer({ min: 1, max: 40 }),
        }),
        ({ seed, n, dim }) => {
          const q = normal(seed, n * dim);
          const k = normal(seed + 1, n * dim);
          const options = { dim, scale: 0.7, symmetric: true };
          const there = infoNCESync(q, k, options);
          const back = infoNCESync(k, q, options);
          const shifted = infoNCESync(q, k, { ...options, bias: 2 });
          const close = (a: number, b: number) => Math.abs(a - b) <= 2e-5 * Math.max(1, Math.abs(a));
          return (
            close(there.loss, back.loss) &&
            close(there.loss, shifted.loss) &&
            there.dq!.every((value, i) => close(value, back.dk![i]!)) &&
            there.dk!.every((value, i) => close(value, shifted.dk![i]!))
          );
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('calls', () => {
  it('keep small results apart, whatever is wanted of them', async () => {
    const [n, m, dim] = [5, 7, 3];
    const [q, k, queue] = [normal(1, n * dim), normal(2, m * dim), normal(3, 4 * dim)];
    const settings: Partial<InfoNCEOptions>[] = [
      {},
      { symmetric: true, cosine: true },
      { denominator: 'sigmoid', gradients: ['k'] },
      { gradients: false, queue },
      { gradients: ['q', 'bias'], rowWeight: new Float32Array(n).fill(2) },
      { gradients: ['scale'], positive: Int32Array.from([3, -1, 0, 6, 2]) },
    ];
    // More than one piece of the memory that small results share.
    const calls = Array.from({ length: 2000 }, (_, i) => settings[i % settings.length]!);
    const results = calls.map((setting) => infoNCESync(q, k, { dim, ...setting }));
    const alone = await Promise.all(settings.map((setting) => infoNCE(q, k, { dim, ...setting })));
    for (const [i, result] of results.entries()) expect(result).toEqual(alone[i % settings.length]);
    const large = normal(4, 128 * 40);
    const { dq } = infoNCESync(large, large, { dim: 40 });
    expect(dq!.buffer.byteLength).toBe(dq!.byteLength);
  });

  it('does not let a small result take others along to another thread', () => {
    const [q, k] = [normal(1, 12), normal(2, 12)];
    const [first, second] = [infoNCESync(q, k, { dim: 4 }), infoNCESync(q, k, { dim: 4 })];
    const { dq } = first;
    try {
      structuredClone(dq, { transfer: [dq!.buffer as ArrayBuffer] });
    } catch (error) {
      expect((error as Error).name).toBe('DataCloneError'); // newer Node; older ones copy
    }
    expect(second.dq).toEqual(dq);
    expect(second.dq).toHaveLength(12);
  });

  const q = normal(1, 6 * 4);
  const k = normal(2, 6 * 4);

  it('computes only the gradients asked for', () => {
    expect(infoNCESync(q, k, { dim: 4, gradients: false })).not.toHaveProperty('dq');
    const some = infoNCESync(q, k, { dim: 4, gradients: ['k', 'bias'] });
    expect(some).not.toHaveProperty('dq');
    expect(some).not.toHaveProperty('dscale');
    const all = infoNCESync(q, k, { dim: 4 });
    expect(some.dk).toEqual(all.dk);
    expect(some.dbias).toBe(all.dbias);
    const onlyScale = infoNCESync(q, k, { dim: 4, gradients: ['scale'] });
    expect(onlyScale.dscale).toBe(all.dscale);
  });

  it('the promise gives what the synchronous form gives', async () => {
    expect(await infoNCE(q, k, { dim: 4 })).toEqual(infoNCESync(q, k, { dim: 4 }));
    expect(await ntXent(q, { dim: 4 })).toEqual(ntXentSync(q, { dim: 4 }));
  });

  it('multiplies gradients by gradLoss', () => {
    const one = infoNCESync(q, k, { dim: 4 });
    const four = infoNCESync(q, k, { dim: 4, gradLoss: 4 });
    expect(four.loss).toBe(one.loss);
    expect(four.dq).toEqual(one.dq!.map((value) => 4 * value));
  });

  it('stops when the signal fires and leaves the event loop live', async () => {
    const large = normal(3, 6000 * 96);
    const stop = new AbortController();
    const running = infoNCE(large, large, { dim: 96, symmetric: true, signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 5);
    await expect(running).rejects.toThrow('enough');
    await expect(infoNCE(q, k, { dim: 4, signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    );
  });

  it.each<[string, () => unknown, string, string]>([
    [
      'NaN',
      () =>
        infoNCESync(
          q.map((x, i) => (i === 9 ? Number.NaN : x)),
          k,
          { dim: 4 },
        ),
      'BINCE_INVALID_VALUE',
      'q: row 2 holds NaN',
    ],
    [
      'infinity',
      () =>
        infoNCESync(
          q,
          k.map((x, i) => (i === 23 ? Number.POSITIVE_INFINITY : x)),
          { dim: 4 },
        ),
      'BINCE_INVALID_VALUE',
      'k: row 5',
    ],
    [
      'dim',
      () => infoNCESync(q, k, { dim: 5 }),
      'BINCE_INVALID_ARGUMENT',
      'q: expected a positive multiple of dim (5) elements, received Float32Array(24)',
    ],
    [
      'no dim',
      () => infoNCESync(q, k, {} as InfoNCEOptions),
      'BINCE_INVALID_ARGUMENT',
      'dim: expected a positive integer, received undefined',
    ],
    [
      'no options',
      () => infoNCESync(q, k, undefined as unknown as InfoNCEOptions),
      'BINCE_INVALID_ARGUMENT',
      'options',
    ],
    [
      'rows',
      () => infoNCESync(q, k, { dim: 4, rows: 5 }),
      'BINCE_INVALID_ARGUMENT',
      'q: expected 5 x 4 elements',
    ],
    ['empty', () => infoNCESync(new Float32Array(0), k, { dim: 4 }), 'BINCE_INVALID_ARGUMENT', 'q: expected'],
    [
      'plain arrays',
      () => infoNCESync([1, 2] as unknown as Float32Array, k, { dim: 2 }),
      'BINCE_INVALID_ARGUMENT',
      'q: expected a Float32Array',
    ],
    [
      'mixed types',
      () => infoNCESync(q, new Uint16Array(24), { dim: 4 }),
      'BINCE_INVALID_ARGUMENT',
      'k: expected a Float32Array as q',
    ],
    [
      'positive',
      () => infoNCESync(q, k, { dim: 4, positive: new Int32Array(5) }),
      'BINCE_INVALID_ARGUMENT',
      'positive: expected a Int32Array of 6 elements',
    ],
    [
      'positive out of range',
      () => infoNCESync(q, k, { dim: 4, positive: new Int32Array(6).fill(6) }),
      'BINCE_INVALID_VALUE',
      'positive: row 0 holds 6',
    ],
    [
      'scale',
      () => infoNCESync(q, k, { dim: 4, scale: Number.NaN }),
      'BINCE_INVALID_ARGUMENT',
      'scale: expected a finite number',
    ],
    [
      'denominator',
      () => infoNCESync(q, k, { dim: 4, denominator: 'some' as Denominator }),
      'BINCE_INVALID_ARGUMENT',
      'denominator',
    ],
    [
      'own key without queue',
      () => infoNCESync(q, k, { dim: 4, ownKey: true }),
      'BINCE_INVALID_ARGUMENT',
      'queue',
    ],
    [
      'odd views',
      () => ntXentSync(q.subarray(0, 20), { dim: 4 }),
      'BINCE_INVALID_ARGUMENT',
      'even number of rows',
    ],
    [
      'two scales',
      () => clipLossSync(q, k, { dim: 4, scale: 1, temperature: 1 }),
      'BINCE_INVALID_ARGUMENT',
      'temperature',
    ],
  ])('refuses: %s', (_name, call, code, words) => {
    let error: unknown;
    try {
      call();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(BinceError);
    expect((error as BinceError).code).toBe(code);
    expect((error as BinceError).message).toContain(words);
  });

  it('rejects the promise for wrong arguments', async () => {
    await expect(infoNCE(q, k, { dim: 5 })).rejects.toThrow('q: expected a positive multiple');
    await expect(ntXent(q, undefined as unknown as InfoNCEOptions)).rejects.toThrow('options');
  });
});
