import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  amdimSync,
  clipLossSync,
  infoNCESync,
  mocoSync,
  ntXentSync,
  supConSync,
} from '../../lib/kernels/index.js';

interface GoldenArray {
  shape: number[];
  data: number[];
}
interface Golden {
  name: string;
  inputs: Record<string, GoldenArray | number>;
  expected: Record<string, GoldenArray | number>;
}

const file = new URL('../golden/contrastive.json', import.meta.url);
const cases = (JSON.parse(readFileSync(file, 'utf8')) as { cases: Golden[] }).cases;

function array(golden: Golden, name: string): Float32Array {
  return Float32Array.from((golden.inputs[name] as GoldenArray).data);
}
function dimOf(golden: Golden, name: string): number {
  return (golden.inputs[name] as GoldenArray).shape.at(-1)!;
}
function scalar(golden: Golden, name: string): number {
  return golden.inputs[name] as number;
}

/** The largest error of `actual` relative to the largest expected value. */
function worst(actual: Float32Array | undefined, expected: GoldenArray | number | undefined): number {
  const exact = (expected as GoldenArray).data;
  expect(actual).toHaveLength(exact.length);
  let size = 0;
  let error = 0;
  exact.forEach((value, i) => {
    size = Math.max(size, Math.abs(value));
    error = Math.max(error, Math.abs(actual![i]! - value));
  });
  return error / size;
}

const runners: Array<[prefix: string, run: (golden: Golden) => object]> = [
  ['info_nce', explicit],
  ['extreme_logits', explicit],
  [
    'clip_symmetric',
    (g) => clipLossSync(array(g, 'q'), array(g, 'k'), { dim: dimOf(g, 'q'), scale: scalar(g, 'scale') }),
  ],
  [
    'nt_xent',
    (g) => ntXentSync(array(g, 'z'), { dim: dimOf(g, 'z'), temperature: scalar(g, 'temperature') }),
  ],
  [
    'sup_con',
    (g) => {
      const labels = Int32Array.from((g.inputs['label'] as GoldenArray).data);
      return supConSync(array(g, 'z'), labels, {
        dim: dimOf(g, 'z'),
        temperature: scalar(g, 'temperature'),
      });
    },
  ],
  [
    'moco',
    (g) =>
      mocoSync(array(g, 'q'), array(g, 'k_pos'), array(g, 'queue'), {
        dim: dimOf(g, 'q'),
        temperature: scalar(g, 'temperature'),
      }),
  ],
  [
    'amdim',
    (g) => {
      const out = amdimSync(array(g, 'r1'), array(g, 'r7'), {
        dim: dimOf(g, 'r1'),
        scale: scalar(g, 'score_scale'),
        clip: scalar(g, 'clip'),
        regularizer: scalar(g, 'reg_weight'),
      });
      return { ...out, nce: out.loss - out.regularizer, reg: out.regularizer, dr1: out.dq, dr7: out.dk };
    },
  ],
];

function explicit(g: Golden): object {
  const positive = g.inputs['positive'] as GoldenArray | undefined;
  const out = infoNCESync(array(g, 'q'), array(g, 'k'), {
    dim: dimOf(g, 'q'),
    scale: scalar(g, 'scale'),
    ...(positive && { positive: Int32Array.from(positive.data) }),
  });
  return { ...out, rows: out.rowLoss, lse: out.rowLse };
}

describe('golden values', () => {
  it.each(cases.map((golden) => [golden.name, golden] as const))('%s', (name, golden) => {
    const runner = runners.find(([prefix]) => name.startsWith(prefix));
    const out = runner![1](golden) as Record<string, Float32Array | number>;
    for (const [key, value] of Object.entries(golden.expected)) {
      const actual = out[key];
      if (typeof value === 'number')
        expect(Math.abs((actual as number) - value), key).toBeLessThanOrEqual(
          1e-5 * Math.max(1, Math.abs(value)),
        );
      else expect(worst(actual as Float32Array, value), key).toBeLessThanOrEqual(1e-5);
    }
  });
});
