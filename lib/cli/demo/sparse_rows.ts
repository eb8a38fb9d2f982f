/**
 * Exact nearest neighbours among rows that are mostly zero (four fifths of MNIST's pixels are): only non-zero values
 * of the searched rows are multiplied, eight queries at a time.
 */

/** Rows without their zeros: row r has indices and values from start[r] to start[r + 1]. */
export interface SparseRows {
  readonly channels: number;
  readonly start: Int32Array;
  readonly index: Uint16Array;
  readonly value: Float64Array;
}

/** Takes the zeros out of row-major [rows][channels]. The arrays can be shared with worker threads. */
export function sparseRows(values: Float32Array, channels: number): SparseRows {
  const rows = values.length / channels;
  let entries = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) entries++;
  const start = new Int32Array(new SharedArrayBuffer(4 * (rows + 1)));
  const index = new Uint16Array(new SharedArrayBuffer(2 * entries));
  const value = new Float64Array(new SharedArrayBuffer(8 * entries));
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) {
      const x = values[row * channels + c]!;
      if (x === 0) continue;
      index[at] = c;
      value[at++] = x;
    }
    start[row + 1] = at;
  }
  return { channels, start, index, value };
}

/** Queries of a group: as many running sums as registers hold. */
const kGroup = 8;

/**
 * The row nearest to each query [queries][channels] by Euclidean distance, the first of equals:
 * argmin |t|^2 - 2 q.t.
 */
export function nearestRows(rows: SparseRows, queries: Float32Array): Int32Array {
  const { channels } = rows;
  const total = queries.length / channels;
  const nearest = new Int32Array(total);
  const squares = squaredNorms(rows);
  const group = new Float64Array(channels * kGroup);
  for (let first = 0; first < total; first += kGroup) {
    const size = Math.min(kGroup, total - first);
    group.fill(0);
    for (let q = 0; q < size; q++)
      for (let c = 0; c < channels; c++) group[c * kGroup + q] = queries[(first + q) * channels + c]!;
    nearest.set(nearestOfGroup(rows, squares, group).subarray(0, size), first);
  }
  return nearest;
}

function squaredNorms({ start, value }: SparseRows): Float64Array {
  const squares = new Float64Array(start.length - 1);
  for (let row = 0; row < squares.length; row++) {
    let sum = 0;
    for (let i = start[row]!; i < start[row + 1]!; i++) sum += value[i]! * value[i]!;
    squares[row] = sum;
  }
  return squares;
}

/** The nearest row to each of eight queries, stored [channels][8]. */
function nearestOfGroup(rows: SparseRows, squares: Float64Array, group: Float64Array): Int32Array {
  const { start, index, value } = rows;
  const nearest = new Int32Array(kGroup);
  const least = new Float64Array(kGroup).fill(Number.POSITIVE_INFINITY);
  const sums = new Float64Array(kGroup);
  for (let row = 0; row < squares.length; row++) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let s4 = 0;
    let s5 = 0;
    let s6 = 0;
    let s7 = 0;
    const end = start[row + 1]!;
    for (let i = start[row]!; i < end; i++) {
      const x = value[i]!;
      const at = index[i]! * kGroup;
      s0 += x * group[at]!;
      s1 += x * group[at + 1]!;
      s2 += x * group[at + 2]!;
      s3 += x * group[at + 3]!;
      s4 += x * group[at + 4]!;
      s5 += x * group[at + 5]!;
      s6 += x * group[at + 6]!;
      s7 += x * group[at + 7]!;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    sums[4] = s4;
    sums[5] = s5;
    sums[6] = s6;
    sums[7] = s7;
    const square = squares[row]!;
    for (let q = 0; q < kGroup; q++) {
      const distance = square - 2 * sums[q]!;
      if (distance < least[q]!) {
        least[q] = distance;
        nearest[q] = row;
      }
    }
  }
  return nearest;
}
