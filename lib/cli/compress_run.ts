/** `bince compress -m run`: a data set through the encoder of a training run to a .bince file. */
import { stat } from 'node:fs/promises';
import { SafetensorsFile } from '../codec/index.js';
import { compressImages, openRun } from '../systems/lossless-prediction/index.js';
import type { Session } from './command.js';
import { usageError } from './failures.js';
import { checkOutput } from './files.js';
import { bytes, count, duration, fields, plural, significant } from './terminal.js';

/** Whether a path names a training run: a folder, or the model.safetensors of one. */
export async function isRun(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return false;
  if (found.isDirectory()) return true;
  try {
    await using file = await SafetensorsFile.open(path);
    return file.metadata['format'] === 'bince-run';
  } catch {
    // What is wrong with it is told where it is opened as a model.
    return false;
  }
}

export interface CompressRunOptions {
  readonly model: string;
  readonly output: string;
  readonly coder?: string;
  readonly blockRows?: number;
  readonly tensor?: string;
  readonly split?: 'train' | 'test';
}

/** Encodes the data set and writes its codes. */
export async function compressWithRun(
  data: string,
  options: CompressRunOptions,
  session: Session,
): Promise<void> {
  const { model, output, split, ...rest } = options;
  const { signal, report } = session;
  for (const name of ['coder', 'blockRows', 'tensor'] as const)
    if (rest[name] !== undefined)
      usageError(`--${name.replace('R', '-r')} goes with a model of vectors, not with a run`, 'leave it out');
  if (output === '-') usageError('with a run the output is a file', 'name one: -o images.bince');
  await checkOutput(output, data, model);
  const run = await openRun(model);
  report.note(`compressing ${data} with ${run.folder}`);
  const started = performance.now();
  const result = await compressImages(run, data, output, { signal, ...(split && { split }) }).finally(() =>
    run.dispose(),
  );
  const seconds = (performance.now() - started) / 1000;
  const { examples, bytes: size, bitsPerExample } = result;
  await report.result({ event: 'compressed', output, ...result, seconds }, () =>
    fields([
      ['written', `${output}: ${plural(examples, 'example')}, ${bytes(size)}`],
      ['bits an example', `${significant(bitsPerExample)} in the file`],
      ['speed', `${count(examples / seconds)} examples/s (${duration(seconds)})`],
    ]),
  );
}
