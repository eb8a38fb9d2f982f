/** Rows of small images: originals, their augmentations, their reconstructions. */
import { encodePng } from '../../data/png.js';
import { describe, invalidArgument } from '../../errors.js';
import { background, type ChartOptions, drawHeading } from './frame.js';
import { type Drawing, element, textElement } from './svg.js';
import { colors, fittedText, fontSizes, textWidth } from './theme.js';

export interface ImageRow {
  /** Stands at the left of the row: `reconstruction`. */
  readonly label: string;
  /** Images one after another. Bytes 0 to 255, or floats 0 to 1 (beyond them they are clamped). */
  readonly pixels: Uint8Array | Float32Array;
}

export interface ImageGridOptions extends Omit<ChartOptions, 'width' | 'height'> {
  readonly rows: readonly ImageRow[];
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** 1 grey, 3 RGB. Default 1. */
  readonly channels?: 1 | 3;
  /** Order within an image: `chw` holds plane after plane. Default `hwc`, the channels of a pixel side by side. */
  readonly layout?: 'chw' | 'hwc';
  /** Stands below each column: a class, an error. */
  readonly columnLabels?: readonly string[];
  /** Pixels of the picture a pixel of an image. Default: so that an image is about 56 wide. */
  readonly zoom?: number;
}

/** Pixels stay squares: a property for browsers, which others skip with the whole rule, and an attribute for those. */
const squarePixels = '@supports (image-rendering:pixelated){.pixels{image-rendering:pixelated}}';
const kGap = 4;
const kSide = 18;

/** A grid with a row of images for each of `rows`; as large as the images need. */
export function imageGrid(options: ImageGridOptions): Drawing {
  const { rows, imageWidth, imageHeight, columnLabels = [] } = options;
  const columns = checkedColumns(options);
  const zoom = options.zoom ?? Math.max(1, Math.round(56 / imageWidth));
  const [cellWidth, cellHeight] = [imageWidth * zoom, imageHeight * zoom];
  const labelRoom = Math.max(...rows.map(({ label }) => textWidth(label, fontSizes.axis)));
  const left = kSide + (labelRoom > 0 ? labelRoom + 10 : 0);
  const width = Math.ceil(left + columns * (cellWidth + kGap) - kGap + kSide);
  const heading = drawHeading(options, [], width);
  const parts = [background(width, 0), element('style', {}, squarePixels), heading.content];
  for (const [r, row] of rows.entries()) {
    const top = heading.height + r * (cellHeight + kGap);
    const style = { 'text-anchor': 'end', 'font-size': fontSizes.axis, fill: colors.ink };
    parts.push(textElement(row.label, { x: left - 10, y: top + cellHeight / 2 + 4, ...style }));
    for (let c = 0; c < columns; c++)
      parts.push(cell(row, c, options, left + c * (cellWidth + kGap), top, zoom));
  }
  const bottom = heading.height + rows.length * (cellHeight + kGap) - kGap;
  for (const [c, label] of columnLabels.entries()) {
    const x = left + c * (cellWidth + kGap) + cellWidth / 2;
    const text = fittedText(label, cellWidth + kGap, fontSizes.tick);
    parts.push(
      textElement(text, {
        x,
        y: bottom + 16,
        'text-anchor': 'middle',
        'font-size': fontSizes.tick,
        fill: colors.muted,
      }),
    );
  }
  const height = Math.ceil(bottom + (columnLabels.length > 0 ? 20 : 0) + 16);
  parts[0] = background(width, height);
  return { width, height, content: parts.join(''), title: options.title ?? '' };
}

function checkedColumns({
  rows,
  imageWidth,
  imageHeight,
  channels = 1,
  columnLabels,
}: ImageGridOptions): number {
  if (rows.length === 0) invalidArgument('rows', 'at least one row', rows);
  for (const [name, value] of Object.entries({ imageWidth, imageHeight }))
    if (!Number.isInteger(value) || value < 1) invalidArgument(name, 'an integer of at least 1', value);
  const size = imageWidth * imageHeight * channels;
  const columns = rows[0]!.pixels.length / size;
  for (const { label, pixels } of rows) {
    const what = `row ${describe(label)}.pixels`;
    if (pixels.length === 0 || pixels.length % size !== 0)
      invalidArgument(what, `whole images of ${imageHeight} x ${imageWidth} x ${channels}`, pixels);
    if (pixels.length !== columns * size)
      invalidArgument(what, `${columns} images, as the first row has`, pixels);
    if (pixels instanceof Float32Array && pixels.some((value) => Number.isNaN(value)))
      invalidArgument(what, 'numbers', Number.NaN);
  }
  if (columnLabels && columnLabels.length !== columns)
    invalidArgument('columnLabels', `${columns} texts, one an image`, columnLabels);
  return columns;
}

function cell(
  row: ImageRow,
  column: number,
  options: ImageGridOptions,
  x: number,
  y: number,
  zoom: number,
): string {
  const { imageWidth: width, imageHeight: height, channels = 1, layout = 'hwc' } = options;
  const size = width * height * channels;
  const bytes = imageBytes(row.pixels.subarray(column * size, (column + 1) * size), channels, layout);
  const png = encodePng({ pixels: bytes, width, height, channels });
  return element('image', {
    ...{ x, y, width: width * zoom, height: height * zoom, preserveAspectRatio: 'none' },
    ...{ class: 'pixels', 'image-rendering': 'optimizeSpeed' },
    href: `data:image/png;base64,${png.toString('base64')}`,
  });
}

/** One image as bytes, the channels of a pixel side by side. */
function imageBytes(pixels: Uint8Array | Float32Array, channels: number, layout: 'chw' | 'hwc'): Uint8Array {
  const out = new Uint8Array(pixels.length);
  const plane = pixels.length / channels;
  const scale = pixels instanceof Float32Array ? 255 : 1;
  for (let i = 0; i < pixels.length; i++) {
    const from = layout === 'hwc' ? i : (i % channels) * plane + Math.floor(i / channels);
    out[i] = Math.round(Math.min(255, Math.max(0, scale * pixels[from]!)));
  }
  return out;
}
