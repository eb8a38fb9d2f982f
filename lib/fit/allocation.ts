/**
 * A step and a shift for every channel: bit allocation by equal slopes (Shoham and Gersho 1988).
 *
 * The best use of a total rate has every channel at the same slope of its rate-distortion curve: each takes what is
 * cheapest by distortion + slope * bits. At high rate that is one step for all, whatever their variances. At low
 * rate it is not: a channel that is mostly one value, or that holds few levels, does best with steps of its own. So
 * every channel chooses among a grid of steps around the one of high rate, counted exactly, and the slope is the one
 * at which the bits add up to the target.
 */
import type { Operation } from './ecsq_search.js';
import { type Distortion, stepOfSlope } from './high_rate.js';

/** One way to quantise a channel, and what it costs a row. */
export interface Choice extends Operation {
  readonly step: number;
  readonly shift: number;
}

/** Measures a channel at a step, with each of the shifts worth trying. */
export type MeasureChoices = (channel: number, step: number) => Choice[];

/** Steps tried: 2^(k / kStepsPerOctave); first every second one from kFinest to kCoarsest around the high-rate step. */
const kStepsPerOctave = 8;
const kFinest = -8;
const kCoarsest = 16;

export class Allocation {
  readonly #channels: number;
  readonly #distortion: Distortion;
  readonly #measure: MeasureChoices;
  readonly #turn: () => Promise<void>;
  /** By channel and place in the grid of steps. */
  readonly #measured: Map<number, Choice[]>[];

  constructor(options: {
    channels: number;
    distortion: Distortion;
    measure: MeasureChoices;
    turn: () => Promise<void>;
  }) {
    this.#channels = options.channels;
    this.#distortion = options.distortion;
    this.#measure = options.measure;
    this.#turn = options.turn;
    this.#measured = Array.from({ length: options.channels }, () => new Map());
  }

  #at(channel: number, place: number): Choice[] {
    const measured = this.#measured[channel]!;
    let choices = measured.get(place);
    if (!choices) {
      choices = this.#measure(channel, Math.fround(2 ** (place / kStepsPerOctave)));
      measured.set(place, choices);
    }
    return choices;
  }

  /** The cheapest choice of every channel at a slope; what was not measured yet is. */
  async atSlope(slope: number): Promise<Choice[]> {
    const middle = Math.round(kStepsPerOctave * Math.log2(stepOfSlope(slope, this.#distortion)));
    const chosen: Choice[] = [];
    for (let c = 0; c < this.#channels; c++) {
      const first = middle + kFinest + ((middle + kFinest) & 1);
      let place = first;
      let best: Choice | undefined;
      const consider = (at: number): void => {
        for (const choice of this.#at(c, at)) {
          if (best && cost(choice, slope) >= cost(best, slope)) continue;
          best = choice;
          place = at;
        }
      };
      for (let at = first; at <= middle + kCoarsest; at += 2) consider(at);
      const around = place;
      consider(around - 1);
      consider(around + 1);
      chosen.push(best!);
      await this.#turn();
    }
    return chosen;
  }

  /** The choices whose bits come closest to `bits` from below, and their slope; the search begins at `start`. */
  async atRate(bits: number, start: number): Promise<{ slope: number; choices: Choice[] }> {
    let steep = start; // costs at most `bits`
    let flat = start; // costs more
    let low = await this.atSlope(start);
    let high = low;
    if (total(low) > bits) {
      do {
        [flat, high] = [steep, low];
        steep *= 2;
        low = await this.atSlope(steep);
      } while (total(low) > bits && steep < start * 2 ** 40);
    } else {
      do {
        [steep, low] = [flat, high];
        flat /= 2;
        high = await this.atSlope(flat);
      } while (total(high) <= bits && flat > start * 2 ** -10);
    }
    for (let i = 0; i < 30 && steep / flat > 1.0001; i++) {
      const middle = Math.sqrt(steep * flat);
      const choices = await this.atSlope(middle);
      if (total(choices) > bits) [flat, high] = [middle, choices];
      else [steep, low] = [middle, choices];
    }
    return { slope: steep, choices: fillUp(low, high, bits) };
  }
}

function cost({ bits, error }: Choice, slope: number): number {
  return error + slope * bits;
}

export function total(choices: readonly Choice[]): number {
  let bits = 0;
  for (const choice of choices) bits += choice.bits;
  return bits;
}

/** Takes the dearer choices of a slightly flatter slope for channels in turn, as long as the bits last. */
function fillUp(low: readonly Choice[], high: readonly Choice[], bits: number): Choice[] {
  const chosen = [...low];
  let left = bits - total(low);
  for (const [c, choice] of high.entries()) {
    const more = choice.bits - low[c]!.bits;
    if (more <= 0 || more > left || choice.error >= low[c]!.error) continue;
    chosen[c] = choice;
    left -= more;
  }
  return chosen;
}
