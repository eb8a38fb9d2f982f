/** Lines across a plot at given values: targets and bounds. */
import type { Point } from './curves.js';
import type { Plot } from './frame.js';
import { element, haloStyle, polyline, textElement } from './svg.js';
import { colors, fontSizes, textWidth } from './theme.js';

/** A line at one value of one axis. */
export interface Rule {
  readonly x?: number;
  readonly y?: number;
  readonly label?: string;
}

/** Values that the axis must show for the rules to be seen. */
export function ruleValues(rules: readonly Rule[], axis: 'x' | 'y'): number[] {
  return rules.flatMap((rule) => rule[axis] ?? []);
}

/** The lines, to be drawn below what is plotted. */
export function ruleLines(rules: readonly Rule[], plot: Plot): string {
  return rules
    .flatMap((rule) => ruleSegments(rule, plot))
    .map((segment) =>
      element('path', {
        ...{ class: 'rule', d: polyline(segment), stroke: colors.muted, 'stroke-width': 1.2 },
        ...{ 'stroke-dasharray': '4 3', fill: 'none' },
      }),
    )
    .join('');
}

/** The lines of a rule from end to end. */
export function ruleSegments({ x, y }: Rule, plot: Plot): [Point, Point][] {
  const right = plot.left + plot.width;
  const bottom = plot.top + plot.height;
  const segments: [Point, Point][] = [];
  if (y !== undefined)
    segments.push([
      [plot.left, plot.y(y)],
      [right, plot.y(y)],
    ]);
  if (x !== undefined)
    segments.push([
      [plot.x(x), plot.top],
      [plot.x(x), bottom],
    ]);
  return segments;
}

/** The labels, to be drawn above what is plotted: at the right end of a level line, at the foot of an upright one. */
export function ruleLabels(rules: readonly Rule[], plot: Plot): string {
  return rules.map((rule) => ruleLabel(rule, plot)).join('');
}

function ruleLabel({ x, y, label }: Rule, plot: Plot): string {
  if (!label) return '';
  const right = plot.left + plot.width;
  const text = { ...haloStyle, 'font-size': fontSizes.label, fill: colors.muted };
  if (y !== undefined) {
    const above = plot.y(y) - plot.top > 18;
    return textElement(label, {
      x: right - 4,
      y: plot.y(y) + (above ? -6 : 14),
      'text-anchor': 'end',
      ...text,
    });
  }
  if (x === undefined) return '';
  const fits = plot.x(x) + 5 + textWidth(label, fontSizes.label) <= right;
  const side = fits ? { x: plot.x(x) + 5 } : { x: plot.x(x) - 5, 'text-anchor': 'end' };
  return textElement(label, { ...side, y: plot.top + plot.height - 7, ...text });
}
