/** Pictures of training runs: curves of their metrics, rate against accuracy, cells of the banana, reconstructions. */
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { BinceError } from '../errors.js';
import {
  type Drawing,
  imageGrid,
  type LineSeries,
  lineChart,
  type MetricsLine,
  metricNames,
  metricSeries,
  partitionChart,
  readMetrics,
  type ScatterGroup,
  scatterChart,
} from '../report/index.js';
import {
  bananaCells,
  type Evaluation,
  type ExperimentConfig,
  openRun,
  publishedResults,
  type Run,
  reconstructions,
} from '../systems/lossless-prediction/index.js';
import { readConfig } from '../train/index.js';

/** A run as far as its pictures need it. */
export interface PlottedRun {
  readonly folder: string;
  /** The folder's last part. */
  readonly name: string;
  readonly config: ExperimentConfig;
  readonly lines: readonly MetricsLine[];
  /** What eval.json holds, if it is there. */
  readonly evaluation: Evaluation | undefined;
}

/** A picture and the name of its files, without ending. */
export interface Picture {
  readonly name: string;
  readonly drawing: Drawing;
}

/** Reads what a run folder says of a run. Throws where it is none, or has no metrics yet. */
export async function readPlottedRun(folder: string): Promise<PlottedRun> {
  const config = (await readConfig(folder)) as ExperimentConfig;
  const lines = await readMetrics(join(folder, 'metrics.jsonl'));
  if (lines.length === 0) {
    throw new BinceError('BINCE_INVALID_VALUE', `${folder}: the run has no metrics yet`, {
      hint: 'let it train for some steps',
    });
  }
  return { folder, name: basename(resolve(folder)), config, lines, evaluation: await readEvaluation(folder) };
}

async function readEvaluation(folder: string): Promise<Evaluation | undefined> {
  const path = join(folder, 'eval.json');
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new BinceError('BINCE_IO', `${path}: cannot be read (${cause.code})`, { cause });
  });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Evaluation;
  } catch (cause) {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: not JSON`, {
      hint: `measure the run again: bince eval ${folder}`,
      cause,
    });
  }
}

const kEvaluation = 'evaluation/';
const axisTitles: Readonly<Record<string, { title: string; unit?: string }>> = {
  bits: { title: 'rate', unit: 'bits an example' },
  gradientNorm: { title: 'gradient norm' },
};

/** One chart a metric, a curve a run: what was measured in training, and in the evaluations where they have it too. */
export function curvePictures(runs: readonly PlottedRun[]): Picture[] {
  const names = new Set(
    runs.flatMap(({ lines }) => metricNames(lines).map((name) => name.replace(kEvaluation, ''))),
  );
  return [...names].map((name) => {
    const series = runs.flatMap((run) => curvesOf(run, name, runs.length > 1));
    const smooth = series.some(({ x }) => x.length > 100);
    const drawing = lineChart({
      ...{ title: name, series, smoothing: smooth ? 0.9 : 0 },
      ...{ x: { title: 'step' }, y: axisTitles[name] ?? { title: name } },
    });
    return { name: fileName(name), drawing };
  });
}

function curvesOf({ name: run, lines }: PlottedRun, metric: string, several: boolean): LineSeries[] {
  const kinds = [
    [metric, several ? run : 'training'],
    [kEvaluation + metric, several ? `${run}, evaluation` : 'evaluation'],
  ] as const;
  return kinds.flatMap(([key, name]) => {
    const { x, y } = metricSeries(lines, key);
    return y.some(Number.isFinite) ? [{ name, x, y }] : [];
  });
}

function fileName(metric: string): string {
  return metric.replace(/[^\w.-]+/g, '-');
}

/**
 * Rate against what is kept: accuracy of the linear probe, or for the banana the squared error; beside what was
 * published. Undefined where no run was evaluated.
 */
export function ratePicture(runs: readonly PlottedRun[]): Picture | undefined {
  const banana = runs.every(({ config }) => config.data === 'banana');
  const quality = (evaluation: Evaluation) => (banana ? evaluation.meanSquaredError : evaluation.linearProbe);
  const groups: ScatterGroup[] = [];
  for (const system of new Set(runs.map(({ config }) => config.system))) {
    const points = runs.flatMap(({ name, config, evaluation }) => {
      const y = evaluation && quality(evaluation);
      return config.system === system && evaluation && y !== undefined
        ? [{ x: evaluation.fileBits ?? evaluation.modelBits, y, label: name }]
        : [];
    });
    if (points.length > 0) groups.push({ name: system, points });
  }
  if (groups.length === 0) return undefined;
  const published = publishedGroups(groups, banana, runs);
  const drawing = scatterChart({
    title: banana ? 'rate against error' : 'rate against accuracy',
    subtitle:
      published.length > 0 ? 'measured: bits in the file; published: bits of the model' : 'bits in the file',
    groups: [...groups, ...published],
    x: { title: 'rate', unit: 'bits an example', kind: banana ? 'linear' : 'log' },
    y: banana ? { title: 'mean squared error' } : { title: 'accuracy of a linear probe', format: 'percent' },
  });
  return { name: banana ? 'rate-error' : 'rate-accuracy', drawing };
}

function publishedGroups(
  groups: readonly ScatterGroup[],
  banana: boolean,
  runs: readonly PlottedRun[],
): ScatterGroup[] {
  if (!banana && !runs.every(({ config }) => config.data === 'mnist')) return [];
  const data = banana ? 'banana' : 'augmented-mnist';
  return publishedResults.flatMap((result) => {
    const y = banana ? result.meanSquaredError : result.accuracy;
    if (result.data !== data || y === undefined) return [];
    const measured = groups.some(({ name }) => name === result.system);
    const group = { name: `${result.system}, published`, hollow: true, points: [{ x: result.modelBits, y }] };
    return [measured ? { ...group, like: result.system } : group];
  });
}

/** What only the trained model can show: the cells of a banana; images and what comes back of them. */
export async function modelPictures(run: PlottedRun, images: number): Promise<Picture[]> {
  const opened = await openRun(run.folder);
  try {
    if (run.config.data === 'banana') return [await cellPicture(opened)];
    return await reconstructionPictures(opened, images);
  } finally {
    opened.dispose();
  }
}

async function cellPicture(run: Run): Promise<Picture> {
  const { width, height, extent, ids, samples, codes } = await bananaCells(run);
  const [x0, x1, y0, y1] = extent;
  const drawing = partitionChart({
    ...{ title: `cells of ${run.config.system}`, cells: { ids, width, height } },
    ...{ extent: { x: [x0, x1], y: [y0, y1] }, samples, codePoints: codes },
  });
  return { name: 'cells', drawing };
}

/** None where the data are no images, or the model has no decoder. */
async function reconstructionPictures(run: Run, images: number): Promise<Picture[]> {
  if (run.shape.length !== 3 || !run.model.decoder) return [];
  const { width, height, channels, rows } = await reconstructions(run, images);
  const drawing = imageGrid({
    ...{ title: `reconstructions of ${run.config.system}`, imageWidth: width, imageHeight: height },
    ...{ channels: channels === 3 ? 3 : 1, layout: 'hwc' },
    rows: rows.map(({ label, images: pixels }) => ({ label, pixels })),
  });
  return [{ name: 'reconstructions', drawing }];
}
