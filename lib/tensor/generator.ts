/** Random numbers by counter: a generator hands out ranges of Philox's sequence, so that draws can be repeated. */
import { invalidArgument } from '../errors.js';

export interface GeneratorState {
  /** Decimal digits: a seed may have 64 bits. */
  readonly seed: string;
  /** Numbers drawn so far. */
  readonly offset: number;
}

/** A part of a sequence: element i of a draw is number offset + i under the seed. */
export interface RandomRange {
  readonly seedLow: number;
  readonly seedHigh: number;
  readonly offset: number;
}

/** A sequence of random numbers, the same for the same seed on every backend and for any number of threads. */
export class Generator {
  #seed = 0n;
  #offset = 0;

  /** The seed is a whole number of at least 0, or a bigint of at most 64 bits. */
  constructor(seed: number | bigint = 0) {
    this.#seed = checkSeed(seed);
  }

  /** The range of the next `count` numbers, which later draws do not see. */
  next(count: number): RandomRange {
    const offset = this.#offset;
    // Philox makes four numbers at a time, and draws should not share them.
    this.#offset += Math.ceil(count / 4) * 4;
    return {
      seedLow: Number(this.#seed & 0xffffffffn),
      seedHigh: Number(this.#seed >> 32n),
      offset,
    };
  }

  /** A new seed of 64 bits, for calls that draw by row and column of their own and for generators of workers. */
  nextSeed(): bigint {
    const { offset } = this.next(4);
    // splitmix64's mixer over the seed and the place.
    let z = BigInt.asUintN(64, this.#seed + BigInt(offset / 4 + 1) * 0x9e3779b97f4a7c15n);
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }

  /** Begins a sequence anew. */
  seed(seed: number | bigint): void {
    this.#seed = checkSeed(seed);
    this.#offset = 0;
  }

  /** What setState() takes, here or in another process. */
  state(): GeneratorState {
    return { seed: String(this.#seed), offset: this.#offset };
  }

  setState(state: GeneratorState): void {
    if (typeof state?.seed !== 'string' || !/^\d{1,20}$/.test(state.seed))
      invalidArgument('state.seed', 'decimal digits', state?.seed);
    if (!Number.isSafeInteger(state.offset) || state.offset < 0)
      invalidArgument('state.offset', 'a whole number of at least 0', state.offset);
    this.#seed = checkSeed(BigInt(state.seed));
    this.#offset = state.offset;
  }
}

function checkSeed(seed: unknown): bigint {
  if (typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0) return BigInt(seed);
  if (typeof seed === 'bigint' && seed >= 0n && seed < 1n << 64n) return seed;
  return invalidArgument('seed', 'a whole number of at least 0 or a bigint of 64 bits', seed);
}

/** The generator that is used where none is given; seed 0 until manualSeed(). */
export const defaultGenerator: Generator = new Generator(0);

/** Seeds the default generator, which starts anew. */
export function manualSeed(seed: number | bigint): void {
  defaultGenerator.seed(seed);
}
