/** `bince eval`: what a trained compressor costs in bits, and what it keeps. */
import { Argument, type Command } from 'commander';
import { type EvaluateOptions, evaluateRun, openRun } from '../systems/lossless-prediction/index.js';
import { createCommand, setAction } from './command.js';
import { evaluationTable } from './evaluation_table.js';
import type { CommonOptions } from './options.js';

interface EvalOptions extends CommonOptions {
  readonly fast?: boolean;
}

/** For a first impression. */
const kFast: EvaluateOptions = {
  ...{ examples: 2000, probeExamples: 10_000, probeViews: 1, probeEpochs: 3, reconstructions: false },
};

export function evalCommand(): Command {
  const command = createCommand({
    name: 'eval',
    summary: 'measure a trained run: bits of the model and of the file, accuracy, distortion',
    examples: ['eval runs/bince-mnist', 'eval runs/bince-mnist --fast', 'eval runs/banana --json'],
  });
  command
    .addArgument(
      new Argument('<run>', 'a run folder of bince train; eval.json and test.bince are written into it'),
    )
    .option('--fast', 'smaller classifiers and fewer examples: a first impression');
  return setAction<EvalOptions>(command, async (session, { fast = false }, [folder]) => {
    const { signal, report } = session;
    const run = await openRun(folder!);
    try {
      const evaluation = await evaluateRun(run, {
        ...(fast ? kFast : {}),
        ...{ signal, onProgress: (what) => report.note(`eval: ${what}`) },
      });
      await report.result({ event: 'evaluated', run: folder, ...evaluation }, () =>
        evaluationTable(evaluation),
      );
    } finally {
      run.dispose();
    }
  });
}
