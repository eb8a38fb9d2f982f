/** State dictionaries of CompressAI's EntropyBottleneck, in the names of its old and new versions. */
import { BinceError } from '../errors.js';
import type { CdfTables } from './tables.js';

/** One tensor of a state dictionary, row-major. */
export interface StateTensor {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number | bigint>;
}

/** The network of the factorised model, layer by layer, as stored: before softplus and tanh. */
export interface StateParameters {
  /** Layer k: [C, out, in] before softplus. */
  readonly matrices: Float32Array[];
  /** Layer k: [C, out, 1]. */
  readonly biases: Float32Array[];
  /** Layer k, all but the last: [C, out, 1] before tanh. */
  readonly factors: Float32Array[];
  /** Widths between the layers: 1, 3, 3, 3, 3, 1 by default. */
  readonly widths: number[];
}

/** What a state dictionary holds of an entropy bottleneck. */
export interface ImportedBottleneck {
  readonly channels: number;
  /** The stored integer tables; undefined where update() was never called: build them anew. */
  readonly tables: CdfTables | undefined;
  /** [C] */
  readonly medians: Float32Array;
  /** [C, 1, 3]: lower, median, upper. */
  readonly quantiles: Float32Array;
  readonly parameters: StateParameters;
  /** [C] where the model has them (the CLIP compressor): z = (x + biasing) * exp(scaling). */
  readonly scaling: Float32Array | undefined;
  readonly biasing: Float32Array | undefined;
}

type Tensors = Readonly<Record<string, StateTensor>>;

const quantilesName = /^(.*?)quantiles$/;

function fail(message: string, hint?: string): never {
  throw new BinceError('BINCE_INVALID_ARGUMENT', message, hint === undefined ? {} : { hint });
}

function checked(name: string, tensor: StateTensor | undefined, shape: (number | undefined)[]): StateTensor {
  if (!tensor) fail(`${name}: expected a tensor, received none`);
  const fits =
    tensor.shape.length === shape.length &&
    shape.every((size, i) => size === undefined || size === tensor.shape[i]);
  const expected = `[${shape.map((size) => size ?? 'any').join(', ')}]`;
  if (!fits) fail(`${name}: expected shape ${expected}, received [${tensor.shape.join(', ')}]`);
  const count = tensor.shape.reduce((a, b) => a * b, 1);
  if (tensor.data.length !== count)
    fail(`${name}: expected ${count} numbers, received ${tensor.data.length}`);
  return tensor;
}

function floats(name: string, tensor: StateTensor): Float32Array {
  const out = Float32Array.from(tensor.data, Number);
  const bad = out.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) fail(`${name}: expected finite numbers, received ${out[bad]} at ${bad}`);
  return out;
}

/** The prefix of the one entropy bottleneck: everything before `quantiles`. */
function findPrefix(tensors: Tensors): string {
  const prefixes = Object.keys(tensors).flatMap((name) => quantilesName.exec(name)?.slice(1, 2) ?? []);
  if (prefixes.length === 1) return prefixes[0]!;
  const names = Object.keys(tensors).slice(0, 8).join(', ');
  if (prefixes.length === 0)
    fail(`no entropy bottleneck: no tensor is named *.quantiles, there are ${names}`);
  return fail(
    `several entropy bottlenecks: ${prefixes.map((p) => `'${p}'`).join(', ')}`,
    `choose one with prefix: '${prefixes[0]}'`,
  );
}

/** Layer k under its old name (`_matrix0`) or its new one (`matrices.0`). */
function layer(tensors: Tensors, prefix: string, kind: 'matrix' | 'bias' | 'factor', k: number) {
  const plural = { matrix: 'matrices', bias: 'biases', factor: 'factors' }[kind];
  for (const name of [`${prefix}_${kind}${k}`, `${prefix}${plural}.${k}`]) {
    const tensor = tensors[name];
    if (tensor) return { name, tensor };
  }
  return undefined;
}

