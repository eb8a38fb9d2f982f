import { inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { nearestRows, sparseRows } from '../../lib/cli/demo/sparse_rows.js';
import { smallestPng } from '../../lib/data/png.js';
import { normalRows } from '../data/files.js';

/** Pixels of a grey 8-bit PNG with one IDAT chunk, by the rules of the PNG specification. */
function pngPixels(png: Buffer, width: number, height: number): Uint8Array {
  expect(png.subarray(0, 8).toString('latin1')).toBe('\u0089PNG\r\n\u001a\n');
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([width, height]);
  const at = png.indexOf('IDAT');
  const lines = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)));
  const pixels = new Uint8Array(width * height);
  const pixel = (x: number, y: number) => (x < 0 || y < 0 ? 0 : pixels[y * width + x]!);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (width + 1)]!;
    for (let x = 0; x < width; x++) {
      const [a, b, c] = [pixel(x - 1, y), pixel(x, y - 1), pixel(x - 1, y - 1)];
      const p = a + b - c;
      const byDistance = [a, b, c].sort((u, v) => Math.abs(p - u) - Math.abs(p - v))[0]!;
      const predicted = [0, a, b, (a + b) >> 1, byDistance][filter]!;
      pixels[y * width + x] = lines[y * (width + 1) + 1 + x]! + predicted;
    }
  }
  return pixels;
}

describe('smallestPng', () => {
  it.each([1, 2, 3])('decodes to the image, %i', (seed) => {
    const image = Uint8Array.from(
      normalRows(28 * 28, seed),
      (x, i) => 100 + 20 * x + 3 * (i % 28) + ((i / 28) | 0),
    );
    expect(pngPixels(smallestPng(image, 28, 28), 28, 28)).toEqual(image);
  });

  it('is small for an even image', () => {
    expect(smallestPng(new Uint8Array(784), 28, 28).length).toBeLessThan(80);
  });
});

describe('nearestRows', () => {
  it.each([1, 7, 8, 9, 17])('finds what a plain search finds, %i queries', (queries) => {
    const channels = 13;
    const rows = normalRows(50 * channels, 1).map((x) => (Math.abs(x) < 0.8 ? 0 : x));
    const asked = normalRows(queries * channels, 2);
    const expected = Array.from({ length: queries }, (_, q) => {
      const distances = Array.from({ length: 50 }, (_, r) => {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += (rows[r * channels + c]! - asked[q * channels + c]!) ** 2;
        return sum;
      });
      return distances.indexOf(Math.min(...distances));
    });
    expect([...nearestRows(sparseRows(rows, channels), asked)]).toEqual(expected);
  });
});
