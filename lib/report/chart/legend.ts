/** The legend: marks and names in rows, above the plot. */
import { element, polyline, textElement } from './svg.js';
import { colors, fittedText, fontSizes, textWidth } from './theme.js';

export interface LegendEntry {
  readonly name: string;
  readonly color: string;
  readonly mark: 'line' | MarkShape | 'patch';
  readonly hollow?: boolean;
  readonly dash?: string | undefined;
}

/** Shapes of points, so that groups differ by more than their colour. */
export const markShapes = ['circle', 'square', 'diamond', 'triangle'] as const;
export type MarkShape = (typeof markShapes)[number];

const kRow = 18;
const kMark = 18;
const kGap = 16;

export interface Legend {
  readonly content: string;
  readonly height: number;
}

/** Rows of at most `width`; the first begins at (0, 0). */
export function drawLegend(entries: readonly LegendEntry[], width: number): Legend {
  const parts: string[] = [];
  let [x, y] = [0, 0];
  for (const entry of entries) {
    const name = fittedText(entry.name, width - kMark - 6, fontSizes.label);
    const taken = kMark + 6 + textWidth(name, fontSizes.label);
    if (x > 0 && x + taken > width) [x, y] = [0, y + kRow];
    parts.push(legendMark(entry, x, y + kRow / 2));
    parts.push(
      textElement(name, {
        x: x + kMark + 6,
        y: y + kRow / 2 + 4,
        'font-size': fontSizes.label,
        fill: colors.ink,
      }),
    );
    x += taken + kGap;
  }
  return { content: parts.join(''), height: entries.length === 0 ? 0 : y + kRow };
}

function legendMark({ mark, color, hollow, dash }: LegendEntry, x: number, y: number): string {
  if (mark === 'line')
    return element('path', {
      ...{
        d: polyline([
          [x, y],
          [x + kMark, y],
        ]),
        stroke: color,
        'stroke-width': 2.5,
        fill: 'none',
      },
      'stroke-dasharray': dash,
    });
  if (mark === 'patch')
    return element('rect', { x: x + 2, y: y - 6, width: 14, height: 12, rx: 2, fill: color });
  return pointMark(mark, x + kMark / 2, y, 4.5, color, hollow);
}

/** A point: filled with a white rim, so that points that touch stay apart, or hollow. */
export function pointMark(
  shape: MarkShape,
  x: number,
  y: number,
  radius: number,
  color: string,
  hollow = false,
): string {
  const style = hollow
    ? { fill: colors.background, stroke: color, 'stroke-width': 1.8 }
    : { fill: color, stroke: colors.background, 'stroke-width': 1 };
  if (shape === 'circle') return element('circle', { cx: x, cy: y, r: radius, ...style });
  const r = radius * 1.2;
  const points = {
    square: [
      [-0.75, -0.75],
      [0.75, -0.75],
      [0.75, 0.75],
      [-0.75, 0.75],
    ],
    diamond: [
      [0, -1.05],
      [1.05, 0],
      [0, 1.05],
      [-1.05, 0],
    ],
    triangle: [
      [0, -1.05],
      [1, 0.75],
      [-1, 0.75],
    ],
  }[shape].map(([dx, dy]) => [x + r * dx!, y + r * dy!] as const);
  return element('path', { d: `${polyline(points)}Z`, ...style });
}
