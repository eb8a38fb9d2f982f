/** Adam (Kingma and Ba 2015) over a few arrays, in float64 moments so that the order of steps decides nothing else. */

export interface ParameterGroup {
  readonly values: Float32Array;
  /** Units of the values: a step of Adam moves each by the learning rate times its unit. Absent: 1. */
  readonly scale?: Float32Array | undefined;
}

const kBeta1 = 0.9;
const kBeta2 = 0.999;
const kEpsilon = 1e-12;

export class Adam {
  readonly #groups: readonly ParameterGroup[];
  readonly #first: Float64Array[];
  readonly #second: Float64Array[];
  #steps = 0;

  constructor(groups: readonly ParameterGroup[]) {
    this.#groups = groups;
    this.#first = groups.map(({ values }) => new Float64Array(values.length));
    this.#second = groups.map(({ values }) => new Float64Array(values.length));
  }

  /** One step down the gradients, which stand in the order of the groups. */
  step(learningRate: number, gradients: readonly Float32Array[]): void {
    this.#steps++;
    const rate = (learningRate * Math.sqrt(1 - kBeta2 ** this.#steps)) / (1 - kBeta1 ** this.#steps);
    for (const [g, { values, scale }] of this.#groups.entries()) {
      const gradient = gradients[g]!;
      const first = this.#first[g]!;
      const second = this.#second[g]!;
      for (let i = 0; i < values.length; i++) {
        const unit = scale ? scale[i]! : 1;
        const d = gradient[i]! * unit;
        const m = kBeta1 * first[i]! + (1 - kBeta1) * d;
        const v = kBeta2 * second[i]! + (1 - kBeta2) * d * d;
        first[i] = m;
        second[i] = v;
        values[i] = values[i]! - ((rate * m) / (Math.sqrt(v) + kEpsilon)) * unit;
      }
    }
  }
}
