/** From values to places: a linear or logarithmic axis over a range. */
import { invalidArgument } from '../../errors.js';
import { linearTicks, logMinor, logTicks, niceStep, type Tick, type TickFormat } from './ticks.js';

export interface AxisOptions {
  /** What the axis shows: `rate`. */
  readonly title?: string;
  /** Its unit: `bits per image`; written behind the title. */
  readonly unit?: string;
  /** Default: linear. */
  readonly kind?: 'linear' | 'log';
  /** Ends of the axis. Default: the data's, rounded to ticks. */
  readonly min?: number;
  readonly max?: number;
  /** `percent` writes 0.975 as 97.5%. */
  readonly format?: TickFormat;
}

export interface Scale {
  readonly kind: 'linear' | 'log';
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly Tick[];
  /** Values between the ticks of a log axis that get a mark without a label. */
  readonly minor: readonly number[];
  /** The place of a value: 0 at `min`, 1 at `max`; NaN for what the axis cannot show. */
  place(value: number): number;
}

export interface ScaleOptions extends AxisOptions {
  /** Name of the axis in errors. */
  readonly name: string;
  /** About how many ticks there is room for. */
  readonly mostTicks: number;
  /** Whether the ends move out to ticks. Default true. */
  readonly nice?: boolean;
  /** Values that must lie within: 0 for bars. */
  readonly include?: readonly number[];
}

/** A scale over finite values (positive ones on a log axis); others are not looked at. */
export function fitScale(values: Iterable<number>, options: ScaleOptions): Scale {
  const { kind = 'linear', name, mostTicks, format = 'number', nice = true } = options;
  const shows = (value: number) => canShow(value, kind);
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of [...values, ...(options.include ?? [])]) {
    if (!shows(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  for (const end of ['min', 'max'] as const) {
    const value = options[end];
    if (value !== undefined && !shows(value))
      invalidArgument(`${name}.${end}`, kind === 'log' ? 'a positive number' : 'a finite number', value);
  }
  if (low > high) [low, high] = kind === 'log' ? [1, 10] : [0, 1];
  if (!apart(low, high)) [low, high] = widened(low, kind);
  let [min, max] = [options.min ?? low, options.max ?? high];
  if (!apart(min, max)) {
    if (options.min !== undefined && options.max !== undefined)
      invalidArgument(`${name}.max`, `a number well above ${name}.min, ${min}`, max);
    [min, max] = options.min !== undefined ? [min, widened(min, kind)[1]] : [widened(max, kind)[0], max];
  }
  if (nice) {
    const [outMin, outMax] = rounded(min, max, kind, mostTicks);
    min = options.min ?? outMin;
    max = options.max ?? outMax;
  }
  const ticks =
    kind === 'log' ? logTicks(min, max, mostTicks, format) : linearTicks(min, max, mostTicks, format);
  const minor = kind === 'log' ? logMinor(min, max) : [];
  return { kind, min, max, ticks, minor, place: placer(kind, min, max) };
}

/** Beyond this size spans overflow; below its inverse they vanish. */
const kLargest = 1e300;

/** Whether an axis has a place for a value: finite ones, above zero on a log axis. */
export function canShow(value: number, kind: AxisOptions['kind']): boolean {
  return Math.abs(value) <= kLargest && (kind !== 'log' || value >= 1 / kLargest);
}

/** Whether two ends leave room for ticks between them: a double has 16 digits. */
function apart(low: number, high: number): boolean {
  return high - low > 1e-12 * Math.max(Math.abs(low), Math.abs(high)) && high - low > 1 / kLargest;
}

function placer(kind: 'linear' | 'log', min: number, max: number): (value: number) => number {
  if (kind === 'linear') return (value) => (canShow(value, kind) ? (value - min) / (max - min) : Number.NaN);
  const span = Math.log(max / min);
  return (value) => (canShow(value, kind) ? Math.log(value / min) / span : Number.NaN);
}

/** A range around a single value. */
function widened(value: number, kind: 'linear' | 'log'): [number, number] {
  if (kind === 'log') return [value / 2, value * 2];
  const half = Math.abs(value) <= 1 / kLargest ? 0.5 : Math.abs(value) * 0.1;
  return [value - half, value + half];
}

/** The range moved out to the next ticks; on a log axis by no more than needed for a round number. */
function rounded(min: number, max: number, kind: 'linear' | 'log', mostTicks: number): [number, number] {
  if (kind === 'log') return [roundedPower(min, Math.floor), roundedPower(max, Math.ceil)];
  const step = niceStep(max - min, mostTicks);
  return [Math.floor(min / step + 1e-9) * step, Math.ceil(max / step - 1e-9) * step];
}

/** The next of 1, 2, 5 times a power of ten. */
function roundedPower(value: number, round: (value: number) => number): number {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-12);
  const factors = round === Math.floor ? [5, 2, 1] : [1, 2, 5, 10];
  const mantissa = value / power;
  const fits =
    round === Math.floor
      ? (f: number) => f <= mantissa * (1 + 1e-9)
      : (f: number) => f >= mantissa * (1 - 1e-9);
  return Number(((factors.find(fits) ?? 1) * power).toPrecision(12));
}
