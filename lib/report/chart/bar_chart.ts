/** Horizontal bars with their values: bits an image of several formats. */
import { describe, invalidArgument } from '../../errors.js';
import { significant } from '../number_text.js';
import { type ChartOptions, drawFrame, type Plot } from './frame.js';
import { type AxisOptions, fitScale, type Scale } from './scale.js';
import { type Drawing, element, haloStyle, textElement } from './svg.js';
import { colors, fittedText, fontSizes, seriesColor, textWidth } from './theme.js';

export interface Bar {
  readonly name: string;
  /** One value a series; null where there is none. */
  readonly values: readonly (number | null)[];
}

export interface BarChartOptions extends ChartOptions {
  readonly bars: readonly Bar[];
  /** Names of the series; one without a name if it is left out. */
  readonly series?: readonly string[];
  /** Axis of the values. On a log axis lengths are no longer proportions: the values beside the bars tell. */
  readonly x?: AxisOptions;
  /** How a value is written at its bar. */
  readonly text?: (value: number) => string;
}

const kBar = 18;
const kGap = 12;
const kTextGap = 6;

/** A bar chart, 640 wide and as high as its bars need where nothing else is asked. */
export function barChart(options: BarChartOptions): Drawing {
  const { bars, series = [''], x = {}, width = 640 } = options;
  const text =
    options.text ?? (x.format === 'percent' ? (value) => `${significant(100 * value)}%` : significant);
  checkBars(bars, series, x);
  const group = series.length * kBar + kGap;
  const height =
    options.height ?? 110 + (series.length > 1 ? 20 : 0) + (options.subtitle ? 16 : 0) + bars.length * group;
  const values = bars.flatMap(({ values }) => values.filter((value) => value !== null));
  const xScale = barScale(values, options, text, width);
  const rows = fitScale([0, bars.length], { name: 'bars', mostTicks: 1, nice: false });
  const legend = series.map((name, i) => ({ name, color: seriesColor(i), mark: 'patch' as const }));
  return drawFrame({
    ...options,
    ...{ width, height, x, y: {}, xScale, yScale: rows, overflow: true },
    legend: series.length > 1 ? legend : [],
    yNames: bars.map(({ name }) => name),
    draw: (plot) => bars.map((bar, i) => drawBar(bar, i, bars.length, plot, xScale, text)).join(''),
  });
}

/** Room for the values' texts at the right of the longest bar. */
function barScale(
  values: number[],
  { x = {}, bars }: BarChartOptions,
  text: (value: number) => string,
  width: number,
): Scale {
  const names = Math.max(...bars.map(({ name }) => textWidth(name, fontSizes.tick)));
  const plotWidth = Math.max(50, width - Math.min(names, width * 0.4) - 60);
  const widest = Math.max(...values.map((value) => textWidth(text(value), fontSizes.label)));
  const share = Math.min(0.5, (widest + kTextGap + 4) / plotWidth);
  const base = { ...x, name: 'x', mostTicks: Math.max(2, Math.floor(plotWidth / 80)) };
  const tight = fitScale(values, { ...base, nice: false, include: x.kind === 'log' ? [] : [0] });
  if (x.max !== undefined) return fitScale(values, { ...base, include: x.kind === 'log' ? [] : [0] });
  if (x.kind === 'log') {
    const min = x.min ?? 10 ** Math.floor(Math.log10(tight.min) - 1e-9);
    return fitScale(values, { ...base, min, max: min * (tight.max / min) ** (1 / (1 - share)), nice: false });
  }
  const max = tight.max > 0 ? tight.min + (tight.max - tight.min) / (1 - share) : tight.max;
  const min = x.min ?? (tight.min < 0 ? max - (max - tight.min) / (1 - share) : 0);
  return fitScale(values, { ...base, min, max, nice: false });
}

function checkBars(bars: readonly Bar[], series: readonly string[], x: AxisOptions): void {
  if (bars.length === 0) invalidArgument('bars', 'at least one bar', bars);
  for (const { name, values } of bars) {
    const what = `bar ${describe(name)}`;
    if (values.length !== series.length) invalidArgument(`${what}.values`, `${series.length} values`, values);
    for (const value of values) {
      if (value === null) continue;
      if (!Number.isFinite(value)) invalidArgument(what, 'a finite number or null', value);
      if (x.kind === 'log' && value <= 0) invalidArgument(what, 'a positive number on a log axis', value);
    }
  }
  if (bars.every(({ values }) => values.every((value) => value === null)))
    invalidArgument('bars', 'at least one value', null);
}

function drawBar(
  { name, values }: Bar,
  index: number,
  of: number,
  plot: Plot,
  scale: Scale,
  text: (value: number) => string,
): string {
  const row = plot.height / of;
  const middle = plot.top + row * (index + 0.5);
  const thickness = Math.min(kBar + 4, (row - 6) / values.length);
  const zero = plot.x(scale.kind === 'log' ? scale.min : Math.min(scale.max, Math.max(scale.min, 0)));
  const label = fittedText(name, plot.left - 25, fontSizes.tick);
  const parts = [
    textElement(label, {
      x: plot.left - 7,
      y: middle + 4,
      'text-anchor': 'end',
      'font-size': fontSizes.tick,
      fill: colors.ink,
    }),
  ];
  for (const [i, value] of values.entries()) {
    if (value === null) continue;
    const end = Math.min(plot.left + plot.width, Math.max(plot.left, plot.x(value)));
    const top = middle + (i - values.length / 2) * thickness;
    const color = seriesColor(i);
    const left = value < 0;
    parts.push(
      element('rect', {
        ...{
          class: 'bar',
          x: Math.min(zero, end),
          y: top + 1,
          width: Math.abs(end - zero),
          height: thickness - 2,
        },
        ...{ rx: 1.5, fill: color },
      }),
      textElement(text(value).replace('-', '−'), {
        ...{
          x: end + (left ? -kTextGap : kTextGap),
          y: top + thickness / 2 + 4,
          'text-anchor': left ? 'end' : 'start',
        },
        ...{ 'font-size': fontSizes.label, fill: colors.ink, ...haloStyle },
      }),
    );
  }
  return parts.join('');
}
