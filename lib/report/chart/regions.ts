/** Regions of one id in a grid of ids: their boundaries as exact line segments, and tints that tell neighbours apart. */

/** A grid of ids, row by row; row 0 is the lowest. */
export interface IdGrid {
  readonly ids: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

/** Corners of cells: (0, 0) to (width, height). */
export type Corner = readonly [x: number, y: number];

/**
 * The edges between cells of differing id as paths along the corners of the grid. Every such edge is part of
 * exactly one path, and no other edge is; successive corners of a path lie on one line only where the path turns.
 */
export function boundaryPaths({ ids, width, height }: IdGrid): Corner[][] {
  const edges = new EdgeSet(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const id = ids[y * width + x];
      if (x > 0 && ids[y * width + x - 1] !== id) edges.addVertical(x, y);
      if (y > 0 && ids[(y - 1) * width + x] !== id) edges.addHorizontal(x, y);
    }
  }
  return edges.paths();
}

/** The outlines of all cells that `inside` accepts, as closed paths to be filled by the even-odd rule. */
export function outlinePaths({ ids, width, height }: IdGrid, inside: (id: number) => boolean): Corner[][] {
  const edges = new EdgeSet(width, height);
  const at = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < width && y < height && inside(ids[y * width + x]!);
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const here = at(x, y);
      if (y < height && here !== at(x - 1, y)) edges.addVertical(x, y);
      if (x < width && here !== at(x, y - 1)) edges.addHorizontal(x, y);
    }
  }
  return edges.paths();
}

const kRight = 0;
const kUp = 1;
const kLeft = 2;
const kDown = 3;
const stepX = [1, 0, -1, 0] as const;
const stepY = [0, 1, 0, -1] as const;

/** Edges of a grid, taken out path by path. */
class EdgeSet {
  readonly #columns: number;
  readonly #rows: number;
  /** Whether the edge from corner (x, y) to the right, and up, is there. */
  readonly #right: Uint8Array;
  readonly #up: Uint8Array;

  constructor(width: number, height: number) {
    this.#columns = width + 1;
    this.#rows = height + 1;
    this.#right = new Uint8Array(this.#columns * this.#rows);
    this.#up = new Uint8Array(this.#columns * this.#rows);
  }

  addHorizontal(x: number, y: number): void {
    this.#right[y * this.#columns + x] = 1;
  }

  addVertical(x: number, y: number): void {
    this.#up[y * this.#columns + x] = 1;
  }

  /** Takes all edges: first the paths that begin where an odd number of edges meet, then the closed ones. */
  paths(): Corner[][] {
    const paths: Corner[][] = [];
    const corners = this.#columns * this.#rows;
    for (let corner = 0; corner < corners; corner++)
      if (this.#degree(corner) % 2 === 1) paths.push(this.#walk(corner));
    for (let corner = 0; corner < corners; corner++)
      while (this.#degree(corner) > 0) paths.push(this.#walk(corner));
    return paths;
  }

  #degree(corner: number): number {
    return (
      this.#has(corner, kRight) + this.#has(corner, kUp) + this.#has(corner, kLeft) + this.#has(corner, kDown)
    );
  }

  #has(corner: number, direction: number): number {
    const x = corner % this.#columns;
    if (direction === kRight) return this.#right[corner]!;
    if (direction === kUp) return this.#up[corner]!;
    if (direction === kLeft) return x > 0 ? this.#right[corner - 1]! : 0;
    return corner >= this.#columns ? this.#up[corner - this.#columns]! : 0;
  }

  #take(corner: number, direction: number): number {
    const next = corner + stepX[direction]! + stepY[direction]! * this.#columns;
    const edges = direction === kRight || direction === kLeft ? this.#right : this.#up;
    edges[direction === kRight || direction === kUp ? corner : next] = 0;
    return next;
  }

  /** Walks from a corner as far as there are edges, straight on where it can. */
  #walk(start: number): Corner[] {
    const path: Corner[] = [[start % this.#columns, Math.floor(start / this.#columns)]];
    let corner = start;
    let last = -1;
    for (;;) {
      const turns = last < 0 ? [kRight, kUp, kLeft, kDown] : [last, (last + 1) % 4, (last + 3) % 4];
      const direction = turns.find((candidate) => this.#has(corner, candidate) === 1);
      if (direction === undefined) return path;
      corner = this.#take(corner, direction);
      const place: Corner = [corner % this.#columns, Math.floor(corner / this.#columns)];
      if (direction === last) path[path.length - 1] = place;
      else path.push(place);
      last = direction;
    }
  }
}

/**
 * A tint for each id such that regions that share an edge differ wherever the number of tints allows it: the
 * ids that touch most others choose first, each the least used tint that no neighbour has.
 */
export function tintOfIds({ ids, width, height }: IdGrid, tints: number): Map<number, number> {
  const neighbours = new Map<number, Set<number>>();
  const touch = (a: number, b: number) => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const set = neighbours.get(from) ?? new Set();
      neighbours.set(from, set);
      if (from !== to) set.add(to);
    }
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      touch(ids[at]!, ids[x > 0 ? at - 1 : at]!);
      if (y > 0 && ids[at - width] !== ids[at]) touch(ids[at]!, ids[at - width]!);
    }
  }
  const chosen = new Map<number, number>();
  const used = new Array<number>(tints).fill(0);
  const order = [...neighbours].sort(([a, s], [b, t]) => t.size - s.size || a - b);
  for (const [id, around] of order) {
    const conflicts = new Array<number>(tints).fill(0);
    for (const other of around) {
      const tint = chosen.get(other);
      if (tint !== undefined) conflicts[tint]!++;
    }
    const better = (a: number, b: number) => conflicts[a]! - conflicts[b]! || used[a]! - used[b]!;
    let best = 0;
    for (let tint = 1; tint < tints; tint++) if (better(tint, best) < 0) best = tint;
    chosen.set(id, best);
    used[best]!++;
  }
  return chosen;
}
