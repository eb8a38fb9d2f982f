/** What fitting returns, and how mass functions become a model's tables. */
import type { CodecModel } from '../codec/model.js';
import { pmfToCdf } from '../kernels/index.js';
import type { CdfTables } from '../kernels/tables.js';
import type { SymbolPmf } from './smoothing.js';
import type { VectorSource } from './vector_source.js';

/** What a fit found out about the rows it used. */
export interface FitReport {
  readonly method: 'ecsq' | 'bottleneck';
  /** Rows there are, and rows that were used. */
  readonly rows: number;
  readonly rowsUsed: number;
  readonly channels: number;
  /** Bits a row under the model's tables, of the rows used. */
  readonly bitsPerRow: number;
  /** Mean squared error of a value. */
  readonly meanSquaredError: number;
  /** Variance of the values around their channels' means over the squared error, in decibels. */
  readonly signalToNoise: number;
}

export interface FittedModel<Report extends FitReport = FitReport> {
  readonly model: CodecModel;
  readonly report: Report;
}

/** Integer tables from mass functions, one a channel. */
export function tablesOf(pmfs: readonly SymbolPmf[]): CdfTables {
  const start = new Int32Array(pmfs.length + 1);
  for (const [t, { pmf }] of pmfs.entries()) start[t + 1] = start[t]! + pmf.length + 1;
  const cdf = new Int32Array(start[pmfs.length]!);
  for (const [t, { pmf }] of pmfs.entries()) cdf.set(pmfToCdf(pmf), start[t]!);
  return { cdf, start, offset: Int32Array.from(pmfs, ({ offset }) => offset) };
}

/** The dtype that a model notes of its rows; float64 is read as float32. */
export function rowDtype(source: VectorSource): 'float32' | 'float16' | 'bfloat16' {
  return source.dtype === 'float16' || source.dtype === 'bfloat16' ? source.dtype : 'float32';
}

export function decibels(variance: number, squaredError: number): number {
  return squaredError > 0 ? 10 * Math.log10(variance / squaredError) : Number.POSITIVE_INFINITY;
}
