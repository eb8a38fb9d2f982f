import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePng, type PixelImage, smallestPng } from '../../lib/data/index.js';
import { normalRows } from './files.js';

/** Pixels of an 8-bit PNG with one IDAT chunk, by the rules of the PNG specification. */
function pngPixels(png: Buffer, { width, height, channels }: Omit<PixelImage, 'pixels'>): Uint8Array {
  expect(png.subarray(0, 8).toString('latin1')).toBe('\u0089PNG\r\n\u001a\n');
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([width, height]);
  expect([...png.subarray(24, 29)]).toEqual([8, [0, 4, 2, 6][channels - 1], 0, 0, 0]);
  const at = png.indexOf('IDAT');
  const lines = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)));
  const stride = width * channels;
  expect(lines.length).toBe(height * (stride + 1));
  const pixels = new Uint8Array(stride * height);
  const value = (x: number, y: number) => (x < 0 || y < 0 ? 0 : pixels[y * stride + x]!);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const [a, b, c] = [value(x - channels, y), value(x, y - 1), value(x - channels, y - 1)];
      const p = a + b - c;
      const byDistance = [a, b, c].sort((u, v) => Math.abs(p - u) - Math.abs(p - v))[0]!;
      const predicted = [0, a, b, (a + b) >> 1, byDistance][filter]!;
      pixels[y * stride + x] = lines[y * (stride + 1) + 1 + x]! + predicted;
    }
  }
  return pixels;
}

const side = fc.integer({ min: 1, max: 9 });
const images = fc
  .tuple(side, side, fc.integer({ min: 1, max: 4 }))
  .chain(([width, height, channels]) =>
    fc
      .uint8Array({ minLength: width * height * channels, maxLength: width * height * channels })
      .map((pixels): PixelImage => ({ pixels, width, height, channels })),
  );

describe.each([
  ['encodePng', encodePng],
  ['smallestPng', smallestPng],
])('%s', (_, encode) => {
  it('decodes to any image', () => {
    fc.assert(
      fc.property(images, (image) => {
        expect(pngPixels(encode(image), image)).toEqual(image.pixels);
      }),
    );
  });

  it.each([1, 3])('decodes to a smooth image of %i channels', (channels) => {
    const pixels = Uint8Array.from(
      normalRows(28 * 28 * channels, channels),
      (x, i) => 100 + 20 * x + (i % 28),
    );
    const image = { pixels, width: 28, height: 28, channels };
    expect(pngPixels(encode(image), image)).toEqual(pixels);
  });

  it('is small for an even image', () => {
    expect(encode({ pixels: new Uint8Array(784), width: 28, height: 28, channels: 1 }).length).toBeLessThan(
      80,
    );
  });

  it.each([
    [{ width: 0 }, /width: expected an integer of at least 1/],
    [{ height: 1.5 }, /height: expected an integer/],
    [{ channels: 5 }, /channels: expected 1, 2, 3 or 4/],
    [{ pixels: new Uint8Array(5) }, /pixels: expected Uint8Array\(4\), 2 x 2 x 1, received Uint8Array\(5\)/],
  ])('refuses %j', (change, message) => {
    const image = { pixels: new Uint8Array(4), width: 2, height: 2, channels: 1, ...change };
    expect(() => encode(image)).toThrow(message);
  });
});

describe('smallestPng', () => {
  it('is smaller than the usual one for a ramp with noise', () => {
    const noise = normalRows(64 * 64, 5);
    const pixels = Uint8Array.from(noise, (x, i) => 2 * (i % 64) + x);
    const image = { pixels, width: 64, height: 64, channels: 1 };
    expect(smallestPng(image).length).toBeLessThanOrEqual(encodePng(image).length);
  });
});
