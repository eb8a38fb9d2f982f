/** `bince inspect`: what a .bince file or a model is, whether it is whole, and what could be saved of it. */
import { open } from 'node:fs/promises';
import { Argument, type Command } from 'commander';
import {
  type BinceInfo,
  BinceReader,
  idealBits,
  modelHash,
  type Recovery,
  type Verification,
} from '../codec/index.js';
import { createCommand, type Session, setAction } from './command.js';
import { exitCodes, usageError } from './failures.js';
import { checkInput } from './files.js';
import { openModel } from './open_model.js';
import type { CommonOptions } from './options.js';
import { bytes, count, fields, paint, plural, significant } from './terminal.js';

interface InspectOptions extends CommonOptions {
  readonly verify?: boolean;
  readonly recover?: boolean;
}

export function inspectCommand(): Command {
  const command = createCommand({
    name: 'inspect',
    summary: 'tell what a .bince file or a model holds, and whether it is whole',
    examples: [
      'inspect embeddings.bince',
      'inspect embeddings.bince --verify',
      'inspect cut-off.bince --recover --json',
      'inspect model.safetensors',
    ],
  });
  command
    .addArgument(new Argument('<file>', 'a .bince file, or a model (.safetensors)'))
    .option('--verify', 'decode every block; exit code 1 if any is damaged')
    .option('--recover', 'look for the blocks of a file whose index is missing, and tell what was lost');
  return setAction<InspectOptions>(command, async (session, options, [path]) => {
    await checkInput(path!, 'a .bince file or a model');
    const start = await recognise(path!);
    if (start === 'file') return inspectFile(path!, options, session);
    if (start === 'model' || path!.endsWith('.safetensors')) {
      if (options.verify || options.recover) usageError('--verify and --recover are for .bince files');
      return inspectModel(path!, session);
    }
    // Opening says how the file differs from what it should be.
    return inspectFile(path!, options, session);
  });
}

/** What a file is by its first bytes: .bince has a magic number, .safetensors a length and then JSON. */
async function recognise(path: string): Promise<'file' | 'model' | undefined> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(9), 0, 9, 0);
    const start = buffer.toString('latin1', 0, bytesRead);
    if (start.startsWith('\u0089BNC')) return 'file';
    return start[8] === '{' ? 'model' : undefined;
  } finally {
    await file.close();
  }
}

async function inspectFile(
  path: string,
  options: InspectOptions,
  { signal, report }: Session,
): Promise<void> {
  await using reader = await BinceReader.open(path, { recover: options.recover ?? false, signal });
  const { info } = reader;
  const checked = options.verify ? await reader.verify({ signal }) : undefined;
  await report.result(
    { event: 'file', ...info, ...(checked ? { verification: verificationJson(checked) } : {}) },
    () => {
      const parts = [describeInfo(info)];
      if (info.recovery) parts.push(describeRecovery(info.recovery));
      else if (options.recover)
        parts.push(paint(process.stdout, 'green', 'the index is whole: nothing to recover'));
      if (checked) parts.push(describeVerification(checked));
      return parts.join('\n');
    },
  );
  if (checked && !checked.ok) process.exitCode = exitCodes.failed;
}

function describeInfo(info: BinceInfo): string {
  const rows: [string, string][] = [
    ['file', `${info.path}: ${bytes(info.bytes)}, header ${bytes(info.headerBytes)}`],
    ['rows', `${count(info.rows)} of ${plural(info.channels, 'channel')}, given as ${info.dtype}`],
    [
      'blocks',
      `${count(info.blocks)} of ${plural(info.blockRows, 'row')}, ${info.coder}, ${info.lanes} lane${info.lanes > 1 ? 's' : ''}`,
    ],
    [
      'bits a row',
      `${significant(info.bitsPerRow)} in the file; the model expects ${significant(info.idealBitsPerRow)}`,
    ],
    ['model', `${info.name} (${info.method}), ${info.modelHash.slice(0, 16)}`],
  ];
  if (Object.keys(info.metadata).length) rows.push(['metadata', JSON.stringify(info.metadata)]);
  return fields(rows);
}

function describeRecovery(recovery: Recovery): string {
  const { wholeBlocks, damagedBlocks, lostBytes, rows, reason, uncertainFrom } = recovery;
  const lines = [
    paint(process.stdout, 'yellow', `the index could not be used: ${reason}`),
    `recovered: ${plural(wholeBlocks, 'whole block')}, ${plural(rows, 'row')}`,
    `lost: ${bytes(lostBytes)} after the last whole block${damagedBlocks.length ? `, and the damaged blocks ${damagedBlocks.join(', ')}` : ''}`,
  ];
  if (uncertainFrom !== undefined)
    lines.push(`rows from block ${uncertainFrom} on may have other numbers than they had`);
  lines.push('to save the rows: bince decompress FILE -o rows.npy --recover');
  return lines.join('\n');
}

function describeVerification({ ok, blocks, rows, bad }: Verification): string {
  if (bad.length === 0) {
    const text = `verified: ${plural(blocks, 'block')}, ${plural(rows, 'row')} decode`;
    return ok ? paint(process.stdout, 'green', text) : text;
  }
  const list = bad.map(
    ({ block, firstRow, rows: n, error }) =>
      `  block ${block}, rows ${firstRow} to ${firstRow + n - 1}: ${error.message}`,
  );
  const hint = 'to save the other rows: bince decompress FILE -o rows.npy --recover';
  return [
    paint(process.stdout, 'red', `damaged: ${bad.length} of ${plural(blocks, 'block')}`),
    ...list,
    hint,
  ].join('\n');
}

function verificationJson({ ok, blocks, rows, bad }: Verification): object {
  return { ok, blocks, rows, bad: bad.map(({ error, ...place }) => ({ ...place, message: error.message })) };
}

async function inspectModel(path: string, { report }: Session): Promise<void> {
  const model = await openModel(path);
  const { name, method, channels, dtype, metadata, tables } = model;
  const summary = {
    ...{ event: 'model', path, name, method, channels, dtype, metadata },
    ...{ tables: tables.offset.length, entries: tables.cdf.length - tables.offset.length },
    ...{
      hash: modelHash(model),
      idealBitsPerRow: idealBits(model),
      network: Object.keys(model.network ?? {}),
    },
  };
  const [least, most] = model.step.reduce(
    ([a, b], s) => [Math.min(a, s), Math.max(b, s)],
    [Number.POSITIVE_INFINITY, 0],
  );
  await report.result(summary, () =>
    fields([
      ['model', `${path}: ${name} (${method}), ${summary.hash.slice(0, 16)}`],
      ['channels', `${count(channels)}, ${dtype}`],
      ['step', least === most ? significant(least) : `${significant(least)} to ${significant(most)}`],
      ['tables', `${count(summary.tables)}, ${count(summary.entries)} entries`],
      ['bits a row', `${significant(summary.idealBitsPerRow)} expected`],
      ...(Object.keys(metadata).length
        ? ([['metadata', JSON.stringify(metadata)]] as [string, string][])
        : []),
    ]),
  );
}
