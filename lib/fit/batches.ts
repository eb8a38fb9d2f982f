/** Random batches of a sample, the same for the same seed: every row once an epoch. */
import type { Sample } from './vector_source.js';

export class ShuffledBatches {
  readonly #sample: Sample;
  readonly #order: Uint32Array;
  readonly #random: () => number;
  #at: number;

  constructor(sample: Sample, seed: number) {
    this.#sample = sample;
    this.#order = Uint32Array.from({ length: sample.rows }, (_, i) => i);
    this.#random = uniform(seed);
    this.#at = sample.rows;
  }

  /** Fills `out` with the next rows; a sample smaller than a batch gives rows more than once. */
  fill(out: Float32Array): void {
    const { values, channels, rows } = this.#sample;
    for (let i = 0; i < out.length; i += channels) {
      if (this.#at === rows) this.#shuffle();
      const row = this.#order[this.#at++]!;
      out.set(values.subarray(row * channels, (row + 1) * channels), i);
    }
  }

  #shuffle(): void {
    const order = this.#order;
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random() * (i + 1));
      const kept = order[i]!;
      order[i] = order[j]!;
      order[j] = kept;
    }
    this.#at = 0;
  }
}

/** Uniform numbers in [0, 1): mulberry32. */
function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
