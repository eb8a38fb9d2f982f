/** What is done to a curve before it is drawn: smoothing, and thinning to what a picture can show. */

/**
 * Exponential moving average with its start corrected: s_t = w s_(t-1) + (1 - w) y_t, divided by 1 - w^t
 * (the bias correction of Kingma and Ba 2015). Values that are not finite stay as they are and leave the average alone.
 */
export function smoothed(values: ArrayLike<number>, weight: number): Float64Array {
  const out = new Float64Array(values.length);
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) {
      out[i] = value;
      continue;
    }
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    out[i] = sum / total;
  }
  return out;
}

export type Point = readonly [x: number, y: number];

/**
 * Runs of points that can be drawn, with no more than four a pixel column: the first, the lowest, the highest and the
 * last, which draw the same picture as all of them (M4, Jugel et al. 2014). Points that are not finite end a run.
 */
export function drawnRuns(points: Iterable<Point>): Point[][] {
  const runs: Point[][] = [];
  let run: Point[] = [];
  for (const point of points) {
    if (Number.isFinite(point[0]) && Number.isFinite(point[1])) run.push(point);
    else if (run.length > 0) {
      runs.push(thinned(run));
      run = [];
    }
  }
  if (run.length > 0) runs.push(thinned(run));
  return runs;
}

function thinned(run: readonly Point[]): Point[] {
  const out: Point[] = [];
  for (let from = 0; from < run.length; ) {
    const column = Math.floor(run[from]![0]);
    let to = from + 1;
    while (to < run.length && Math.floor(run[to]![0]) === column) to++;
    if (to - from <= 4) out.push(...run.slice(from, to));
    else {
      let [low, high] = [from, from];
      for (let i = from; i < to; i++) {
        if (run[i]![1] < run[low]![1]) low = i;
        if (run[i]![1] > run[high]![1]) high = i;
      }
      const kept = [...new Set([from, low, high, to - 1])].sort((a, b) => a - b);
      out.push(...kept.map((i) => run[i]!));
    }
    from = to;
  }
  return out;
}
