import { describe, expect, it, vi } from 'vitest';
import { lineChart, svgDocument, svgToPng } from '../../lib/report/index.js';

const drawing = lineChart({ title: 'Loss', series: [{ name: 'a', x: [0, 1, 2], y: [3, 1, 2] }] });

/** The renderer is an optional package. */
const installed = await import('@resvg/resvg-js' as string).then(
  () => true,
  () => false,
);

describe.runIf(installed)('svgToPng', () => {
  it.each([1, 2])('draws at zoom %i', async (zoom) => {
    const png = await svgToPng(drawing, { zoom });
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([640 * zoom, 400 * zoom]);
    expect(png.length).toBeGreaterThan(3000); // a blank picture is smaller
  });

  it('takes the text of a document, the same picture', async () => {
    expect((await svgToPng(svgDocument(drawing))).equals(await svgToPng(drawing))).toBe(true);
  });

  it('refuses what is no SVG, and other zooms', async () => {
    await expect(svgToPng('nonsense')).rejects.toMatchObject({ code: 'BINCE_INVALID_VALUE' });
    await expect(svgToPng(drawing, { zoom: 0 })).rejects.toThrow(/zoom: expected a number above 0/);
  });
});

describe('svgToPng without its package', () => {
  it('says what to install', async () => {
    vi.resetModules();
    vi.doMock('@resvg/resvg-js', () => {
      throw new Error('no such package');
    });
    const report = await import('../../lib/report/index.js');
    await expect(report.svgToPng(drawing)).rejects.toMatchObject({
      code: 'BINCE_UNSUPPORTED',
      hint: expect.stringContaining('npm i @resvg/resvg-js'),
    });
    vi.doUnmock('@resvg/resvg-js');
  });
});
