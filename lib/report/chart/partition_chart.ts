/**
 * How a two-dimensional source is quantised, in the manner of the banana figures of Balle et al. 2021 and Dubois et
 * al. 2021: the plane in cells of one code each, the boundaries between them, samples of the source, and the code
 * vectors as dots whose area is their probability.
 */
import { invalidArgument } from '../../errors.js';
import { type ChartOptions, drawFrame, type Plot } from './frame.js';
import type { LegendEntry } from './legend.js';
import { boundaryPaths, type Corner, type IdGrid, outlinePaths, tintOfIds } from './regions.js';
import { type AxisOptions, fitScale } from './scale.js';
import { type Drawing, element, short } from './svg.js';
import { colors, regionTints } from './theme.js';

export interface CodePoint {
  readonly x: number;
  readonly y: number;
  readonly probability: number;
}

export interface PartitionChartOptions extends ChartOptions {
  /** The code of the middle of each cell, row by row; row 0 is the lowest. Any integers; at most 4,194,304 cells. */
  readonly cells: IdGrid;
  /** What the grid covers: its outer edges. */
  readonly extent: { readonly x: readonly [number, number]; readonly y: readonly [number, number] };
  /** Samples of the source, x and y in turn. Of more than 4000 as many are drawn, evenly picked. */
  readonly samples?: ArrayLike<number>;
  readonly codePoints?: readonly CodePoint[];
  /** `tints` colours the cells; `none` leaves them white, with the boundaries alone. Default `tints`. */
  readonly fill?: 'tints' | 'none';
  readonly x?: AxisOptions;
  readonly y?: AxisOptions;
}

const kMostCells = 1 << 22;
const kMostSamples = 4000;
const kLargestDot = 7;
const kSmallestDot = 1.4;
const lineColors = {
  boundary: '#56657a',
  samples: '#1f4e79',
  samplesLegend: '#8ea7bd',
  codes: '#d6004f',
} as const;

/** The chart: 520 wide where nothing else is asked, and as high as keeps one scale for both axes. */
export function partitionChart(options: PartitionChartOptions): Drawing {
  const {
    cells,
    extent,
    samples = [],
    codePoints = [],
    fill = 'tints',
    x = {},
    y = {},
    width = 520,
  } = options;
  checkPartition(options);
  const legend: LegendEntry[] = [
    { name: 'cell boundary', color: lineColors.boundary, mark: 'line' },
    ...(samples.length > 0
      ? [{ name: 'source', color: lineColors.samplesLegend, mark: 'circle' } as const]
      : []),
    ...(codePoints.length > 0
      ? [{ name: 'code vector (area: probability)', color: lineColors.codes, mark: 'circle' } as const]
      : []),
  ];
  const ticks = Math.max(2, Math.floor(width / 90));
  const scale = (axis: AxisOptions, [min, max]: readonly [number, number], name: string) =>
    fitScale([], { ...axis, min, max, name, mostTicks: ticks, nice: false });
  const tints = fill === 'tints' ? tintOfIds(cells, regionTints.length) : undefined;
  const frame = (height: number): Drawing =>
    drawFrame({
      ...options,
      ...{ width, height, x, y, legend, grid: false },
      ...{ xScale: scale(x, extent.x, 'x'), yScale: scale(y, extent.y, 'y') },
      draw: (plot) => {
        room = plot;
        return measuring ? '' : drawPartition(options, plot, tints);
      },
    });
  let room: Plot | undefined;
  let measuring = true;
  // What surrounds the plot is known once it is drawn; then the height follows from the width.
  frame(width);
  const aspect = (extent.y[1] - extent.y[0]) / (extent.x[1] - extent.x[0]);
  measuring = false;
  return frame(options.height ?? Math.round(width - room!.height + room!.width * aspect));
}

