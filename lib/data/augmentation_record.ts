/** Augmentations checked, and packed into the records of numbers that the native side reads. */
import { describe, invalidArgument } from '../errors.js';
import type { Augmentation, BorderMode } from './augmentation.js';

/** Numbers of a step's record: kind, probability, shared, then the step's own in the order they are written here. */
const kStepNumbers = 16;
const kMaxSteps = 64;
const kMaxSide = 8192;
/** The number of a step's kind is its place in this list, as in native/augment/augment_step.h. */
const kKinds = [
  'affine',
  'translate',
  'crop',
  'flip',
  'jitter',
  'grey',
  'blur',
  'erase',
  'normalise',
  'pad',
  'resize',
  'moments',
  'elastic',
] as const;
type Kind = (typeof kKinds)[number];
const kBorders: readonly BorderMode[] = ['reflect', 'constant', 'edge'];

/** Images on their way through the steps: height, width, channels. */
interface ImageSize {
  height: number;
  width: number;
  readonly channels: number;
}

type Packer = (step: StepFields, size: ImageSize) => number[];

/** The fields of one step: each is taken once, and what is left over is unknown. */
class StepFields {
  readonly name: string;
  readonly #fields: Map<string, unknown>;
  readonly #known: string[] = [];

  constructor(name: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      invalidArgument(name, 'an object of parameters', value);
    this.name = name;
    this.#fields = new Map(Object.entries(value).filter(([, field]) => field !== undefined));
  }

  take(key: string): unknown {
    const value = this.#fields.get(key);
    this.#known.push(key);
    this.#fields.delete(key);
    return value;
  }

  /** Throws for a field that nobody took. */
  finish(): void {
    const [unknown] = this.#fields.keys();
    if (unknown === undefined) return;
    invalidArgument(this.name, `one of the parameters ${this.#known.join(', ')}`, unknown);
  }

  number(key: string, standard: number, least: number, most: number): number {
    return inRange(`${this.name}.${key}`, this.take(key) ?? standard, least, most);
  }

  integer(key: string, standard: number | undefined, least: number, most: number): number {
    const value = this.take(key) ?? standard;
    const name = `${this.name}.${key}`;
    if (!Number.isInteger(value)) invalidArgument(name, `a whole number from ${least} to ${most}`, value);
    return inRange(name, value, least, most);
  }

  flag(key: string): boolean {
    const value = this.take(key) ?? false;
    if (typeof value !== 'boolean') invalidArgument(`${this.name}.${key}`, 'true or false', value);
    return value;
  }

  choice<T extends string>(key: string, choices: readonly T[], standard: T): number {
    const value = this.take(key) ?? standard;
    const found = choices.indexOf(value as T);
    if (found < 0)
      invalidArgument(`${this.name}.${key}`, choices.map((choice) => `'${choice}'`).join(' or '), value);
    return found;
  }

  /** A pair low <= high. */
  range(key: string, standard: readonly [number, number], least: number, most: number): [number, number] {
    return pair(`${this.name}.${key}`, this.take(key) ?? standard, least, most);
  }

  /** A number r as [-r, r], or a pair. */
  symmetric(key: string, most: number): [number, number] {
    return symmetric(`${this.name}.${key}`, this.take(key) ?? 0, most);
  }
}

function inRange(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !(value >= least && value <= most))
    invalidArgument(name, `a number from ${least} to ${most}`, value);
  return value;
}

function numbers(name: string, value: unknown, lengths: readonly number[]): number[] {
  if (
    !Array.isArray(value) ||
    !lengths.includes(value.length) ||
    !value.every((each) => typeof each === 'number')
  )
    invalidArgument(name, `${lengths.join(' or ')} numbers`, Array.isArray(value) ? `[${value}]` : value);
  return value;
}

