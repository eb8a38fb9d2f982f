/** `bince decompress`: a .bince file, or some of its rows, to .npy. */
import { Argument, type Command, Option } from 'commander';
import { BinceReader } from '../codec/index.js';
import { NpyWriter } from '../data/index.js';
import { BinceError } from '../errors.js';
import { ProgressBar } from '../report/progress_bar.js';
import { createCommand, type Session, setAction } from './command.js';
import { checkInput, checkOutput, outputTarget } from './files.js';
import { type CommonOptions, type RowRange, rowRange } from './options.js';
import { speedLines, speedSummary, type Work } from './stages.js';
import { fields, plural } from './terminal.js';

interface DecompressOptions extends CommonOptions {
  readonly output: string;
  readonly rows?: RowRange;
  readonly dtype?: 'f4' | 'f2';
  readonly recover?: boolean;
}

export function decompressCommand(): Command {
  const command = createCommand({
    name: 'decompress',
    summary: 'read a .bince file back to .npy; no model is needed',
    examples: [
      'decompress embeddings.bince -o embeddings.npy',
      'decompress embeddings.bince -o some.npy --rows 1000:2000',
      'decompress cut-off.bince -o what-is-left.npy --recover',
    ],
  });
  command
    .addArgument(new Argument('<file>', 'a .bince file'))
    .requiredOption('-o, --output <file>', 'the .npy file; - for stdout')
    .option('--rows <a:b>', 'rows a to b - 1 alone, counted from 0', rowRange)
    .addOption(
      new Option('--dtype <type>', 'numbers in the output (default: as they were given)').choices([
        'f4',
        'f2',
      ]),
    )
    .option('--recover', 'write the rows that are left of a damaged or cut off file');
  return setAction<DecompressOptions>(command, async (session, options, [path]) => {
    const target = outputTarget(options.output, session.report.json);
    await checkOutput(options.output, path!);
    await checkInput(path!, 'a .bince file');
    await using reader = await BinceReader.open(path!, {
      recover: options.recover ?? false,
      signal: session.signal,
    });
    if (reader.info.recovery)
      session.report.note(
        `${path}: ${reader.info.recovery.reason}; reading the ${plural(reader.length, 'row')} that are left`,
      );
    const { from, to } = checkRows(options.rows, reader.length, path!);
    const dtype = outputDtype(options.dtype, reader, path!);
    const started = performance.now();
    const lost = options.recover ? await lostRows(reader, from, to, session) : 0;
    const rows = to - from - lost;
    const seconds = await writeRows(reader, target, { from, to, rows, dtype }, session).catch(
      (error: unknown) => explainDamage(error, path!),
    );
    const { channels } = reader.info;
    const work: Work = {
      ...{ rows, channels, valueBytes: rows * channels * (dtype === 'float16' ? 2 : 4) },
      seconds: (performance.now() - started) / 1000,
      stages: { ...reader.seconds, ...seconds },
    };
    const text = () =>
      fields([
        ['written', `${options.output}: ${plural(rows, 'row')} of ${plural(channels, 'channel')}`],
        ...speedLines(work),
      ]);
    if (options.output === '-') session.report.note(text());
    else
      await session.report.result(
        {
          event: 'decompressed',
          output: options.output,
          from,
          to,
          rows,
          lost,
          channels,
          ...speedSummary(work),
        },
        text,
      );
  });
}

function checkRows(range: RowRange | undefined, length: number, path: string): { from: number; to: number } {
  const from = range?.from ?? 0;
  const to = range?.to ?? length;
  if (from > length || to > length) {
    throw new BinceError(
      'BINCE_INVALID_ARGUMENT',
      `--rows ${from}:${to}: ${path} has ${plural(length, 'row')}`,
      {
        hint: `choose from 0:${length}`,
      },
    );
  }
  return { from, to };
}

type NpyDtype = 'float32' | 'float16' | 'int32';

function outputDtype(asked: 'f4' | 'f2' | undefined, reader: BinceReader, path: string): NpyDtype {
  const { dtype } = reader.info;
  if (dtype === 'int32') {
    if (asked)
      throw new BinceError('BINCE_UNSUPPORTED', `${path} holds integer symbols`, {
        hint: 'leave out --dtype',
      });
    return 'int32';
  }
  if (asked) return asked === 'f2' ? 'float16' : 'float32';
  return dtype === 'float16' ? 'float16' : 'float32';
}

/** Rows of damaged blocks, which are left out; people are told which. */
async function lostRows(
  reader: BinceReader,
  from: number,
  to: number,
  { signal, report }: Session,
): Promise<number> {
  let lost = 0;
  for (const { block, firstRow, rows } of (await reader.verify({ signal })).bad) {
    const first = Math.max(from, firstRow);
    const end = Math.min(to, firstRow + rows);
    if (first >= end) continue;
    lost += end - first;
    report.note(
      `rows ${first} to ${end - 1} are lost: block ${block} is damaged; the rows after them move up`,
    );
  }
  return lost;
}

/** One damaged block does not keep people from the others. */
function explainDamage(error: unknown, path: string): never {
  if (!(error instanceof BinceError) || error.code !== 'BINCE_CORRUPT_DATA' || error.hint) throw error;
  throw new BinceError(error.code, `${path}: ${error.message}`, {
    hint: 'the other blocks still decode: --recover writes their rows, inspect --verify lists the damaged ones',
    cause: error,
  });
}

async function writeRows(
  reader: BinceReader,
  target: string | NodeJS.WriteStream,
  { from, to, rows: left, dtype }: { from: number; to: number; rows: number; dtype: NpyDtype },
  { signal, report }: Session,
): Promise<NpyWriter['seconds']> {
  const writer = await NpyWriter.create(target, { rows: left, channels: reader.info.channels, dtype });
  const progress = new ProgressBar({
    label: 'decompressing',
    total: to - from,
    unit: 'rows',
    quiet: report.quiet,
  });
  try {
    for await (const { firstRow, rows, data } of reader.batches({
      ...{ begin: from, end: to, signal, skipDamaged: left < to - from, reuse: true },
    })) {
      await writer.write(data);
      progress.update(firstRow + rows - from);
    }
    signal.throwIfAborted();
    await writer.finish();
    return writer.seconds;
  } catch (error) {
    await writer.abort();
    throw error;
  } finally {
    progress.end();
  }
}
