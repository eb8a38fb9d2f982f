/** PNG files of 8-bit images (W3C PNG, third edition), written with Node's own deflate. */
import { crc32, deflateSync } from 'node:zlib';
import { invalidArgument } from '../errors.js';

/** Pixels row by row, the channels of a pixel side by side. */
export interface PixelImage {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. */
  readonly channels: number;
}

/** PNG's colour types for 1 to 4 channels. */
const colorTypes: readonly number[] = [0, 4, 2, 6];

/** Encodes an image with the usual choice of a filter a line (least absolute sum). */
export function encodePng(image: PixelImage): Buffer {
  checkImage(image);
  const filtered = predictors.map((_, filter) => filterLines(image, filter));
  return pngFile(image, deflateSync(adaptiveLines(image, filtered)));
}

/** The smallest PNG of an image: each filter for all lines, and the usual choice a line; deflate's best level. */
export function smallestPng(image: PixelImage): Buffer {
  checkImage(image);
  const filtered = predictors.map((_, filter) => filterLines(image, filter));
  let data: Buffer | undefined;
  for (const lines of [...filtered, adaptiveLines(image, filtered)]) {
    const packed = deflateSync(lines, { level: 9, memLevel: 9 });
    if (!data || packed.length < data.length) data = packed;
  }
  return pngFile(image, data!);
}

function checkImage({ pixels, width, height, channels }: PixelImage): void {
  for (const [name, value] of Object.entries({ width, height }))
    if (!Number.isInteger(value) || value < 1 || value > 0x7fffffff)
      invalidArgument(name, 'an integer of at least 1', value);
  if (colorTypes[channels - 1] === undefined) invalidArgument('channels', '1, 2, 3 or 4', channels);
  const length = width * height * channels;
  if (!(pixels instanceof Uint8Array) || pixels.length !== length)
    invalidArgument('pixels', `Uint8Array(${length}), ${height} x ${width} x ${channels}`, pixels);
}

/** PNG's filters 0 to 4: what is predicted from the left, upper and upper left pixel. */
const predictors: readonly ((left: number, up: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_, up) => up,
  (left, up) => (left + up) >> 1,
  paeth,
];

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** Every line with its filter's number before it. */
function filterLines({ pixels, width, height, channels }: PixelImage, filter: number): Buffer {
  const predict = predictors[filter]!;
  const stride = width * channels;
  const lines = Buffer.alloc(height * (stride + 1));
  for (let y = 0; y < height; y++) {
    const from = y * stride;
    const to = y * (stride + 1) + 1;
    lines[to - 1] = filter;
    for (let x = 0; x < stride; x++) {
      const left = x >= channels ? pixels[from + x - channels]! : 0;
      const up = y > 0 ? pixels[from - stride + x]! : 0;
      const corner = x >= channels && y > 0 ? pixels[from - stride + x - channels]! : 0;
      lines[to + x] = pixels[from + x]! - predict(left, up, corner);
    }
  }
  return lines;
}

/** For each line the filter whose output has the least absolute sum. */
function adaptiveLines({ width, height, channels }: PixelImage, filtered: readonly Buffer[]): Buffer {
  const length = width * channels + 1;
  const adaptive = Buffer.alloc(height * length);
  for (let at = 0; at < adaptive.length; at += length) {
    let best = filtered[0]!.subarray(at, at + length);
    let bestSum = absoluteSum(best);
    for (const lines of filtered.slice(1)) {
      const line = lines.subarray(at, at + length);
      const sum = absoluteSum(line);
      if (sum < bestSum) [best, bestSum] = [line, sum];
    }
    best.copy(adaptive, at);
  }
  return adaptive;
}

/** Sum of the bytes of a filtered line taken as signed numbers: the usual measure of a filter. */
function absoluteSum(line: Uint8Array): number {
  let sum = 0;
  for (let i = 1; i < line.length; i++) sum += Math.min(line[i]!, 256 - line[i]!);
  return sum;
}

function pngFile({ width, height, channels }: PixelImage, data: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, colorTypes[channels - 1]!, 0, 0, 0], 8); // 8 bits, deflate, filters a line, not interlaced
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', data),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
