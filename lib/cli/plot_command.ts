/** `bince plot`: pictures of training runs, as SVG and PNG. */
import { join } from 'node:path';
import { Argument, type Command } from 'commander';
import { createCommand, setAction } from './command.js';
import { type CommonOptions, integer } from './options.js';
import { PictureFiles } from './picture_files.js';
import { curvePictures, modelPictures, type PlottedRun, ratePicture, readPlottedRun } from './run_plots.js';

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
