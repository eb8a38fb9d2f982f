/** `bince import compressai`: a CompressAI entropy bottleneck to a model of bince. */
import { Argument, Command } from 'commander';
import { createModel, idealBits, SafetensorsFile, saveModel } from '../codec/index.js';
import {
  buildTables,
  compressai,
  type ImportedBottleneck,
  packFactorizedParameters,
  type StateTensor,
  solveQuantiles,
} from '../kernels/index.js';
import { createCommand, type Session, setAction } from './command.js';
import { checkInput, checkOutput } from './files.js';
import type { CommonOptions } from './options.js';
import { fields, plural, significant } from './terminal.js';

interface ImportOptions extends CommonOptions {
  readonly output: string;
  readonly prefix?: string;
  readonly name?: string;
}

export function importCommand(): Command {
  const command = createCommand({
    name: 'compressai',
    summary: "an EntropyBottleneck's state dictionary, saved as .safetensors",
    examples: [
      'import compressai state.safetensors -o model.safetensors',
      'import compressai state.safetensors -o model.safetensors --prefix entropy_bottleneck.',
    ],
  });
  command
    .addArgument(new Argument('<state>', 'the state dictionary, .safetensors'))
    .requiredOption('-o, --output <file>', 'the model, .safetensors')
    .option('--prefix <text>', 'what stands before the names, where there are several')
    .option('--name <name>', 'name of the model');
  setAction<ImportOptions>(command, async (session, options, [path]) => {
    await checkInput(path!, 'a state dictionary, .safetensors');
    await checkOutput(options.output, path!);
    const state = await readState(path!);
    const { prefix } = options;
    const found = compressai.importStateDict(state, prefix === undefined ? {} : { prefix });
    const model = await toModel(found, options.name ?? 'compressai', session);
    await saveModel(options.output, model);
    const stored = found.tables !== undefined;
    await session.report.result(
      {
        event: 'imported',
        output: options.output,
        channels: model.channels,
        storedTables: stored,
        idealBitsPerRow: idealBits(model),
      },
      () =>
        fields([
          ['model', `${options.output}: ${plural(model.channels, 'channel')}`],
          [
            'tables',
            stored
              ? 'kept as they were stored'
              : 'built from the network (none were stored), with solved quantiles',
          ],
          ['bits a row', `${significant(idealBits(model))} expected`],
        ]),
    );
  });
  return new Command('import').description("make a model from another library's").addCommand(command);
}

async function readState(path: string): Promise<Record<string, StateTensor>> {
  await using file = await SafetensorsFile.open(path);
  const state: Record<string, StateTensor> = {};
  for (const [name, { dtype, shape }] of file.tensors) {
    const isInteger = /^[IU]|^BOOL$/.test(dtype);
    state[name] = { shape, data: isInteger ? await file.readInt32(name) : await file.readFloat32(name) };
  }
  return state;
}

async function toModel(found: ImportedBottleneck, name: string, { signal }: Session) {
  const { channels, parameters, scaling, biasing } = found;
  const filters = parameters.widths.slice(1, -1);
  const packed = packFactorizedParameters(channels, parameters, filters);
  let { tables, medians } = found;
  if (!tables) {
    const network = { channels, filters, parameters: packed, signal };
    const { quantiles } = await solveQuantiles(network);
    tables = await buildTables({ ...network, quantiles, tail: 'compressai' });
    medians = Float32Array.from({ length: channels }, (_, c) => quantiles[3 * c + 1]!);
  }
  return createModel({
    ...{ name, method: 'compressai', channels, tables, median: medians },
    // y = (x + biasing) * exp(scaling)
    ...(scaling ? { step: scaling.map((s) => Math.exp(-s)) } : {}),
    ...(biasing ? { shift: biasing.map((b) => -b) } : {}),
    network: {
      parameters: { shape: [packed.length / channels, channels], data: packed },
      filters: { shape: [filters.length], data: Int32Array.from(filters) },
      quantiles: { shape: [channels, 3], data: found.quantiles },
    },
  });
}
