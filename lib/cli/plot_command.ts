/** `bince plot`: pictures of training runs, as SVG and PNG. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Argument, type Command } from 'commander';
import { NewFileSink } from '../codec/byte_sink.js';
import { fileError } from '../codec/file_errors.js';
import { BinceError } from '../errors.js';
import { svgDocument, svgToPng } from '../report/index.js';
import { createCommand, type Session, setAction } from './command.js';
import { type CommonOptions, integer } from './options.js';
import {
  curvePictures,
  modelPictures,
  type Picture,
  type PlottedRun,
  ratePicture,
  readPlottedRun,
} from './run_plots.js';

interface PlotOptions extends CommonOptions {
  readonly out?: string;
  readonly images: number;
}

export function plotCommand(): Command {
  const command = createCommand({
    name: 'plot',
    summary: 'draw training runs: curves, rate against accuracy, cells, reconstructions',
    examples: [
      'plot runs/vic-mnist',
      'plot runs/vc-mnist runs/vic-mnist runs/bince-mnist --out comparison',
      'plot runs/vic-banana --json',
    ],
  });
  command
    .addArgument(new Argument('<runs...>', 'run folders of bince train; more than one are compared'))
    .option(
      '-o, --out <folder>',
      'where the pictures go, of several runs those that compare them (default: plots/ of the run, plots/compared of the first)',
    )
    .option('--images <n>', 'images among the reconstructions', integer(1, 100), 12);
  return setAction<PlotOptions>(command, async (session, options, args) => {
    const folders = args.flat();
    const runs: PlottedRun[] = [];
    for (const folder of folders) runs.push(await readPlottedRun(folder));
    const files = new PictureFiles(session);
    for (const run of runs) {
      session.signal.throwIfAborted();
      const folder = runs.length === 1 && options.out ? options.out : join(run.folder, 'plots');
      await files.write(folder, [...curvePictures([run]), ...(await modelPictures(run, options.images))]);
      await files.write(folder, [ratePicture([run]) ?? []].flat());
    }
    if (runs.length > 1) {
      const folder = options.out ?? join(folders[0]!, 'plots', 'compared');
      await files.write(folder, [...curvePictures(runs), ...[ratePicture(runs) ?? []].flat()]);
    }
    for (const { folder, evaluation } of runs)
      if (!evaluation) session.report.note(`${folder} was not measured; for its rate: bince eval ${folder}`);
    await session.report.result({ event: 'plotted', files: files.written }, () => files.written.join('\n'));
  });
}

/** Writes pictures and remembers their names. */
class PictureFiles {
  readonly written: string[] = [];
  readonly #session: Session;
  #renderer = true;

  constructor(session: Session) {
    this.#session = session;
  }

  async write(folder: string, pictures: readonly Picture[]): Promise<void> {
    await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
      throw fileError('make the folder', folder, cause);
    });
    for (const { name, drawing } of pictures) {
      await this.#file(join(folder, `${name}.svg`), Buffer.from(svgDocument(drawing)));
      const png = this.#renderer ? await this.#render(drawing) : undefined;
      if (png) await this.#file(join(folder, `${name}.png`), png);
    }
  }

  /** A PNG, or a remark, once, that the optional package for it is missing. */
  async #render(drawing: Picture['drawing']): Promise<Buffer | undefined> {
    try {
      return await svgToPng(drawing);
    } catch (error) {
      if (!(error instanceof BinceError) || error.code !== 'BINCE_UNSUPPORTED') throw error;
      this.#session.report.note(
        `${error.message}${error.hint ? ` (${error.hint})` : ''}; only SVG is written`,
      );
      this.#renderer = false;
      return undefined;
    }
  }

  async #file(path: string, bytes: Buffer): Promise<void> {
    const sink = await NewFileSink.create(path);
    try {
      await sink.write(bytes);
    } catch (error) {
      await sink.abort();
      throw error;
    }
    await sink.close();
    this.written.push(path);
  }
}
