/**
 * What codes lose for prediction, counted on examples.
 *
 * Dubois et al. 2021 ("Lossy Compression for Lossless Prediction"), section 4: the excess Bayes risk of predicting
 * from the code instead of the example is bounded by how often examples of different labels share a code.
 */
import { invalidArgument } from '../errors.js';

export interface SharedCodes {
  readonly examples: number;
  /** Distinct codes. */
  readonly codes: number;
  /** Share of the examples whose code is also the code of an example with another label. */
  readonly excessBayesRisk: number;
  /** Share of the examples that the best prediction from the code alone (the code's majority label) gets wrong. */
  readonly majorityError: number;
}

/**
 * @param codes [N][width] symbols, row-major; the code of example i is its whole row
 * @param labels [N]
 */
export function sharedCodes(codes: Int32Array, labels: Int32Array): SharedCodes {
  const examples = labels.length;
  if (examples === 0) invalidArgument('labels', 'at least one', labels);
  if (codes.length === 0 || codes.length % examples !== 0)
    invalidArgument('codes', `a positive multiple of ${examples} symbols`, codes);
  const width = codes.length / examples;
  const bytes = Buffer.from(codes.buffer, codes.byteOffset, codes.byteLength);
  const byCode = new Map<string, Map<number, number>>();
  for (let i = 0; i < examples; i++) {
    const key = bytes.toString('latin1', i * width * 4, (i + 1) * width * 4);
    let counts = byCode.get(key);
    if (!counts) {
      counts = new Map();
      byCode.set(key, counts);
    }
    counts.set(labels[i]!, (counts.get(labels[i]!) ?? 0) + 1);
  }
  let shared = 0;
  let wrong = 0;
  for (const counts of byCode.values()) {
    let all = 0;
    let most = 0;
    for (const count of counts.values()) {
      all += count;
      most = Math.max(most, count);
    }
    if (counts.size > 1) shared += all;
    wrong += all - most;
  }
  return {
    examples,
    codes: byCode.size,
    excessBayesRisk: shared / examples,
    majorityError: wrong / examples,
  };
}
