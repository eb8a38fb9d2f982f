/** Puts the labels of points where they cover neither each other nor the points. */
import type { Point } from './curves.js';
import type { Box } from './svg.js';

export interface LabelledPlace {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export interface LabelPlace {
  readonly x: number;
  readonly y: number;
  readonly anchor: 'start' | 'middle' | 'end';
}

interface Candidate extends LabelPlace {
  readonly box: Box;
}

const kHeight = 12;
const kDistance = 8;

/**
 * A place for each point's label, inside `area`, off the other points and labels and off the lines where it can;
 * points without a label (width 0) are only kept clear. Earlier ones choose first.
 */
export function placeLabels(
  points: readonly LabelledPlace[],
  area: Box,
  lines: readonly (readonly [Point, Point])[] = [],
): LabelPlace[] {
  const marks = points.map(({ x, y }): Box => ({ left: x - 7, top: y - 7, width: 14, height: 14 }));
  const beads = lines.flatMap(lineBeads);
  const labels: Box[] = [];
  return points.map((point, i) => {
    const around = candidates(point);
    if (point.width === 0) return around[0]!;
    const costs = around.map(({ box }, place) => {
      const covered = (boxes: readonly Box[]) => boxes.reduce((sum, other) => sum + overlap(box, other), 0);
      const outside = box.width * box.height - overlap(box, area);
      const onMarks = covered(marks.filter((_, j) => j !== i));
      // A little dearer the further down the list, so that the first free place wins.
      return 10 * outside + 3 * onMarks + 2 * covered(labels) + covered(beads) + place * 0.01;
    });
    const best = around[costs.indexOf(Math.min(...costs))]!;
    labels.push(best.box);
    return best;
  });
}

/** A line as small boxes along it. */
function lineBeads([[x0, y0], [x1, y1]]: readonly [Point, Point]): Box[] {
  const size = 3;
  const beads = Math.max(1, Math.min(1000, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / size)));
  return Array.from({ length: beads + 1 }, (_, i) => ({
    ...{ left: x0 + ((x1 - x0) * i) / beads - size / 2, top: y0 + ((y1 - y0) * i) / beads - size / 2 },
    ...{ width: size, height: size },
  }));
}

/** Places around a point, the easiest to read first. */
function candidates({ x, y, width }: LabelledPlace): Candidate[] {
  const near = kDistance * 0.75;
  const offsets: [number, number, LabelPlace['anchor']][] = [
    [kDistance, 4, 'start'],
    [-kDistance, 4, 'end'],
    [0, -kDistance, 'middle'],
    [0, kDistance + kHeight - 2, 'middle'],
    [near, -near, 'start'],
    [-near, -near, 'end'],
    [near, near + kHeight - 2, 'start'],
    [-near, near + kHeight - 2, 'end'],
  ];
  return offsets.map(([dx, dy, anchor]) => {
    const shift = { start: 0, middle: width / 2, end: width }[anchor];
    const box = { left: x + dx - shift, top: y + dy - kHeight + 2, width, height: kHeight };
    return { x: x + dx, y: y + dy, anchor, box };
  });
}

/** The area that two boxes share. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return Math.max(0, width) * Math.max(0, height);
}
