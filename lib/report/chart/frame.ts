/** What surrounds every plot: background, title, legend, axes with ticks and titles. */
import { drawLegend, type LegendEntry } from './legend.js';
import type { AxisOptions, Scale } from './scale.js';
import { type Box, clipped, type Drawing, element, moved, polyline, short, textElement } from './svg.js';
import { colors, fittedText, fontSizes, textWidth } from './theme.js';

export interface ChartOptions {
  readonly title?: string;
  /** A second, quieter line below the title. */
  readonly subtitle?: string;
  /** Size in pixels. */
  readonly width?: number;
  readonly height?: number;
}

export interface FrameOptions extends ChartOptions {
  readonly width: number;
  readonly height: number;
  readonly legend: readonly LegendEntry[];
  readonly x: AxisOptions;
  readonly y: AxisOptions;
  readonly xScale: Scale;
  readonly yScale: Scale;
  /** What the y axis has instead of ticks: bars have names. */
  readonly yNames?: readonly string[];
  /** Draws what is plotted; it is clipped to the plot where `overflow` is not set. */
  readonly draw: (plot: Plot) => string;
  readonly overflow?: boolean;
  /** Default true. */
  readonly grid?: boolean;
}

/** The plotted rectangle and the places of values in it. */
export interface Plot extends Box {
  x(value: number): number;
  y(value: number): number;
}

const kMargin = { side: 18, top: 16, bottom: 14 } as const;
const kTickGap = 7;
/** How far marks and strokes on the edge of the plot may reach over it. */
const kStrokeRoom = 3;

/** The heading: title, subtitle and legend. */
export function drawHeading(
  { title, subtitle }: ChartOptions,
  legend: readonly LegendEntry[],
  width: number,
  titleSize: number = fontSizes.title,
): { content: string; height: number } {
  const room = width - 2 * kMargin.side;
  const parts: string[] = [];
  let y: number = kMargin.top;
  if (title) {
    y += titleSize - 3;
    const text = fittedText(title, room, titleSize, true);
    parts.push(
      textElement(text, {
        x: kMargin.side,
        y,
        'font-size': titleSize,
        'font-weight': 'bold',
        fill: colors.title,
      }),
    );
    y += 6;
  }
  if (subtitle) {
    y += title ? 12 : 10;
    const text = fittedText(subtitle, room, fontSizes.subtitle);
    parts.push(
      textElement(text, { x: kMargin.side, y, 'font-size': fontSizes.subtitle, fill: colors.muted }),
    );
    y += 5;
  }
  if (legend.length > 0) {
    y += title || subtitle ? 6 : 0;
    const drawn = drawLegend(legend, room);
    parts.push(moved(kMargin.side, y, drawn.content));
    y += drawn.height;
  }
  return { content: parts.join(''), height: y + (parts.length > 0 ? 13 : 4) };
}

/** A whole chart: the frame with what `draw` makes in it. */
export function drawFrame(options: FrameOptions): Drawing {
  const { width, height, x, y, xScale, yScale, yNames } = options;
  const heading = drawHeading(options, options.legend, width);
  const names = yNames ?? yScale.ticks.map(({ label }) => label);
  const widest = Math.max(0, ...names.map((name) => textWidth(name, fontSizes.tick)));
  const nameRoom = Math.min(widest, width * 0.4);
  const left = kMargin.side + (axisTitle(y) ? 20 : 0) + nameRoom + kTickGap;
  // The last x label is centred under its tick and must not be cut off.
  const lastLabel = textWidth(xScale.ticks.at(-1)?.label ?? '', fontSizes.tick) / 2;
  const right = Math.max(kMargin.side, lastLabel + 4);
  const bottom = kMargin.bottom + (axisTitle(x) ? 20 : 0) + fontSizes.tick + kTickGap;
  const box: Box = {
    left,
    top: heading.height,
    width: Math.max(10, width - left - right),
    height: Math.max(10, height - heading.height - bottom),
  };
  const plot: Plot = {
    ...box,
    x: (value) => box.left + box.width * xScale.place(value),
    y: (value) => box.top + box.height * (1 - yScale.place(value)),
  };
  const drawn = options.draw(plot);
  const content = [
    background(width, height),
    heading.content,
    options.grid === false ? '' : grid(plot, xScale, yNames ? undefined : yScale),
    options.overflow ? drawn : clipped(outset(box, kStrokeRoom), drawn),
    yNames ? '' : yAxis(plot, yScale),
    xAxis(plot, xScale),
    axisTitles(plot, options),
  ];
  return { width, height, content: content.join(''), title: options.title ?? '' };
}

