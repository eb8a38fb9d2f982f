import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryPaths, type Corner, outlinePaths, tintOfIds } from '../../lib/report/chart/regions.js';
import { partitionChart, svgDocument } from '../../lib/report/index.js';
import { parseSvg, segments, texts, withClass } from './svg_reader.js';

const grids = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 5 }))
  .chain(([width, height, ids]) =>
    fc
      .array(fc.integer({ min: -1, max: ids }), { minLength: width * height, maxLength: width * height })
      .map((ids) => ({ ids: Int32Array.from(ids), width, height })),
  );

/** Unit edges of paths along the grid, each as "x y right|up" from its lower left end, sorted. */
function unitEdges(paths: readonly (readonly Corner[])[]): string[] {
  const edges: string[] = [];
  for (const path of paths) {
    for (let i = 1; i < path.length; i++) {
      const [x0, y0] = path[i - 1]!;
      const [x1, y1] = path[i]!;
      expect(x0 === x1).not.toBe(y0 === y1); // along the grid, and not of length 0
      const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
      const [low, high] = [Math.min(y0, y1), Math.max(y0, y1)];
      for (let x = left; x < right; x++) edges.push(`${x} ${y0} right`);
      for (let y = low; y < high; y++) edges.push(`${x0} ${y} up`);
    }
  }
  return edges.sort();
}

describe('boundaryPaths', () => {
  it('holds exactly the edges between cells of differing id, each once', () => {
    fc.assert(
      fc.property(grids, ({ ids, width, height }) => {
        const expected: string[] = [];
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++) {
            const id = ids[y * width + x];
            if (x > 0 && ids[y * width + x - 1] !== id) expected.push(`${x} ${y} up`);
            if (y > 0 && ids[(y - 1) * width + x] !== id) expected.push(`${x} ${y} right`);
          }
        expect(unitEdges(boundaryPaths({ ids, width, height }))).toEqual(expected.sort());
      }),
    );
  });

  it('joins straight runs: a cross through the grid is two lines', () => {
    const ids = Int32Array.from({ length: 100 }, (_, i) => (i % 10 < 5 ? 0 : 1) + (i < 50 ? 0 : 2));
    const paths = boundaryPaths({ ids, width: 10, height: 10 });
    expect(paths.map((path) => path.length)).toEqual([2, 2]);
  });
});

describe('outlinePaths', () => {
  it('closes, and fills by the even-odd rule what was asked for', () => {
    fc.assert(
      fc.property(grids, ({ ids, width, height }) => {
        const paths = outlinePaths({ ids, width, height }, (id) => id === 1);
        for (const path of paths) expect(path[0]).toEqual(path.at(-1));
        const upright = new Set(unitEdges(paths).filter((edge) => edge.endsWith('up')));
        for (let y = 0; y < height; y++) {
          let inside = false;
          for (let x = 0; x < width; x++) {
            if (upright.has(`${x} ${y} up`)) inside = !inside;
            expect(inside).toBe(ids[y * width + x] === 1);
          }
        }
      }),
    );
  });
});

describe('tintOfIds', () => {
  it('tells neighbours apart on a map', () => {
    const ids = Int32Array.from(
      { length: 900 },
      (_, i) => Math.floor(Math.floor(i / 30) / 7) * 100 + Math.floor((i % 30) / 5),
    );
    const tints = tintOfIds({ ids, width: 30, height: 30 }, 8);
    for (let y = 0; y < 30; y++)
      for (let x = 0; x < 30; x++)
        for (const other of [
          x > 0 ? ids[y * 30 + x - 1]! : undefined,
          y > 0 ? ids[y * 30 - 30 + x]! : undefined,
        ]) {
          const id = ids[y * 30 + x]!;
          if (other !== undefined && other !== id) expect(tints.get(id)).not.toBe(tints.get(other));
        }
  });
});

