/** What a model costs on rows: bits under its integer tables, and the error of its reconstructions. */
import type { CodecModel } from '../codec/model.js';
import { quantizeColumn } from './quantizer.js';
import { codeLength } from './smoothing.js';
import { takeTurns } from './turns.js';
import { readColumn, type Sample } from './vector_source.js';

/** Bits and squared error a row. */
export interface ModelCost {
  readonly bits: number;
  readonly squaredError: number;
}

/** Measures a model on a sample. */
export async function modelCost(sample: Sample, model: CodecModel, signal?: AbortSignal): Promise<ModelCost> {
  const { tables, tableIndex, median, step, shift } = model;
  const turn = takeTurns(signal);
  const column = new Float32Array(sample.rows);
  const symbols = new Float64Array(sample.rows);
  let bits = 0;
  let squaredError = 0;
  for (let c = 0; c < sample.channels; c++) {
    await turn();
    readColumn(sample, c, column);
    const quantized = quantizeColumn(column, symbols, {
      step: step[c]!,
      shift: shift[c]!,
      median: median[c]!,
    });
    const table = tableIndex?.[c] ?? c;
    const cdf = tables.cdf.subarray(tables.start[table]!, tables.start[table + 1]!);
    const pmf = new Float32Array(cdf.length - 1);
    for (let i = 0; i < pmf.length; i++) pmf[i] = (cdf[i + 1]! - cdf[i]!) / 65536;
    bits += codeLength(quantized.histogram, { offset: tables.offset[table]!, pmf });
    squaredError += quantized.squaredError;
  }
  return { bits: bits / sample.rows, squaredError: squaredError / sample.rows };
}
