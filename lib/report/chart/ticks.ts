/** Where an axis has its ticks, and what they say. */

export interface Tick {
  readonly value: number;
  readonly label: string;
}

export type TickFormat = 'number' | 'percent';

/** The step of 1, 2 or 5 times a power of ten that cuts the span into at most `most` parts. */
export function niceStep(span: number, most: number): number {
  const raw = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= raw * (1 - 1e-9))!;
  return factor * power;
}

/** Multiples of a nice step within [min, max], at most `most` + 1 of them. */
export function linearTicks(min: number, max: number, most: number, format: TickFormat = 'number'): Tick[] {
  const step = niceStep(max - min, most);
  const first = Math.ceil(min / step - 1e-9);
  const last = Math.floor(max / step + 1e-9);
  // A whole multiple, rounded to what a double of this step can mean: 3 * 0.1 is 0.3.
  const values = Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
  const label = tickFormatter(step, Math.max(Math.abs(min), Math.abs(max)), format);
  return values.map((value) => ({ value, label: label(value) }));
}

/** Decades within [min, max], or 1, 2 and 5 times them, or a linear choice where the range is too short for those. */
export function logTicks(min: number, max: number, most: number, format: TickFormat = 'number'): Tick[] {
  const decades = Math.log10(max / min);
  if (decades < 0.7) return linearTicks(min, max, Math.min(most, 5), format).filter(({ value }) => value > 0);
  const factors = decades * 3 <= 1.3 * most ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / most));
  const ticks: Tick[] = [];
  for (let power = Math.ceil(Math.log10(min) - 1 - 1e-9); power <= Math.log10(max) + 1e-9; power++) {
    if (power % every !== 0) continue;
    for (const factor of factors) {
      const value = Number(`${factor}e${power}`);
      if (value < min * (1 - 1e-9) || value > max * (1 + 1e-9)) continue;
      ticks.push({ value, label: format === 'percent' ? percentLabel(value) : logLabel(factor, power) });
    }
  }
  return ticks.length >= 2 ? ticks : linearTicks(min, max, Math.min(most, 5), format);
}

/** 2 to 9 times the decades within [min, max]: what shows that an axis is logarithmic. */
export function logMinor(min: number, max: number): number[] {
  if (Math.log10(max / min) > 8) return [];
  const values: number[] = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++)
    for (let factor = 2; factor <= 9; factor++) values.push(Number(`${factor}e${power}`));
  return values.filter((value) => value >= min && value <= max);
}

function percentLabel(value: number): string {
  return `${plain(100 * value, 3)}%`;
}

/** Between 0.001 and 50,000 as it is, else as a power of ten. */
function logLabel(factor: number, power: number): string {
  if (power >= -3 && power <= 4) return plain(factor * 10 ** power, 3);
  return `${factor === 1 ? '' : `${factor}×`}10${superscript(power)}`;
}

/** One way to write all ticks of an axis: the same decimals, thousands as k, millions as M. */
function tickFormatter(step: number, largest: number, format: TickFormat): (value: number) => string {
  if (format === 'percent') {
    const digits = decimals(100 * step);
    return (value) => `${grouped(100 * value, digits)}%`;
  }
  if (largest >= 1e15 || largest < 1e-4) {
    const power = Math.floor(Math.log10(largest) + 1e-9);
    const digits = decimals(step / 10 ** power);
    const scaled = (value: number) => grouped(value / 10 ** power, digits);
    return (value) => (value === 0 ? '0' : `${scaled(value)}×10${superscript(power)}`);
  }
  const { unit, suffix } = units.find(
    ({ from, unit }) => largest >= from && largest < 1000 * unit && step >= unit / 20,
  ) ?? {
    unit: 1,
    suffix: '',
  };
  const digits = decimals(step / unit);
  return (value) => (value === 0 ? '0' : `${grouped(value / unit, digits)}${suffix}`);
}

/** From this size on an axis counts in this unit. */
const units: readonly { readonly from: number; readonly unit: number; readonly suffix: string }[] = [
  { from: 1e12, unit: 1e12, suffix: 'T' },
  { from: 1e9, unit: 1e9, suffix: 'G' },
  { from: 1e6, unit: 1e6, suffix: 'M' },
  { from: 1e4, unit: 1e3, suffix: 'k' },
];

/** Decimals that a multiple of the step needs. */
function decimals(step: number): number {
  for (let digits = 0; digits < 12; digits++)
    if (Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6 * step * 10 ** digits)
      return digits;
  return 12;
}

function grouped(value: number, digits: number): string {
  const text = Math.abs(value).toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return value < 0 ? `−${text}` : text;
}

function plain(value: number, digits: number): string {
  return Number(value.toPrecision(digits)).toLocaleString('en-US', { maximumFractionDigits: 12 });
}

function superscript(power: number): string {
  return [...String(power)].map((character) => superscripts[character]!).join('');
}

const superscripts: Readonly<Record<string, string>> = Object.fromEntries(
  [...'-0123456789'].map((character, i) => [character, [...'⁻⁰¹²³⁴⁵⁶⁷⁸⁹'][i]!]),
);