describe('partitionChart', () => {
  const size = 40;
  const middle = (i: number) => -4 + (8 * (i + 0.5)) / size;
  const ids = Int32Array.from({ length: size * size }, (_, i) =>
    Math.floor(Math.hypot(middle(i % size), middle(Math.floor(i / size)))),
  );
  const options = {
    title: 'VIC',
    cells: { ids, width: size, height: size },
    extent: { x: [-4, 4], y: [-4, 4] },
    samples: Float32Array.from({ length: 20_000 }, (_, i) => 3 * Math.sin(i * 1.7)),
    codePoints: [
      { x: 0, y: 0, probability: 0.4 },
      { x: 1, y: 1, probability: 0.1 },
      { x: 2, y: 2, probability: 0 },
    ],
  } as const;
  const root = parseSvg(svgDocument(partitionChart(options)));
  const label = (axis: string, text: string) =>
    withClass(root, `${axis}-ticks`)[0]!.children.find((node) => node.text === text)!.attributes;
  const [x0, x2] = [Number(label('x', '0')['x']), Number(label('x', '2')['x'])];
  const [y0, y2] = [Number(label('y', '0')['y']) - 4, Number(label('y', '2')['y']) - 4];

  it('draws both axes to one scale', () => {
    expect(Math.abs(y0 - y2)).toBeCloseTo(x2 - x0, 0);
  });

  it('draws boundaries only where the ids at both sides differ, upright way up', () => {
    const cell = (x: number, y: number) => {
      const column = Math.floor(((2 * (x - x0)) / (x2 - x0) + 4) * (size / 8));
      const row = Math.floor(((2 * (y - y0)) / (y2 - y0) + 4) * (size / 8));
      return ids[row * size + column];
    };
    const step = ((x2 - x0) / 2) * (8 / size);
    const drawn = segments(withClass(root, 'boundary')[0]!.attributes['d']!);
    expect(drawn.length).toBeGreaterThan(20);
    for (const [xa, ya, xb, yb] of drawn) {
      const length = Math.hypot(xb - xa, yb - ya);
      for (let at = step / 2; at < length; at += step) {
        const [x, y] = [xa + ((xb - xa) * at) / length, ya + ((yb - ya) * at) / length];
        const [dx, dy] = xa === xb ? [step / 2, 0] : [0, step / 2];
        expect(cell(x - dx, y - dy)).not.toBe(cell(x + dx, y + dy));
      }
    }
  });

  it('has dots whose area is the probability, none for codes that do not occur', () => {
    const radii = withClass(root, 'codes')[0]!.children.map(({ attributes }) => Number(attributes['r']));
    expect(radii).toHaveLength(2);
    expect((radii[0]! / radii[1]!) ** 2).toBeCloseTo(4, 1);
  });

  it('draws at most 4000 samples', () => {
    expect(withClass(root, 'samples')[0]!.attributes['d']!.match(/M/g)!.length).toBe(4000);
    expect(texts(root)).toEqual(expect.arrayContaining(['VIC', 'source', 'cell boundary']));
  });

  it('leaves the cells white on request, and draws a grid of one id without a boundary', () => {
    const plain = parseSvg(svgDocument(partitionChart({ ...options, fill: 'none' })));
    expect(withClass(plain, 'cells')).toHaveLength(0);
    const even = { ids: new Int32Array(9), width: 3, height: 3 };
    expect(() => parseSvg(svgDocument(partitionChart({ ...options, cells: even })))).not.toThrow();
  });

  it('stays small: 480 x 480 cells of 40 regions', () => {
    const n = 480;
    const rings = Int32Array.from({ length: n * n }, (_, i) =>
      Math.floor(Math.hypot(i % n, Math.floor(i / n)) / 17),
    );
    const drawing = partitionChart({ ...options, cells: { ids: rings, width: n, height: n } });
    expect(svgDocument(drawing).length).toBeLessThan(600_000);
  });

  it.each([
    [
      { cells: { ids: new Int32Array(5), width: 2, height: 2 } },
      /cells\.ids: expected 4 ids, 2 x 2, received Int32Array\(5\)/,
    ],
    [{ cells: { ids: [], width: 0, height: 2 } }, /cells\.width: expected an integer of at least 1/],
    [{ cells: { ids: [], width: 4096, height: 4096 } }, /cells: expected at most 4194304 cells/],
    [{ extent: { x: [1, 1], y: [0, 1] } as const }, /extent\.x: expected two finite numbers/],
    [{ samples: [1, 2, 3] }, /samples: expected x and y in turn/],
    [
      { codePoints: [{ x: 0, y: 0, probability: 2 }] },
      /codePoints\[0\]: expected finite x and y and a probability/,
    ],
  ])('refuses %#', (change, message) => {
    expect(() => partitionChart({ ...options, ...change })).toThrow(message);
  });
});