function pair(name: string, value: unknown, least: number, most: number): [number, number] {
  const [low, high] = numbers(name, value, [2]) as [number, number];
  inRange(name, low, least, most);
  inRange(name, high, least, most);
  if (low > high) invalidArgument(name, '[low, high] with low <= high', `[${low}, ${high}]`);
  return [low, high];
}

function symmetric(name: string, value: unknown, most: number): [number, number] {
  if (typeof value !== 'number') return pair(name, value, -most, most);
  const reach = inRange(name, value, 0, most);
  return [-reach, reach];
}

/** A size's height and width. */
function sizeOf(name: string, value: unknown): [height: number, width: number] {
  const sides = typeof value === 'number' ? [value, value] : numbers(name, value, [2]);
  for (const side of sides)
    if (!Number.isInteger(side) || side < 1 || side > kMaxSide)
      invalidArgument(name, `1 to ${kMaxSide} pixels, or [height, width]`, value);
  return sides as [number, number];
}

function box(step: StepFields, scale: readonly [number, number], ratio: readonly [number, number]): number[] {
  return [...step.range('scale', scale, 1e-6, 1), ...step.range('ratio', ratio, 1e-3, 1e3)];
}

/** One number for all channels, or one a channel; always three. */
function channelNumbers(step: StepFields, key: string, channels: number, least: number): number[] {
  const value = step.take(key);
  const name = `${step.name}.${key}`;
  const list = typeof value === 'number' ? [value] : numbers(name, value, [...new Set([1, channels])]);
  for (const each of list) inRange(name, each, least, 1e6);
  return [0, 1, 2].map((c) => list[list.length === 1 ? 0 : c]!);
}

function shearOf(name: string, value: unknown): number[] {
  if (Array.isArray(value) && value.length === 4) {
    const [a, b, c, d] = value;
    return [...pair(name, [a, b], -89, 89), ...pair(name, [c, d], -89, 89)];
  }
  return [...symmetric(name, value ?? 0, 89), 0, 0];
}

const packers: Readonly<Record<Kind, Packer>> = {
  affine(step) {
    const translate = step.take('translate') ?? 0;
    const name = `${step.name}.translate`;
    const shares = typeof translate === 'number' ? [translate, translate] : numbers(name, translate, [2]);
    return [
      ...step.symmetric('degrees', 3600),
      ...shares.map((share) => inRange(name, share, 0, 1)),
      ...step.range('scale', [1, 1], 1e-3, 1e3),
      ...shearOf(`${step.name}.shear`, step.take('shear')),
      step.choice('interpolation', ['bilinear', 'nearest'], 'bilinear'),
      step.number('fill', 0, -1e6, 1e6),
    ];
  },
  translate: (step) => [
    step.integer('pixels', undefined, 0, kMaxSide),
    step.choice('border', kBorders, 'reflect'),
    step.number('value', 0, -1e6, 1e6),
  ],
  crop(step, size) {
    const drawn = box(step, [0.08, 1], [3 / 4, 4 / 3]);
    const given = step.take('size');
    if (given !== undefined) [size.height, size.width] = sizeOf(`${step.name}.size`, given);
    return [...drawn, size.height, size.width];
  },
  flip: () => [],
  jitter: (step) => [
    ...['brightness', 'contrast', 'saturation'].map((key) => step.number(key, 0, 0, 100)),
    step.number('hue', 0, 0, 0.5),
  ],
  grey: () => [],
  blur(step) {
    const sigma = step.range('sigma', [0.1, 2], 1e-3, 1e3);
    const size = step.integer('size', 0, 0, 8191);
    if (size !== 0 && size % 2 === 0) invalidArgument(`${step.name}.size`, 'an odd number of taps', size);
    // One tap is a radius of 0, which the native side takes for "by sigma".
    if (size === 1) invalidArgument(`${step.name}.size`, 'at least 3 taps', size);
    return [...sigma, Math.max(0, (size - 1) / 2)];
  },
  erase: (step) => [...box(step, [0.02, 0.33], [0.3, 3.3]), step.number('value', 0, -1e6, 1e6)],
  normalise: (step, { channels }) => [
    ...channelNumbers(step, 'mean', channels, -1e6),
    ...channelNumbers(step, 'std', channels, 1e-6),
  ],
  pad(step, size) {
    const name = `${step.name}.pixels`;
    const given = step.take('pixels');
    const list = typeof given === 'number' ? [given] : numbers(name, given, [2, 4]);
    for (const each of list)
      if (!Number.isInteger(each) || each < 0 || each > kMaxSide)
        invalidArgument(name, `whole numbers from 0 to ${kMaxSide}`, given);
    const [top, right, bottom, left] = [0, 1, 2, 3].map((side) => list[side % list.length]!) as [
      number,
      number,
      number,
      number,
    ];
    size.height += top + bottom;
    size.width += left + right;
    return [
      ...[top, right, bottom, left],
      step.choice('mode', kBorders, 'constant'),
      step.number('value', 0, -1e6, 1e6),
    ];
  },
  resize(step, size) {
    [size.height, size.width] = sizeOf(`${step.name}.size`, step.take('size'));
    return [size.height, size.width];
  },
  moments(step) {
    const radius = step.number('radius', 0.4, 0.01, 10);
    const share = step.take('anisotropy') ?? 0.7;
    const name = `${step.name}.anisotropy`;
    if (Array.isArray(share)) return [radius, ...pair(name, share, 0, 1)];
    return [radius, inRange(name, share, 0, 1), inRange(name, share, 0, 1)];
  },
  elastic: (step) => [step.integer('grid', 5, 2, 64), step.number('sigma', 0.08, 0, 10)],
};

