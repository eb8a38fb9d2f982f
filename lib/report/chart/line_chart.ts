/** Curves over a common axis: loss and rate against the step. */
import { describe, invalidArgument } from '../../errors.js';
import { drawnRuns, type Point, smoothed } from './curves.js';
import { type ChartOptions, drawFrame, type Plot } from './frame.js';
import { type Rule, ruleLabels, ruleLines, ruleValues } from './rules.js';
import { type AxisOptions, canShow, fitScale } from './scale.js';
import { type Drawing, element, polyline } from './svg.js';
import { seriesColor, seriesDash } from './theme.js';

export interface LineSeries {
  readonly name: string;
  readonly x: ArrayLike<number>;
  /** As many as x. A value that is not finite, or not positive on a log axis, leaves a gap. */
  readonly y: ArrayLike<number>;
}

export interface LineChartOptions extends ChartOptions {
  readonly series: readonly LineSeries[];
  readonly x?: AxisOptions;
  readonly y?: AxisOptions;
  /** Weight of the past in the moving average, 0 to below 1; the raw line stays, faint. Default 0: none. */
  readonly smoothing?: number;
  /** Lines at given values: a target, a published figure. */
  readonly rules?: readonly Rule[];
}

/** A line chart, 640 x 400 where nothing else is asked. Throws BINCE_INVALID_ARGUMENT for a series it cannot draw. */
export function lineChart(options: LineChartOptions): Drawing {
  const { series, x = {}, y = {}, smoothing = 0, width = 640, height = 400, rules = [] } = options;
  if (series.length === 0) invalidArgument('series', 'at least one series', series);
  if (!(smoothing >= 0 && smoothing < 1))
    invalidArgument('smoothing', 'a number from 0 to below 1', smoothing);
  for (const one of series) checkSeries(one, x, y);
  const xScale = fitScale(allOf(series, 'x'), {
    ...{ ...x, name: 'x', nice: false, mostTicks: Math.max(2, Math.floor(width / 80)) },
    include: [...ruleValues(rules, 'x'), ...nearZero(series, x)],
  });
  const yScale = fitScale(allOf(series, 'y'), {
    ...{ ...y, name: 'y', mostTicks: Math.max(2, Math.floor(height / 55)) },
    include: ruleValues(rules, 'y'),
  });
  const legend = series.map(({ name }, i) => ({
    ...{ name, color: seriesColor(i), mark: 'line' as const, dash: seriesDash(i) },
  }));
  return drawFrame({
    ...options,
    ...{ width, height, x, y, xScale, yScale, legend: series.length > 1 ? legend : [] },
    draw: (plot) =>
      ruleLines(rules, plot) +
      series.map((one, i) => drawSeries(one, i, plot, smoothing)).join('') +
      ruleLabels(rules, plot),
  });
}

/** Steps that begin at 1 or 200 are shown from 0 on, where the run began. */
function nearZero(series: readonly LineSeries[], { kind }: AxisOptions): number[] {
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (const value of allOf(series, 'x')) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return kind !== 'log' && low > 0 && low <= 0.05 * high ? [0] : [];
}

function* allOf(series: readonly LineSeries[], axis: 'x' | 'y'): Generator<number> {
  for (const one of series) yield* Array.from(one[axis]);
}

function checkSeries({ name, x, y }: LineSeries, xAxis: AxisOptions, yAxis: AxisOptions): void {
  const what = `series ${describe(name)}`;
  if (x.length !== y.length) invalidArgument(`${what}.y`, `${x.length} values, as many as x`, y);
  for (let i = 0; i < x.length; i++) if (canShow(x[i]!, xAxis.kind) && canShow(y[i]!, yAxis.kind)) return;
  invalidArgument(what, 'at least one point that its axes can show', y);
}

function drawSeries({ name, x, y }: LineSeries, index: number, plot: Plot, smoothing: number): string {
  const color = seriesColor(index);
  const line = (values: ArrayLike<number>, style: Record<string, number | string | undefined>) => {
    const points = Array.from(values, (value, i): Point => [plot.x(x[i]!), plot.y(value)]);
    return drawnRuns(points)
      .map((run) =>
        run.length === 1
          ? element('circle', { cx: run[0]![0], cy: run[0]![1], r: 2.5, fill: color, 'data-series': name })
          : element('path', {
              'data-series': name,
              d: polyline(run, 1),
              stroke: color,
              fill: 'none',
              ...style,
            }),
      )
      .join('');
  };
  const joined = {
    'stroke-linejoin': 'round',
    'stroke-linecap': 'round',
    'stroke-dasharray': seriesDash(index),
  };
  const main = { 'stroke-width': 2, ...joined };
  if (smoothing === 0) return line(y, main);
  return line(y, { 'stroke-width': 1, 'stroke-opacity': '0.28' }) + line(smoothed(y, smoothing), main);
}
