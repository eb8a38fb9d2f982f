/** The demo's result as a table with a line of explanation for each column. */
import { textTable } from '../../report/table.js';
import { count, duration, significant } from '../terminal.js';

export interface StoredRows {
  readonly name: string;
  /** 8 * bytes of the file / rows: header, tables and index included. */
  readonly bitsPerRow: number;
  /** Cross-entropy of the rows under the model. */
  readonly idealBitsPerRow: number;
  /** The part of bitsPerRow that is the header with its tables. */
  readonly headerBitsPerRow: number;
  readonly meanSquaredError: number;
  readonly psnr: number;
  readonly accuracy: number;
  readonly writeRowsPerSecond: number;
  readonly readRowsPerSecond: number;
}

export interface DemoResult {
  readonly trainRows: number;
  readonly testRows: number;
  readonly queries: number;
  readonly rawBits: number;
  readonly exactAccuracy: number;
  readonly lossless: readonly { readonly name: string; readonly bitsPerRow: number }[];
  readonly lossy: readonly StoredRows[];
  readonly seconds: number;
}

const columns = ['', 'bits a row', 'of raw', 'MSE', 'PSNR', '1-NN'];

export function demoTable(result: DemoResult): string {
  const percent = (share: number, digits: number) => `${(100 * share).toFixed(digits)} %`;
  const exact = percent(result.exactAccuracy, 2);
  const rows = [
    ...result.lossless.map(({ name, bitsPerRow }) => [
      ...[name, bitsPerRow.toFixed(1), percent(bitsPerRow / result.rawBits, 1), '0', 'exact', exact],
    ]),
    ...result.lossy.map(({ name, bitsPerRow, meanSquaredError, psnr, accuracy }) => [
      ...[name, bitsPerRow.toFixed(1), percent(bitsPerRow / result.rawBits, 1)],
      ...[significant(meanSquaredError), `${psnr.toFixed(1)} dB`, percent(accuracy, 2)],
    ]),
  ];
  const trained = result.lossy.at(-1)!;
  const smallest = Math.min(...result.lossless.map(({ bitsPerRow }) => bitsPerRow));
  return [
    '',
    `${count(result.testRows)} MNIST test images as rows of 784 floats; models fitted to the ${count(result.trainRows)} training images.`,
    '',
    textTable({ columns, rows }, { style: (row) => (row === rows.length - 1 ? 'green' : undefined) }),
    '',
    `bits a row   bytes of the whole file, with its header and tables, x 8 / rows. Of the trained bottleneck's`,
    `             ${trained.bitsPerRow.toFixed(1)} bits, ${trained.headerBitsPerRow.toFixed(1)} are the header with the tables; ${trained.idealBitsPerRow.toFixed(1)} is the rows' cross-entropy, the ideal.`,
    'MSE, PSNR    mean squared error of a pixel, pixels being 0 to 1; PSNR = -10 log10(MSE).',
    `1-NN         share of the first ${count(result.queries)} test rows, as read back, whose nearest training row (Euclidean,`,
    '             all of them, uncompressed) has the same digit.',
    '',
    `The trained bottleneck takes ${(smallest / trained.bitsPerRow).toFixed(1)} times fewer bits than the best lossless file, and ${(result.rawBits / trained.bitsPerRow).toFixed(0)} times fewer than`,
    `the pixels; 1-NN accuracy goes from ${exact} to ${percent(trained.accuracy, 2)}. Written at ${count(trained.writeRowsPerSecond)} rows/s, read at`,
    `${count(trained.readRowsPerSecond)} rows/s. The demo took ${duration(result.seconds)}.`,
  ].join('\n');
}