const certain: ReadonlySet<Kind> = new Set(['normalise', 'pad', 'resize']);
const even: ReadonlySet<Kind> = new Set(['flip', 'erase']);

function packStep(step: unknown, index: number, size: ImageSize, out: Float64Array): void {
  const name = `steps[${index}]`;
  const keys = typeof step === 'object' && step !== null ? Object.keys(step) : [];
  const kind = keys[0] as Kind;
  if (keys.length !== 1 || !kKinds.includes(kind)) {
    const received = keys.length ? `{${keys.join(', ')}}` : describe(step);
    invalidArgument(name, `an object of one key, ${kKinds.join(', ')}`, received);
  }
  const fields = new StepFields(`${name}.${kind}`, (step as Record<string, unknown>)[kind]);
  const p = certain.has(kind) ? 1 : fields.number('p', even.has(kind) ? 0.5 : 1, 0, 1);
  const shared = !certain.has(kind) && fields.flag('shared');
  const own = packers[kind](fields, size);
  fields.finish();
  if (size.height > kMaxSide || size.width > kMaxSide)
    invalidArgument(
      fields.name,
      `a result of at most ${kMaxSide} pixels a side`,
      `${size.height} x ${size.width}`,
    );
  out.set([kKinds.indexOf(kind), p, shared ? 1 : 0, ...own], index * kStepNumbers);
}

/** Steps checked for images of a size: their records, and the size of the results. */
export interface PackedSteps {
  readonly records: Float64Array;
  readonly height: number;
  readonly width: number;
}

/** Checks an augmentation and packs it. Throws BINCE_INVALID_ARGUMENT that names the step and the parameter. */
export function packSteps(steps: Augmentation, height: number, width: number, channels: number): PackedSteps {
  if (!Array.isArray(steps)) invalidArgument('steps', 'an array of augmentation steps', steps);
  if (steps.length > kMaxSteps) invalidArgument('steps', `at most ${kMaxSteps} steps`, steps.length);
  const size: ImageSize = { height, width, channels };
  const records = new Float64Array(steps.length * kStepNumbers);
  for (const [index, step] of steps.entries()) packStep(step, index, size, records);
  return { records, height: size.height, width: size.width };
}
