/** Distortion of rounded values and its gradients to log gain and shift. */

/** Adding and subtracting it rounds a double below 2^51 to an integer, halves to even. */
const kRound = 1.5 * 2 ** 52;

/**
 * Mean over rows of the distortion summed over channels. With s = rint((x - shift) * gain) and the error
 * e = s / gain + shift - x: d e / d shift = 1 and d e / d log gain = -s / gain, the symbols being constant between
 * jumps, at which the error's size does not change.
 */
export class DistortionGradients {
  readonly #kind: 'l1' | 'mse';
  readonly #dlogGain: Float64Array;
  readonly #dshift: Float64Array;
  readonly #gain: Float64Array;

  constructor(channels: number, kind: 'l1' | 'mse') {
    this.#kind = kind;
    this.#dlogGain = new Float64Array(channels);
    this.#dshift = new Float64Array(channels);
    this.#gain = new Float64Array(channels);
  }

  compute(rows: Float32Array, logGain: Float32Array, shift: Float32Array): void {
    const [dlogGain, dshift, gain] = [this.#dlogGain, this.#dshift, this.#gain];
    const channels = gain.length;
    const squared = this.#kind === 'mse';
    for (let c = 0; c < channels; c++) gain[c] = Math.exp(logGain[c]!);
    dlogGain.fill(0);
    dshift.fill(0);
    for (let at = 0; at < rows.length; at += channels) {
      for (let c = 0; c < channels; c++) {
        const centred = rows[at + c]! - shift[c]!;
        const value = (centred * gain[c]! + kRound - kRound) / gain[c]!;
        const error = value - centred;
        const slope = squared ? 2 * error : Math.sign(error);
        dshift[c]! += slope;
        dlogGain[c]! -= slope * value;
      }
    }
    const weight = channels / rows.length;
    for (let c = 0; c < channels; c++) {
      dlogGain[c]! *= weight;
      dshift[c]! *= weight;
    }
  }

  /** Adds the gradients last computed, times `weight`. */
  addTo(dlogGain: Float32Array, dshift: Float32Array, weight: number): void {
    for (let c = 0; c < dlogGain.length; c++) {
      dlogGain[c]! += weight * this.#dlogGain[c]!;
      dshift[c]! += weight * this.#dshift[c]!;
    }
  }
}
