/** What the paper and its released code report (Dubois et al. 2021), to stand beside what a run measures. */

export interface PublishedResult {
  readonly system: 'vc' | 'vic';
  readonly data: 'banana' | 'augmented-mnist';
  /** Cross-entropy of the model, bits an example. */
  readonly modelBits: number;
  /** What their code really writes, bits an example, where it is known. */
  readonly codedBits?: number;
  readonly meanSquaredError?: number;
  /** Accuracy of a classifier on z that is trained along. */
  readonly accuracy?: number;
  /** Accuracy of a classifier on reconstructions. */
  readonly reconstructionAccuracy?: number;
}

export const publishedResults: readonly PublishedResult[] = [
  { system: 'vc', data: 'banana', modelBits: 4.83, meanSquaredError: 0.0755 },
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: a measured rate, not ln 10
  { system: 'vic', data: 'banana', modelBits: 2.302, codedBits: 64, meanSquaredError: 0.0355 },
  {
    system: 'vc',
    data: 'augmented-mnist',
    modelBits: 178.0,
    accuracy: 0.912,
    reconstructionAccuracy: 0.973,
  },
  {
    system: 'vic',
    data: 'augmented-mnist',
    modelBits: 47.3,
    codedBits: 1736,
    accuracy: 0.976,
    reconstructionAccuracy: 0.972,
  },
];
