/** Integer tables of the coder: what the entropy model builds, files store and both coders read. */

/**
 * T cumulative frequency tables with 16-bit precision. Table t is `cdf[start[t]] .. cdf[start[t + 1] - 1]`: n + 1
 * numbers that rise strictly from 0 to 65536, for n entries of which the last is the escape (everything outside
 * the table). Entry e stands for the symbol `offset[t] + e`.
 */
export interface CdfTables {
  readonly cdf: Int32Array;
  /** [T + 1] where each table begins in `cdf`. */
  readonly start: Int32Array;
  /** [T] the symbol of each table's first entry. */
  readonly offset: Int32Array;
}
