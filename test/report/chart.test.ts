import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  arrange,
  barChart,
  type Drawing,
  imageGrid,
  lineChart,
  scatterChart,
  svgDocument,
} from '../../lib/report/index.js';
import { find, parseSvg, type SvgNode, segments, texts, withClass } from './svg_reader.js';

const read = (drawing: Drawing): SvgNode => parseSvg(svgDocument(drawing));
const ticks = (root: SvgNode, axis: 'x' | 'y'): string[] => texts(withClass(root, `${axis}-ticks`)[0]!);
const lines = (root: SvgNode, name: string): SvgNode[] =>
  find(root, (node) => node.name === 'path' && node.attributes['data-series'] === name);
const steps = Array.from({ length: 101 }, (_, i) => i * 80);

describe('lineChart', () => {
  const curve = { name: 'train', x: steps, y: steps.map((step) => 10 - step / 1000) };

  it('has a background, a title, axes with units and ticks that grow evenly', () => {
    const root = read(
      lineChart({ title: 'Rate', series: [curve], x: { title: 'step' }, y: { title: 'rate', unit: 'bits' } }),
    );
    expect(root.attributes).toMatchObject({ width: '640', height: '400', viewBox: '0 0 640 400' });
    expect(root.children[0]).toMatchObject({ name: 'title', text: 'Rate' });
    expect(root.children[1]).toMatchObject({ name: 'rect', attributes: { width: '640', fill: '#ffffff' } });
    expect(texts(root)).toEqual(expect.arrayContaining(['Rate', 'step', 'rate (bits)']));
    expect(ticks(root, 'x')).toEqual([
      '0',
      '1,000',
      '2,000',
      '3,000',
      '4,000',
      '5,000',
      '6,000',
      '7,000',
      '8,000',
    ]);
    expect(ticks(root, 'y')).toEqual(['2', '4', '6', '8', '10']);
  });

  it('draws every series once, in its own colour, with a legend', () => {
    const series = ['a', 'b', 'c'].map((name, i) => ({ name, x: steps, y: steps.map((step) => step * i) }));
    const root = read(lineChart({ series }));
    const drawn = series.map(({ name }) => lines(root, name));
    expect(drawn.map((paths) => paths.length)).toEqual([1, 1, 1]);
    expect(new Set(drawn.map(([path]) => path!.attributes['stroke'])).size).toBe(3);
    expect(texts(root)).toEqual(expect.arrayContaining(['a', 'b', 'c']));
  });

  it('tells series apart by dashes when the colours are used up', () => {
    const series = Array.from({ length: 20 }, (_, i) => ({ name: `s${i}`, x: [0, 1], y: [0, i] }));
    const root = read(lineChart({ series }));
    const looks = series.map(({ name }) => {
      const { stroke, 'stroke-dasharray': dash } = lines(root, name)[0]!.attributes;
      return `${stroke} ${dash}`;
    });
    expect(new Set(looks).size).toBe(20);
  });

  it('puts values where the axis says', () => {
    const root = read(lineChart({ series: [{ name: 'a', x: [0, 5, 10], y: [0, 50, 100] }] }));
    const marks = withClass(root, 'y-ticks')[0]!.children;
    const levels = Object.fromEntries(
      marks.map(({ text, attributes }) => [text, Number(attributes['y']) - 4]),
    );
    const [first, second] = segments(lines(root, 'a')[0]!.attributes['d']!);
    const [y0, y1, y2] = [first![1], first![3], second![3]];
    expect(y0).toBeCloseTo(levels['0']!, 1);
    expect(y2).toBeCloseTo(levels['100']!, 1);
    expect(y1).toBeCloseTo((levels['0']! + levels['100']!) / 2, 1);
  });

  it('log axes have decades at even distances, and gaps where nothing can be shown', () => {
    const y = [1000, 100, 10, 0, 1, 0.1, 0.01];
    const root = read(
      lineChart({ series: [{ name: 'loss', x: [0, 1, 2, 3, 4, 5, 6], y }], y: { kind: 'log' } }),
    );
    expect(ticks(root, 'y')).toEqual(['0.01', '0.1', '1', '10', '100', '1,000']);
    const heights = lines(root, 'loss').flatMap(({ attributes }) =>
      segments(attributes['d']!).map(([, from, , to]) => to - from),
    );
    expect(heights).toHaveLength(4);
    for (const height of heights) expect(height).toBeCloseTo(heights[0]!, 0);
    expect(withClass(root, 'minor-grid')).toHaveLength(1);
  });

  it.each([
    [
      [0, 0.3],
      ['0', '0.05', '0.10', '0.15', '0.20', '0.25', '0.30'],
    ],
    [
      [-2, 2],
      ['−2', '−1', '0', '1', '2'],
    ],
    [
      [0, 250_000],
      ['0', '50k', '100k', '150k', '200k', '250k'],
    ],
    [
      [0, 4e-6],
      ['0', '1×10⁻⁶', '2×10⁻⁶', '3×10⁻⁶', '4×10⁻⁶'],
    ],
    [
      [1e6, 1.0004e6],
      ['1,000,000', '1,000,100', '1,000,200', '1,000,300', '1,000,400'],
    ],
  ])('labels %j as %j', (y, labels) => {
    expect(ticks(read(lineChart({ series: [{ name: 'a', x: [0, 1], y }] })), 'y')).toEqual(labels);
  });

  it('writes shares as percent', () => {
    const root = read(
      lineChart({ series: [{ name: 'a', x: [0, 1], y: [0.9, 0.98] }], y: { format: 'percent' } }),
    );
    for (const label of ticks(root, 'y')) expect(label).toMatch(/^\d+%$/);
  });

  it('with smoothing keeps the raw line, faint beneath, and smooths less than it was rough', () => {
    const rough = steps.map((_, i) => (i % 2 === 0 ? 1 : 3));
    const [raw, smooth] = lines(
      read(lineChart({ series: [{ name: 'a', x: steps, y: rough }], smoothing: 0.9 })),
      'a',
    );
    expect(Number(raw!.attributes['stroke-opacity'])).toBeLessThan(0.5);
    const span = (path: SvgNode) => {
      const heights = segments(path.attributes['d']!)
        .slice(20)
        .map(([, y]) => y);
      return Math.max(...heights) - Math.min(...heights);
    };
    expect(span(smooth!)).toBeLessThan(span(raw!) / 5);
  });

  it('a constant is smoothed to itself from its first value on', () => {
    const [, smooth] = lines(
      read(lineChart({ series: [{ name: 'a', x: steps, y: steps.map(() => 7) }], smoothing: 0.99 })),
      'a',
    );
    const heights = segments(smooth!.attributes['d']!).flatMap(([, y0, , y1]) => [y0, y1]);
    expect(Math.max(...heights) - Math.min(...heights)).toBeLessThan(0.2);
  });

  it('stays small for 200,000 points, and keeps a single outlier', () => {
    const n = 200_000;
    const y = Float64Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898));
    y[123_456] = 50;
    const document = svgDocument(
      lineChart({ series: [{ name: 'a', x: Float64Array.from(y, (_, i) => i), y }] }),
    );
    expect(document.length).toBeLessThan(60_000);
    const top = Math.min(
      ...segments(lines(parseSvg(document), 'a')[0]!.attributes['d']!).map(([, to]) => to),
    );
    const ordinary = segments(lines(parseSvg(document), 'a')[0]!.attributes['d']!)[10]![1];
    expect(ordinary - top).toBeGreaterThan(200);
  });

  it('shows one point as a dot, and targets as dashed lines within the axes', () => {
    const root = read(
      lineChart({ series: [{ name: 'a', x: [3], y: [4] }], rules: [{ y: 40, label: 'target' }, { x: 2 }] }),
    );
    expect(find(root, ({ attributes }) => attributes['data-series'] === 'a')).toHaveLength(1);
    expect(withClass(root, 'rule')).toHaveLength(2);
    expect(texts(root)).toContain('target');
    for (const { attributes } of withClass(root, 'rule'))
      for (const [, y0, , y1] of segments(attributes['d']!)) {
        expect(Math.min(y0, y1)).toBeGreaterThanOrEqual(0);
        expect(Math.max(y0, y1)).toBeLessThanOrEqual(400);
      }
  });

  it.each([
    [{ series: [] }, /series: expected at least one series/],
    [{ series: [{ name: 'a', x: [1, 2], y: [1] }] }, /series 'a'\.y: expected 2 values/],
    [{ series: [{ name: 'a', x: [1], y: [Number.NaN] }] }, /series 'a': expected at least one point/],
    [
      { series: [{ name: 'a', x: [1], y: [-1] }], y: { kind: 'log' as const } },
      /series 'a': expected at least/,
    ],
    [{ series: [{ name: 'a', x: [1], y: [1] }], smoothing: 1 }, /smoothing: expected/],
    [
      { series: [{ name: 'a', x: [1], y: [1] }], y: { min: 3, max: 2 } },
      /y\.max: expected a number well above/,
    ],
    [
      { series: [{ name: 'a', x: [1], y: [1] }], y: { kind: 'log' as const, min: 0 } },
      /y\.min: expected a positive/,
    ],
  ])('refuses %#', (options, message) => {
    expect(() => lineChart(options)).toThrow(message);
  });
});

