/** PNG files of grey 8-bit images, as small as the format's filters and deflate make them. */
import { crc32, deflateSync } from 'node:zlib';

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

/** The smallest PNG of an image: each filter for all lines, and the usual choice a line by least absolute sum. */
export function smallestPng(image: Uint8Array, width: number, height: number): Buffer {
  const filtered = predictors.map((_, filter) => filterLines(image, width, height, filter));
  const adaptive = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) {
    const line = (lines: Buffer) => lines.subarray(y * (width + 1), (y + 1) * (width + 1));
    let best = line(filtered[0]!);
    for (const lines of filtered.slice(1))
      if (absoluteSum(line(lines)) < absoluteSum(best)) best = line(lines);
    best.copy(adaptive, y * (width + 1));
  }
  let data: Buffer | undefined;
  for (const lines of [...filtered, adaptive]) {
    const packed = deflateSync(lines, { level: 9, memLevel: 9 });
    if (!data || packed.length < data.length) data = packed;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8); // 8 bits, grey, deflate, adaptive filtering, not interlaced
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', data!),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Every line with its filter's number before it. */
function filterLines(image: Uint8Array, width: number, height: number, filter: number): Buffer {
  const predict = predictors[filter]!;
  const lines = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) {
    lines[y * (width + 1)] = filter;
    for (let x = 0; x < width; x++) {
      const left = x > 0 ? image[y * width + x - 1]! : 0;
      const up = y > 0 ? image[(y - 1) * width + x]! : 0;
      const corner = x > 0 && y > 0 ? image[(y - 1) * width + x - 1]! : 0;
      lines[y * (width + 1) + 1 + x] = image[y * width + x]! - predict(left, up, corner);
    }
  }
  return lines;
}

/** Sum of the bytes of a filtered line taken as signed numbers: the usual measure of a filter. */
function absoluteSum(line: Uint8Array): number {
  let sum = 0;
  for (let i = 1; i < line.length; i++) sum += Math.min(line[i]!, 256 - line[i]!);
  return sum;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
