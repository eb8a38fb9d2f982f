/**
 * How far a rate lies above what invariance allows (Dubois et al. 2021, theorem 2): for tasks that are invariant to an
 * equivalence with maximal invariant M, Rate(delta) = max(0, H(M(X)) - delta) bits reach an excess risk of delta.
 *
 * A discrete M (labels) has an entropy. A continuous one (the banana's radius) has none; there the bound is that of
 * rate-distortion theory, Shannon's lower bound h(M) - log2(2 pi e D) / 2 at the squared error D that the reconstruction
 * has along M.
 */
import { invalidArgument } from '../errors.js';

export interface RateInvariance {
  /** Entropy of M in bits (discrete), or its differential entropy (continuous). */
  readonly entropy: number;
  readonly kind: 'discrete' | 'continuous';
  /** The squared error along M, continuous only. */
  readonly squaredError?: number;
  /** Least bits an example. */
  readonly bound: number;
  /** Bits an example that were used. */
  readonly rate: number;
  readonly bitsAbove: number;
}

/** Entropy of a label's distribution, in bits, from counts. */
export function labelEntropy(labels: Int32Array): number {
  if (labels.length === 0) invalidArgument('labels', 'at least one', labels);
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / labels.length) * Math.log2(count / labels.length);
  return bits;
}

/**
 * Differential entropy in bits of a real variable from samples: that of a histogram with cells of the width
 * 2 IQR N^(-1/3) (Freedman and Diaconis), plus the correction for its bias (Miller and Madow).
 */
export function differentialEntropy(samples: Float64Array): number {
  const N = samples.length;
  if (N < 100) invalidArgument('samples', 'at least 100', samples);
  const sorted = Float64Array.from(samples).sort();
  const width = (2 * (sorted[Math.floor(0.75 * N)]! - sorted[Math.floor(0.25 * N)]!)) / Math.cbrt(N);
  if (!(width > 0)) invalidArgument('samples', 'values that differ', samples);
  let bits = 0;
  let cells = 0;
  for (let i = 0; i < N; ) {
    const cell = Math.floor(sorted[i]! / width);
    let end = i;
    while (end < N && Math.floor(sorted[end]! / width) === cell) end++;
    const share = (end - i) / N;
    bits -= share * Math.log2(share);
    cells++;
    i = end;
  }
  return bits + (cells - 1) / (2 * N * Math.LN2) + Math.log2(width);
}

/** The report for a discrete M: delta is the excess risk that is allowed, in bits. */
export function discreteRateInvariance(entropy: number, rate: number, delta = 0): RateInvariance {
  const bound = Math.max(0, entropy - delta);
  return { entropy, kind: 'discrete', bound, rate, bitsAbove: rate - bound };
}

/** The report for a continuous M, whose reconstruction has the given mean squared error. */
export function continuousRateInvariance(
  entropy: number,
  rate: number,
  squaredError: number,
): RateInvariance {
  if (!(squaredError > 0)) invalidArgument('squaredError', 'a positive number', squaredError);
  const bound = Math.max(0, entropy - 0.5 * Math.log2(2 * Math.PI * Math.E * squaredError));
  return { entropy, kind: 'continuous', squaredError, bound, rate, bitsAbove: rate - bound };
}