function readParameters(tensors: Tensors, prefix: string, channels: number): StateParameters {
  const matrices: Float32Array[] = [];
  const biases: Float32Array[] = [];
  const factors: Float32Array[] = [];
  const widths = [1];
  for (let k = 0; ; ++k) {
    const matrix = layer(tensors, prefix, 'matrix', k);
    if (!matrix) break;
    const width = widths[k]!;
    const { shape } = checked(matrix.name, matrix.tensor, [channels, undefined, width]);
    const out = shape[1]!;
    widths.push(out);
    matrices.push(floats(matrix.name, matrix.tensor));
    const bias = layer(tensors, prefix, 'bias', k);
    biases.push(floats(`bias ${k}`, checked(`${prefix}bias ${k}`, bias?.tensor, [channels, out, 1])));
    const factor = layer(tensors, prefix, 'factor', k);
    if (factor) factors.push(floats(factor.name, checked(factor.name, factor.tensor, [channels, out, 1])));
  }
  if (matrices.length === 0) fail(`${prefix}_matrix0: expected a tensor, received none`);
  if (widths.at(-1) !== 1)
    fail(`${prefix}matrices: expected a last layer of width 1, received ${widths.at(-1)}`);
  if (factors.length !== matrices.length - 1)
    fail(`${prefix}factors: expected ${matrices.length - 1}, received ${factors.length}`);
  return { matrices, biases, factors, widths };
}

/** The stored tables, whose rows are padded to the longest; undefined where they are absent or empty. */
function readTables(tensors: Tensors, prefix: string, channels: number): CdfTables | undefined {
  const stored = tensors[`${prefix}_quantized_cdf`];
  if (!stored || stored.data.length === 0) return undefined;
  const padded = checked(`${prefix}_quantized_cdf`, stored, [channels, undefined]);
  const width = padded.shape[1]!;
  const lengths = checked(`${prefix}_cdf_length`, tensors[`${prefix}_cdf_length`], [channels]);
  const offsets = checked(`${prefix}_offset`, tensors[`${prefix}_offset`], [channels]);
  const start = new Int32Array(channels + 1);
  for (let c = 0; c < channels; ++c) {
    const length = Number(lengths.data[c]);
    if (!Number.isInteger(length) || length < 3 || length > width)
      fail(`${prefix}_cdf_length: expected 3 to ${width}, received ${length} for channel ${c}`);
    start[c + 1] = start[c]! + length;
  }
  const cdf = new Int32Array(start[channels]!);
  for (let c = 0; c < channels; ++c)
    for (let i = 0; i < start[c + 1]! - start[c]!; ++i)
      cdf[start[c]! + i] = Number(padded.data[c * width + i]);
  return { cdf, start, offset: Int32Array.from(offsets.data, Number) };
}

/** A vector [C] that stands beside the bottleneck, not inside it: in the module that holds it. */
function readBeside(
  tensors: Tensors,
  prefix: string,
  name: string,
  channels: number,
): Float32Array | undefined {
  const outer = prefix.replace(/[^.]*\.$/, '');
  for (const full of new Set([`${outer}${name}`, `${prefix}${name}`])) {
    const tensor = tensors[full];
    if (tensor && tensor.data.length === channels) return floats(full, tensor);
    if (tensor) fail(`${full}: expected ${channels} numbers, received ${tensor.data.length}`);
  }
  return undefined;
}

/**
 * Reads an EntropyBottleneck out of a state dictionary, in the names of CompressAI before and after 1.2.5
 * (`entropy_bottleneck._matrix0`, `entropy_bottleneck.matrices.0`). Stored tables are kept as they are, never rebuilt:
 * versions before 1.2.4 computed them in another way. Throws BINCE_INVALID_ARGUMENT naming the tensor that is missing
 * or has another shape.
 * @param options.prefix what stands before `quantiles`, as `entropy_bottleneck.`; found by itself if there is only one
 */
export function importStateDict(tensors: Tensors, options: { prefix?: string } = {}): ImportedBottleneck {
  const asked = options.prefix;
  const prefix =
    asked === undefined ? findPrefix(tensors) : asked && !asked.endsWith('.') ? `${asked}.` : asked;
  const name = `${prefix}quantiles`;
  const stored = checked(name, tensors[name], [undefined, 1, 3]);
  const channels = stored.shape[0]!;
  if (channels < 1) fail(`${name}: expected at least one channel`);
  const quantiles = floats(name, stored);
  return {
    channels,
    tables: readTables(tensors, prefix, channels),
    medians: Float32Array.from({ length: channels }, (_, c) => quantiles[3 * c + 1]!),
    quantiles,
    parameters: readParameters(tensors, prefix, channels),
    scaling: readBeside(tensors, prefix, 'scaling', channels),
    biasing: readBeside(tensors, prefix, 'biasing', channels),
  };
}