function outset({ left, top, width, height }: Box, by: number): Box {
  return { left: left - by, top: top - by, width: width + 2 * by, height: height + 2 * by };
}

export function background(width: number, height: number): string {
  return element('rect', { width, height, fill: colors.background });
}

/** Lines across the reading direction of the values: level ones, or upright ones where bars lie. */
function grid(plot: Plot, xScale: Scale, yScale: Scale | undefined): string {
  const level = (value: number) => `M${short(plot.left)} ${short(plot.y(value))}h${short(plot.width)}`;
  const upright = (value: number) => `M${short(plot.x(value))} ${short(plot.top)}v${short(plot.height)}`;
  const [scale, line] = yScale ? [yScale, level] : [xScale, upright];
  const path = (kind: string, values: readonly number[], stroke: string) =>
    values.length > 0
      ? element('path', { class: kind, d: values.map(line).join(''), stroke, fill: 'none' })
      : '';
  return (
    path('minor-grid', scale.minor, colors.minorGrid) +
    path(
      'grid',
      scale.ticks.map(({ value }) => value),
      colors.grid,
    )
  );
}

function xAxis(plot: Plot, scale: Scale): string {
  const base = plot.top + plot.height;
  const mark = (value: number, length: number) => `M${short(plot.x(value))} ${short(base)}v${length}`;
  const minor = scale.minor.map((value) => mark(value, 2.5)).join('');
  const marks = minor + scale.ticks.map(({ value }) => mark(value, 4.5)).join('');
  const line = polyline([
    [plot.left, base],
    [plot.left + plot.width, base],
  ]);
  const labels = spaced(scale, plot).map(({ value, label }) =>
    textElement(label, { x: plot.x(value), y: base + kTickGap + fontSizes.tick }),
  );
  return (
    element('path', { class: 'axis', d: line + marks, stroke: colors.axis, fill: 'none' }) +
    element(
      'g',
      { class: 'x-ticks', 'font-size': fontSizes.tick, fill: colors.muted, 'text-anchor': 'middle' },
      ...labels,
    )
  );
}

/** The x ticks whose labels do not touch the label before them. */
function spaced(scale: Scale, plot: Plot): Scale['ticks'] {
  let end = Number.NEGATIVE_INFINITY;
  return scale.ticks.filter(({ value, label }) => {
    const half = textWidth(label, fontSizes.tick) / 2;
    if (plot.x(value) - half < end + 4) return false;
    end = plot.x(value) + half;
    return true;
  });
}

function yAxis(plot: Plot, scale: Scale): string {
  const labels = scale.ticks.map(({ value, label }) =>
    textElement(label, { x: plot.left - kTickGap, y: plot.y(value) + 4 }),
  );
  return element(
    'g',
    { class: 'y-ticks', 'font-size': fontSizes.tick, fill: colors.muted, 'text-anchor': 'end' },
    ...labels,
  );
}

function axisTitle({ title, unit }: AxisOptions): string {
  return title && unit ? `${title} (${unit})` : (title ?? unit ?? '');
}

function axisTitles(plot: Plot, { x, y, height }: FrameOptions): string {
  const style = { 'font-size': fontSizes.axis, fill: colors.ink, 'text-anchor': 'middle' };
  const below = axisTitle(x);
  const beside = axisTitle(y);
  const middle = plot.top + plot.height / 2;
  const [xText, yText] = [
    fittedText(below, plot.left + plot.width, fontSizes.axis),
    fittedText(beside, height, fontSizes.axis),
  ];
  return (
    (below
      ? textElement(xText, { x: plot.left + plot.width / 2, y: height - kMargin.bottom, ...style })
      : '') +
    (beside
      ? textElement(yText, {
          transform: `translate(${kMargin.side + 8} ${short(middle)}) rotate(-90)`,
          ...style,
        })
      : '')
  );
}
