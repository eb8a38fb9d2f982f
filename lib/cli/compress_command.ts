/** `bince compress`: vectors and a model, or images and a training run, to a .bince file. */
import { Argument, type Command, Option } from 'commander';
import { BinceWriter, type CodecModel, type WriterStatistics } from '../codec/index.js';
import { openVectors, type VectorFile } from '../data/index.js';
import { BinceError } from '../errors.js';
import { ProgressBar } from '../report/progress_bar.js';
import { createCommand, type Session, setAction } from './command.js';
import { compressWithRun, isRun } from './compress_run.js';
import { usageError } from './failures.js';
import { checkOutput, outputTarget } from './files.js';
import { openModel } from './open_model.js';
import { type CommonOptions, integer } from './options.js';
import { speedLines, speedSummary, type Work } from './stages.js';
import { bytes, fields, plural, significant } from './terminal.js';

interface CompressOptions extends CommonOptions {
  readonly model: string;
  readonly output: string;
  readonly coder?: 'rans' | 'range';
  readonly blockRows?: number;
  readonly tensor?: string;
  readonly split?: 'train' | 'test';
}

export function compressCommand(): Command {
  const command = createCommand({
    name: 'compress',
    summary: 'write vectors with a model, or images with a training run, to a .bince file',
    examples: [
      'compress embeddings.npy -m model.safetensors -o embeddings.bince',
      'compress embeddings.npy -m model.safetensors -o small-blocks.bince --block-rows 256',
      'compress embeddings.npy -m model.safetensors -o - | ssh host "cat > embeddings.bince"',
      'compress photos/ -m runs/vic-mnist -o photos.bince',
    ],
  });
  command
    .addArgument(
      new Argument(
        '<vectors>',
        'one vector a row: .npy (f4, f2, f8), .safetensors or .fvecs; with a run: images, or a data set (mnist)',
      ),
    )
    .requiredOption('-m, --model <file>', 'the model, made by fit or import; or a run folder of train')
    .requiredOption('-o, --output <file>', 'the .bince file; - for stdout')
    .addOption(new Option('--coder <name>', 'entropy coder (default: rans)').choices(['rans', 'range']))
    .option(
      '--block-rows <n>',
      'rows of a block, the unit of random access (default: 4096)',
      integer(1, 1 << 20),
    )
    .option('--tensor <name>', 'which tensor of a .safetensors file')
    .addOption(
      new Option('--split <name>', 'with a run: which part of a data set (default: test)').choices([
        'train',
        'test',
      ]),
    );
  return setAction<CompressOptions>(command, async (session, options, [path]) => {
    if (await isRun(options.model)) return await compressWithRun(path!, options, session);
    if (options.split)
      usageError('--split goes with a training run', 'name one: -m runs/NAME, or leave --split out');
    const target = outputTarget(options.output, session.report.json);
    await checkOutput(options.output, path!, options.model);
    const vectors = await openVectors(path!, options);
    try {
      const model = await openModel(options.model);
      checkFit(vectors, model, path!, options.model);
      const started = performance.now();
      const { coder, blockRows } = options;
      const writer = await BinceWriter.create(target, model, {
        ...(coder ? { coder } : {}),
        ...(blockRows ? { blockRows } : {}),
        signal: session.signal,
      });
      const statistics = await writeRows(writer, vectors, session);
      await reportCompression(
        statistics,
        vectors,
        options.output,
        (performance.now() - started) / 1000,
        session,
      );
    } finally {
      await vectors.close();
    }
  });
}

function checkFit(vectors: VectorFile, model: CodecModel, path: string, modelPath: string): void {
  if (vectors.channels !== model.channels) {
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `${path} has ${plural(vectors.channels, 'channel')}, the model ${modelPath} has ${model.channels}`,
      { hint: `fit a model to these vectors: bince fit ${path} -o model.safetensors` },
    );
  }
  if (model.dtype === 'int32') {
    throw new BinceError('BINCE_UNSUPPORTED', `${modelPath} codes integer symbols, not vectors of floats`, {
      hint: 'use the TypeScript API (BinceWriter) for symbols',
    });
  }
}

async function writeRows(
  writer: BinceWriter,
  vectors: VectorFile,
  { signal, report }: Session,
): Promise<WriterStatistics> {
  const progress = new ProgressBar({
    label: 'compressing',
    total: vectors.rows,
    unit: 'rows',
    quiet: report.quiet,
  });
  let rows = 0;
  try {
    // Chunks that the writer codes where they are; it finds values that cannot be coded, the file names them.
    // Where one block is more than that, the writer gathers it.
    const most = Math.max(1, Math.floor(2 ** 24 / vectors.channels));
    const options = { rows: Math.min(writer.batchRows, most), reuse: true, unchecked: true, signal };
    for await (const batch of vectors.batches(options)) {
      await writer.write(batch).catch((error: unknown) => {
        vectors.check(batch, rows);
        throw error;
      });
      rows += batch.length / vectors.channels;
      progress.update(rows);
    }
    return await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  } finally {
    progress.end();
  }
}

async function reportCompression(
  statistics: WriterStatistics,
  vectors: VectorFile,
  output: string,
  seconds: number,
  session: Session,
): Promise<void> {
  const { rows, blocks, bytes: size, bitsPerRow } = statistics;
  const idealBitsPerRow = statistics.idealBits === undefined ? undefined : statistics.idealBits / rows;
  const work: Work = {
    ...{ rows, channels: vectors.channels, valueBytes: vectors.valueBytes, seconds },
    stages: { reading: vectors.readSeconds, ...statistics.seconds },
  };
  const summary = {
    ...{ event: 'compressed', output, rows, channels: vectors.channels, blocks, bytes: size },
    ...{ inputBytes: vectors.valueBytes, ratio: vectors.valueBytes / size, bitsPerRow, idealBitsPerRow },
    ...speedSummary(work),
  };
  const text = () =>
    fields([
      [
        'written',
        `${output}: ${plural(rows, 'row')} of ${plural(vectors.channels, 'channel')}, ${plural(blocks, 'block')}`,
      ],
      [
        'size',
        `${bytes(size)}, ${significant(summary.ratio)} times smaller than the input (${bytes(vectors.valueBytes)} of ${vectors.dtype})`,
      ],
      [
        'bits a row',
        `${significant(bitsPerRow)} in the file, ${significant(idealBitsPerRow ?? Number.NaN)} ideal (the rows' cross-entropy under the model)`,
      ],
      ...speedLines(work),
    ]);
  // With -o - stdout is the file: the summary goes to stderr.
  if (output === '-') session.report.note(text());
  else await session.report.result(summary, text);
}
