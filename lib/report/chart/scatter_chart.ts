/** Points with labels in groups: rate against accuracy, with published points beside. */
import { describe, invalidArgument } from '../../errors.js';
import type { Point } from './curves.js';
import { type ChartOptions, drawFrame, type Plot } from './frame.js';
import { placeLabels } from './label_places.js';
import { type MarkShape, markShapes, pointMark } from './legend.js';
import { type Rule, ruleLabels, ruleLines, ruleSegments, ruleValues } from './rules.js';
import { type AxisOptions, canShow, fitScale, type Scale } from './scale.js';
import { type Drawing, element, haloStyle, polyline, textElement } from './svg.js';
import { colors, fittedText, fontSizes, seriesColor, textWidth } from './theme.js';

export interface ScatterPoint {
  readonly x: number;
  readonly y: number;
  readonly label?: string;
}

export interface ScatterGroup {
  readonly name: string;
  readonly points: readonly ScatterPoint[];
  /** Drawn as rings: published points. */
  readonly hollow?: boolean;
  /** Joined by a line in the order given: one method at several rates. */
  readonly joined?: boolean;
  /** Takes the colour and shape of the group of this name: the published twin of a measured group. */
  readonly like?: string;
}

export interface ScatterChartOptions extends ChartOptions {
  readonly groups: readonly ScatterGroup[];
  readonly x?: AxisOptions;
  readonly y?: AxisOptions;
  readonly rules?: readonly Rule[];
}

interface Look {
  readonly color: string;
  readonly shape: MarkShape;
}

const kRadius = 5;
/** How far the axes reach beyond the outermost points, as a share of the range. */
const kMargin = 0.06;

/** A scatter chart, 640 x 420 where nothing else is asked. A point that is not finite is an error that names it. */
export function scatterChart(options: ScatterChartOptions): Drawing {
  const { groups, x = {}, y = {}, width = 640, height = 420, rules = [] } = options;
  const looks = groupLooks(groups);
  const points = groups.flatMap((group) => group.points);
  if (points.length === 0) invalidArgument('groups', 'at least one point', groups);
  for (const { name, points } of groups)
    for (const [i, point] of points.entries()) checkPoint(point, `${describe(name)} point ${i}`, x, y);
  const scale = (axis: 'x' | 'y', given: AxisOptions, mostTicks: number) =>
    roomyScale([...points.map((point) => point[axis]), ...ruleValues(rules, axis)], given, axis, mostTicks);
  const xScale = scale('x', x, Math.max(2, Math.floor(width / 80)));
  const yScale = scale('y', y, Math.max(2, Math.floor(height / 55)));
  return drawFrame({
    ...options,
    ...{ width, height, x, y, xScale, yScale, overflow: true },
    legend:
      groups.length > 1
        ? groups.map(({ name, hollow = false }, i) => ({
            ...{ name, hollow, color: looks[i]!.color, mark: looks[i]!.shape },
          }))
        : [],
    draw: (plot) => ruleLines(rules, plot) + drawGroups(groups, looks, plot, rules) + ruleLabels(rules, plot),
  });
}

function groupLooks(groups: readonly ScatterGroup[]): Look[] {
  const looks = new Map<string, Look>();
  for (const { name, like } of groups) {
    if (like !== undefined) continue;
    looks.set(name, { color: seriesColor(looks.size), shape: markShapes[looks.size % markShapes.length]! });
  }
  return groups.map(
    ({ name, like }) =>
      looks.get(like ?? name) ??
      invalidArgument(`group ${describe(name)}.like`, 'the name of a group without `like`', like),
  );
}

function checkPoint({ x, y }: ScatterPoint, what: string, xAxis: AxisOptions, yAxis: AxisOptions): void {
  const check = (name: string, value: number, { kind }: AxisOptions) => {
    if (!canShow(value, kind))
      invalidArgument(`${what}.${name}`, kind === 'log' ? 'a positive number' : 'a finite number', value);
  };
  check('x', x, xAxis);
  check('y', y, yAxis);
}

/** A scale whose outermost points stand away from its ends. */
function roomyScale(values: number[], given: AxisOptions, name: string, mostTicks: number): Scale {
  const base = { ...given, name, mostTicks };
  const tight = fitScale(values, { ...base, nice: false });
  const edge = (place: number) =>
    given.kind === 'log'
      ? tight.min * (tight.max / tight.min) ** place
      : tight.min + (tight.max - tight.min) * place;
  // Neither rates nor accuracies pass zero, and accuracies do not pass 100%.
  const bounded = (value: number, bound: number, side: 'min' | 'max') =>
    values.every((v) => (side === 'min' ? v >= bound : v <= bound))
      ? Math[side === 'min' ? 'max' : 'min'](value, bound)
      : value;
  const low = given.kind === 'log' ? edge(-kMargin) : bounded(edge(-kMargin), 0, 'min');
  const high = given.format === 'percent' ? bounded(edge(1 + kMargin), 1, 'max') : edge(1 + kMargin);
  return fitScale(values, { ...base, min: given.min ?? low, max: given.max ?? high, nice: false });
}

function drawGroups(
  groups: readonly ScatterGroup[],
  looks: readonly Look[],
  plot: Plot,
  rules: readonly Rule[],
): string {
  const placed = groups.flatMap(({ name, points, hollow = false }, g) =>
    points.map((point) => {
      const text = fittedText(point.label ?? '', plot.width / 2, fontSizes.label);
      const width = text ? textWidth(text, fontSizes.label) : 0;
      return { x: plot.x(point.x), y: plot.y(point.y), text, width, name, hollow, look: looks[g]! };
    }),
  );
  const lines = groups.map(({ joined, points }) =>
    joined ? points.map((point): Point => [plot.x(point.x), plot.y(point.y)]) : [],
  );
  const joins = lines.map((line, g) =>
    line.length > 1
      ? element('path', {
          ...{ class: 'join', d: polyline(line), stroke: looks[g]!.color, 'stroke-width': 1.6 },
          ...{ 'stroke-opacity': '0.55', fill: 'none' },
        })
      : '',
  );
  const obstacles = [
    ...lines.flatMap((line) => line.slice(1).map((point, i) => [line[i]!, point] as const)),
    ...rules.flatMap((rule) => ruleSegments(rule, plot)),
  ];
  const marks = placed
    .map(({ x, y, name, hollow, look }) =>
      element(
        'g',
        { class: 'point', 'data-series': name },
        pointMark(look.shape, x, y, kRadius, look.color, hollow),
      ),
    )
    .join('');
  const labels = placeLabels(placed, plot, obstacles)
    .map(({ x, y, anchor }, i) =>
      placed[i]!.text ? textElement(placed[i]!.text, { x, y, 'text-anchor': anchor }) : '',
    )
    .join('');
  const style = { class: 'labels', 'font-size': fontSizes.label, fill: colors.ink, ...haloStyle };
  return joins.join('') + element('g', style, labels) + marks;
}