function checkPartition({ cells, extent, samples, codePoints = [] }: PartitionChartOptions): void {
  const { ids, width, height } = cells;
  for (const [name, value] of Object.entries({ width, height }))
    if (!Number.isInteger(value) || value < 1)
      invalidArgument(`cells.${name}`, 'an integer of at least 1', value);
  if (width * height > kMostCells) invalidArgument('cells', `at most ${kMostCells} cells`, width * height);
  if (ids.length !== width * height)
    invalidArgument('cells.ids', `${width * height} ids, ${height} x ${width}`, ids);
  for (const axis of ['x', 'y'] as const) {
    const [from, to] = extent[axis];
    if (!Number.isFinite(from) || !Number.isFinite(to) || from >= to)
      invalidArgument(`extent.${axis}`, 'two finite numbers, the smaller first', `${from}, ${to}`);
  }
  if (samples && samples.length % 2 !== 0)
    invalidArgument('samples', 'x and y in turn, an even number', samples);
  for (const [i, { x, y, probability }] of codePoints.entries())
    if (!Number.isFinite(x) || !Number.isFinite(y) || !(probability >= 0 && probability <= 1))
      invalidArgument(`codePoints[${i}]`, 'finite x and y and a probability', `${x}, ${y}, ${probability}`);
}

function drawPartition(
  { cells, extent, samples = [], codePoints = [] }: PartitionChartOptions,
  plot: Plot,
  tints: Map<number, number> | undefined,
): string {
  const column = (x: number) => plot.left + (plot.width * x) / cells.width;
  const row = (y: number) => plot.top + plot.height * (1 - y / cells.height);
  const d = (paths: readonly Corner[][], close: boolean) =>
    paths.map((path) => gridPath(path, column, row, close)).join('');
  const patches = tints
    ? regionTints.map((fill, tint) =>
        element('path', {
          ...{
            class: 'cells',
            d: d(
              outlinePaths(cells, (id) => tints.get(id) === tint),
              true,
            ),
            fill,
          },
          'fill-rule': 'evenodd',
        }),
      )
    : [];
  const boundary = element('path', {
    ...{ class: 'boundary', d: d(boundaryPaths(cells), false), fill: 'none', stroke: lineColors.boundary },
    ...{ 'stroke-width': 1, 'stroke-linejoin': 'round', 'stroke-linecap': 'round' },
  });
  return [...patches, drawSamples(samples, extent, plot), boundary, drawCodes(codePoints, plot)].join('');
}

/** A path along grid lines: horizontal and vertical steps alone. */
function gridPath(
  path: readonly Corner[],
  column: (x: number) => number,
  row: (y: number) => number,
  close: boolean,
): string {
  const [first, ...rest] = path;
  let d = `M${short(column(first![0]))} ${short(row(first![1]))}`;
  let last = first!;
  for (const corner of rest) {
    d += corner[1] === last[1] ? `H${short(column(corner[0]))}` : `V${short(row(corner[1]))}`;
    last = corner;
  }
  return close ? `${d}Z` : d;
}

/** Points as strokes of no length with round ends: the shortest that SVG has. */
function drawSamples(
  samples: ArrayLike<number>,
  extent: PartitionChartOptions['extent'],
  plot: Plot,
): string {
  const inside = (value: number, [from, to]: readonly [number, number]) => value >= from && value <= to;
  const total = samples.length / 2;
  const drawn = Math.min(total, kMostSamples);
  let d = '';
  for (let i = 0; i < drawn; i++) {
    const at = 2 * Math.floor((i * total) / drawn);
    const [x, y] = [samples[at]!, samples[at + 1]!];
    if (inside(x, extent.x) && inside(y, extent.y)) d += `M${short(plot.x(x))} ${short(plot.y(y))}h0`;
  }
  if (!d) return '';
  return element('path', {
    ...{ class: 'samples', d, stroke: lineColors.samples, 'stroke-opacity': '0.3', fill: 'none' },
    ...{ 'stroke-width': 2.2, 'stroke-linecap': 'round' },
  });
}

/** The most probable first, so that small dots lie on large ones. */
function drawCodes(codePoints: readonly CodePoint[], plot: Plot): string {
  const seen = codePoints.filter(({ probability }) => probability > 0);
  if (seen.length === 0) return '';
  const most = Math.max(...seen.map(({ probability }) => probability));
  const dots = [...seen]
    .sort((a, b) => b.probability - a.probability)
    .map(({ x, y, probability }) =>
      element('circle', {
        ...{ cx: plot.x(x), cy: plot.y(y) },
        r: Math.max(kSmallestDot, kLargestDot * Math.sqrt(probability / most)),
      }),
    );
  return element(
    'g',
    { class: 'codes', fill: lineColors.codes, stroke: colors.background, 'stroke-width': 0.8 },
    ...dots,
  );
}
