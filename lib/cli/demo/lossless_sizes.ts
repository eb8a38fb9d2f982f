/** What lossless formats make of the same images: PNG and gzip, for comparison. */
import { gzipSync } from 'node:zlib';
import { smallestPng } from '../../data/png.js';
import { takeTurns } from '../../fit/turns.js';

/** Total bytes of count images of `width` x `height` grey pixels in each format. */
export interface LosslessSizes {
  /** One PNG file an image, the best filtering of six for each. */
  readonly png: number;
  /** One gzip stream an image. */
  readonly gzipEach: number;
  /** One gzip stream for all images. */
  readonly gzipAll: number;
}

const gzipOptions = { level: 9 } as const;

export async function losslessSizes(
  pixels: Uint8Array,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<LosslessSizes> {
  const turn = takeTurns(signal);
  const size = width * height;
  let png = 0;
  let gzipEach = 0;
  for (let at = 0; at < pixels.length; at += size) {
    const image = pixels.subarray(at, at + size);
    png += smallestPng({ pixels: image, width, height, channels: 1 }).length;
    gzipEach += gzipSync(image, gzipOptions).length;
    await turn();
  }
  return { png, gzipEach, gzipAll: gzipSync(pixels, gzipOptions).length };
}