describe('any chart', () => {
  it('escapes what people write, and drops what XML cannot hold', () => {
    const title = '<b> & "quotes" \u0007 \ud800 ]]>';
    const root = read(lineChart({ title, series: [{ name: "it's <one>", x: [0, 1], y: [0, 1] }] }));
    expect(root.children[0]!.text).toBe('<b> & "quotes" \ufffd \ufffd ]]>');
    expect(lines(root, "it's <one>")).toHaveLength(1);
  });

  it('is well formed, finite and inside its bounds for any data', () => {
    const value = fc.oneof(fc.double(), fc.double({ min: -10, max: 10 }), fc.constant(0));
    const rows = fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 30 });
    const shown = (v: number) => Math.abs(v) <= 1e300;
    fc.assert(
      fc.property(rows, fc.boolean(), fc.string(), (points, log, name) => {
        fc.pre(points.some(([x, y]) => shown(x) && shown(y) && (!log || y >= 1e-300)));
        const series = [{ name, x: points.map(([x]) => x), y: points.map(([, y]) => y) }];
        const document = svgDocument(lineChart({ title: name, series, y: { kind: log ? 'log' : 'linear' } }));
        expect(document).not.toMatch(/NaN|Infinity|undefined/);
        const root = parseSvg(document);
        for (const path of find(root, (node) => node.name === 'path'))
          for (const [x0, y0, x1, y1] of segments(path.attributes['d']!))
            for (const [place, most] of [
              [x0, 640],
              [x1, 640],
              [y0, 400],
              [y1, 400],
            ] as const) {
              expect(place).toBeGreaterThanOrEqual(-1);
              expect(place).toBeLessThanOrEqual(most + 1);
            }
        expect(ticks(root, 'y').length).toBeGreaterThan(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('scatterChart', () => {
  const groups = [
    {
      name: 'VIC',
      joined: true,
      points: [
        { x: 30, y: 0.96, label: 'β 0.3' },
        { x: 46, y: 0.975, label: 'β 0.1' },
      ],
    },
    {
      name: 'VIC, published',
      like: 'VIC',
      hollow: true,
      points: [{ x: 47.3, y: 0.976, label: 'Dubois et al.' }],
    },
  ];

  it('draws measured points filled and published ones hollow, in the same colour', () => {
    const root = read(scatterChart({ groups, x: { kind: 'log' }, y: { format: 'percent' } }));
    const marks = withClass(root, 'point').map(({ attributes, children }) => ({
      series: attributes['data-series'],
      ...{ fill: children[0]!.attributes['fill'], stroke: children[0]!.attributes['stroke'] },
    }));
    const color = marks[0]!.fill;
    expect(marks).toEqual([
      { series: 'VIC', fill: color, stroke: '#ffffff' },
      { series: 'VIC', fill: color, stroke: '#ffffff' },
      { series: 'VIC, published', fill: '#ffffff', stroke: color },
    ]);
    expect(withClass(root, 'join')).toHaveLength(1);
    expect(texts(root)).toEqual(
      expect.arrayContaining(['β 0.3', 'β 0.1', 'Dubois et al.', 'VIC, published']),
    );
  });

  it('labels do not lie on each other while there is room', () => {
    const points = Array.from({ length: 5 }, (_, i) => ({ x: i, y: i % 2, label: `point ${i}` }));
    const root = read(scatterChart({ groups: [{ name: 'a', points }] }));
    const places = withClass(root, 'labels')[0]!.children.map(({ attributes }) => attributes);
    expect(places).toHaveLength(5);
    for (const [i, a] of places.entries())
      for (const b of places.slice(i + 1))
        expect(Math.hypot(Number(a['x']) - Number(b['x']), Number(a['y']) - Number(b['y']))).toBeGreaterThan(
          12,
        );
  });

  it('keeps accuracies at most at 100% and the points off the edges', () => {
    const points = [
      { x: 1, y: 0.995 },
      { x: 2, y: 0.9 },
    ];
    const root = read(scatterChart({ groups: [{ name: 'a', points }], y: { format: 'percent' } }));
    for (const label of ticks(root, 'y')) expect(Number.parseFloat(label)).toBeLessThanOrEqual(100);
  });

  it.each([
    [{ groups: [] }, /groups: expected at least one point/],
    [
      { groups: [{ name: 'a', points: [{ x: Number.NaN, y: 1 }] }] },
      /'a' point 0\.x: expected a finite number/,
    ],
    [
      { groups: [{ name: 'a', points: [{ x: 0, y: 1 }] }], x: { kind: 'log' as const } },
      /point 0\.x: expected a pos/,
    ],
    [{ groups: [{ name: 'a', like: 'b', points: [{ x: 0, y: 1 }] }] }, /group 'a'\.like/],
  ])('refuses %#', (options, message) => {
    expect(() => scatterChart(options)).toThrow(message);
  });
});

describe('barChart', () => {
  const bars = [
    { name: 'raw', values: [6272] },
    { name: 'PNG', values: [3136] },
    { name: 'VIC', values: [46.1] },
  ];

  it('has lengths in proportion to the values, which stand beside them', () => {
    const root = read(barChart({ title: 'Bits', bars, x: { title: 'bits per image' } }));
    const widths = withClass(root, 'bar').map(({ attributes }) => Number(attributes['width']));
    expect(widths[0]! / widths[1]!).toBeCloseTo(2, 2);
    expect(widths[0]! / widths[2]!).toBeCloseTo(6272 / 46.1, 0);
    expect(texts(root)).toEqual(expect.arrayContaining(['raw', 'PNG', 'VIC', '6,272', '3,136', '46.1']));
  });

  it('groups series, leaves out what is missing, and goes below zero', () => {
    const two = [
      { name: 'a', values: [1, -2] },
      { name: 'b', values: [3, null] },
    ];
    const root = read(barChart({ bars: two, series: ['first', 'second'] }));
    expect(withClass(root, 'bar')).toHaveLength(3);
    expect(texts(root)).toEqual(expect.arrayContaining(['first', 'second', '−2']));
  });

  it('on a log axis begins at a decade below the smallest value', () => {
    const root = read(barChart({ bars, x: { kind: 'log' } }));
    expect(ticks(root, 'x')[0]).toBe('10');
    for (const { attributes } of withClass(root, 'bar'))
      expect(Number(attributes['width'])).toBeGreaterThan(10);
  });

  it.each([
    [{ bars: [] }, /bars: expected at least one bar/],
    [{ bars: [{ name: 'a', values: [1, 2] }] }, /bar 'a'\.values: expected 1 values/],
    [{ bars: [{ name: 'a', values: [Number.NaN] }] }, /bar 'a': expected a finite number/],
    [{ bars: [{ name: 'a', values: [0] }], x: { kind: 'log' as const } }, /bar 'a': expected a positive/],
    [{ bars: [{ name: 'a', values: [null] }] }, /bars: expected at least one value/],
  ])('refuses %#', (options, message) => {
    expect(() => barChart(options)).toThrow(message);
  });
});

describe('imageGrid', () => {
  const image = { imageWidth: 3, imageHeight: 2 };

  it('has one picture an image, in rows of one height', () => {
    const rows = ['original', 'reconstruction'].map((label) => ({
      label,
      pixels: new Uint8Array(24).fill(9),
    }));
    const root = read(imageGrid({ ...image, rows, columnLabels: ['1', '2', '3', '4'] }));
    const images = find(root, ({ name }) => name === 'image');
    expect(images).toHaveLength(8);
    expect(new Set(images.map(({ attributes }) => attributes['y'])).size).toBe(2);
    expect(new Set(images.map(({ attributes }) => attributes['x'])).size).toBe(4);
    for (const { attributes } of images) expect(attributes['href']).toMatch(/^data:image\/png;base64,iVBOR/);
    expect(texts(root)).toEqual(expect.arrayContaining(['original', 'reconstruction', '1', '4']));
  });

  it('takes floats and bytes, planes and interleaved pixels for the same picture', () => {
    const planes = Uint8Array.from({ length: 18 }, (_, i) => i * 14);
    const interleaved = Uint8Array.from({ length: 18 }, (_, i) => planes[(i % 3) * 6 + Math.floor(i / 3)]!);
    const floats = Float32Array.from(planes, (value) => value / 255);
    const content = (pixels: Uint8Array | Float32Array, layout: 'chw' | 'hwc') =>
      imageGrid({ ...image, channels: 3, layout, rows: [{ label: 'a', pixels }] }).content;
    expect(content(interleaved, 'hwc')).toBe(content(planes, 'chw'));
    expect(content(floats, 'chw')).toBe(content(planes, 'chw'));
  });

  it.each([
    [{ rows: [] }, /rows: expected at least one row/],
    [
      { rows: [{ label: 'a', pixels: new Uint8Array(7) }] },
      /row 'a'\.pixels: expected whole images of 2 x 3 x 1/,
    ],
    [
      { rows: [6, 12].map((n) => ({ label: `r${n}`, pixels: new Uint8Array(n) })) },
      /row 'r12'\.pixels: expected 1 images, as the first/,
    ],
    [
      { rows: [{ label: 'a', pixels: new Float32Array(6).fill(Number.NaN) }] },
      /expected numbers, received NaN/,
    ],
    [
      { rows: [{ label: 'a', pixels: new Uint8Array(6) }], columnLabels: ['1', '2'] },
      /columnLabels: expected 1/,
    ],
  ])('refuses %#', (options, message) => {
    expect(() => imageGrid({ ...image, ...options })).toThrow(message);
  });
});

describe('arrange', () => {
  it('places drawings beside and below each other', () => {
    const one = (title: string) => lineChart({ title, series: [{ name: 'a', x: [0, 1], y: [0, 1] }] });
    const row = arrange([one('p'), one('q')]);
    expect([row.width, row.height]).toEqual([1280, 400]);
    const grid = arrange([one('p'), one('q'), one('r')], { columns: 2, title: 'All' });
    expect(grid.width).toBe(1280);
    expect(grid.height).toBeGreaterThan(800);
    expect(texts(read(grid))).toEqual(expect.arrayContaining(['All', 'p', 'q', 'r']));
    expect(() => arrange([])).toThrow(/at least one drawing/);
  });
});
