/** Charts as PNG pictures, drawn by resvg, an optional package. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { BinceError, invalidArgument } from '../errors.js';
import { svgDocument } from './chart/document.js';
import type { Drawing } from './chart/svg.js';

/** What is used of @resvg/resvg-js. */
interface ResvgModule {
  readonly Resvg: new (
    svg: string,
    options: object,
  ) => { render(): { asPng(): Buffer; readonly width: number; readonly height: number } };
}

export interface PngOptions {
  /** Pixels of the picture a pixel of the drawing: 2 for screens and print. Default 2. */
  readonly zoom?: number;
}

/**
 * Renders a drawing, or the text of an SVG file, to a PNG. Needs the package @resvg/resvg-js; texts are set in DejaVu
 * Sans where the package dejavu-fonts-ttf is installed, else in a font of the system. Throws BINCE_UNSUPPORTED
 * when the renderer is missing.
 */
export async function svgToPng(drawing: Drawing | string, { zoom = 2 }: PngOptions = {}): Promise<Buffer> {
  if (!(zoom > 0 && zoom <= 16)) invalidArgument('zoom', 'a number above 0, at most 16', zoom);
  const { Resvg } = await loadResvg();
  const svg = typeof drawing === 'string' ? drawing : svgDocument(drawing);
  try {
    return new Resvg(svg, { fitTo: { mode: 'zoom', value: zoom }, font: fontOptions() }).render().asPng();
  } catch (cause) {
    throw new BinceError('BINCE_INVALID_VALUE', `the SVG cannot be drawn: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function loadResvg(): Promise<ResvgModule> {
  // The name is no literal: neither the compiler nor a bundler looks for a package that may be absent.
  const name: string = '@resvg/resvg-js';
  try {
    return (await import(name)) as ResvgModule;
  } catch (cause) {
    throw new BinceError('BINCE_UNSUPPORTED', 'PNG pictures need the package @resvg/resvg-js', {
      hint: 'npm i @resvg/resvg-js, or write SVG',
      cause,
    });
  }
}

/** DejaVu Sans alone, for the same picture on every machine; the system's fonts where it is missing. */
function fontOptions(): object {
  try {
    const folder = join(
      dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')),
      'ttf',
    );
    const fontFiles = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((name) => join(folder, name));
    const family = 'DejaVu Sans';
    return { loadSystemFonts: false, fontFiles, defaultFontFamily: family, sansSerifFamily: family };
  } catch {
    return { loadSystemFonts: true };
  }
}
