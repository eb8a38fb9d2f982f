/** The parameters of the factorised entropy model: their layout, their start values, and CompressAI's arrays. */
import { invalidArgument } from '../errors.js';
import { checkCount, checkFloats, checkNumber, checkPositive } from './entropy_arguments.js';

/** Hidden widths of CompressAI's default network: 58 parameters a channel. */
export const defaultFilters: readonly number[] = [3, 3, 3, 3];

/** Where one layer's parameters lie among a channel's. */
export interface FactorizedLayer {
  readonly inputs: number;
  readonly outputs: number;
  /** Index of the first matrix entry: [outputs][inputs], before softplus. */
  readonly matrix: number;
  readonly bias: number;
  /** Index of the first factor (before tanh); undefined in the last layer. */
  readonly factor: number | undefined;
}

/** The layers of a network with the given hidden widths (1 to 8 of them, 1 to 16 wide). */
export function factorizedLayers(filters: readonly number[] = defaultFilters): FactorizedLayer[] {
  if (!Array.isArray(filters) || filters.length < 1 || filters.length > 8)
    invalidArgument('filters', '1 to 8 hidden widths', filters);
  for (const width of filters)
    if (!Number.isInteger(width) || width < 1 || width > 16)
      invalidArgument('filters', 'widths from 1 to 16', width);
  const widths = [1, ...filters, 1];
  const layers: FactorizedLayer[] = [];
  let next = 0;
  for (let k = 0; k + 1 < widths.length; k++) {
    const inputs = widths[k]!;
    const outputs = widths[k + 1]!;
    const bias = next + inputs * outputs;
    const last = k + 2 === widths.length;
    layers.push({ inputs, outputs, matrix: next, bias, factor: last ? undefined : bias + outputs });
    next = bias + outputs * (last ? 1 : 2);
  }
  return layers;
}

/** P, the number of parameters a channel: 58 by default. */
export function parameterCount(filters?: readonly number[]): number {
  return factorizedLayers(filters).at(-1)!.bias + 1;
}

/** CompressAI's arrays of an EntropyBottleneck: a layer's matrix is [C, out, in], bias and factor [C, out, 1]. */
export interface FactorizedArrays {
  readonly matrices: readonly Float32Array[];
  readonly biases: readonly Float32Array[];
  readonly factors: readonly Float32Array[];
}

type Place = (
  layer: FactorizedLayer,
  k: number,
) => [array: Float32Array | undefined, first: number, count: number][];

function places(arrays: FactorizedArrays): Place {
  return (layer, k) => [
    [arrays.matrices[k], layer.matrix, layer.inputs * layer.outputs],
    [arrays.biases[k], layer.bias, layer.outputs],
    ...(layer.factor === undefined
      ? []
      : [[arrays.factors[k], layer.factor, layer.outputs] as [Float32Array | undefined, number, number]]),
  ];
}

/** CompressAI's per-layer arrays to parameters [P][C]. */
export function packFactorizedParameters(
  channels: number,
  arrays: FactorizedArrays,
  filters?: readonly number[],
): Float32Array {
  const layers = factorizedLayers(filters);
  const C = checkCount('channels', channels, 1);
  const counts = [arrays.matrices.length, arrays.biases.length, arrays.factors.length + 1];
  if (counts.some((count) => count !== layers.length))
    invalidArgument(
      'arrays',
      `${layers.length} matrices, ${layers.length} biases and ${layers.length - 1} factors`,
      `${arrays.matrices.length}, ${arrays.biases.length} and ${arrays.factors.length}`,
    );
  const parameters = new Float32Array(parameterCount(filters) * C);
  const at = places(arrays);
  layers.forEach((layer, k) => {
    for (const [array, first, count] of at(layer, k)) {
      const source = checkFloats(`layer ${k}`, array, C * count);
      for (let c = 0; c < C; c++)
        for (let i = 0; i < count; i++) parameters[(first + i) * C + c] = source[c * count + i]!;
    }
  });
  return parameters;
}

/** Parameters [P][C] to CompressAI's per-layer arrays. */
export function unpackFactorizedParameters(
  channels: number,
  parameters: Float32Array,
  filters?: readonly number[],
): FactorizedArrays {
  const layers = factorizedLayers(filters);
  const C = checkCount('channels', channels, 1);
  checkFloats('parameters', parameters, parameterCount(filters) * C);
  const arrays: FactorizedArrays = {
    matrices: layers.map((layer) => new Float32Array(C * layer.inputs * layer.outputs)),
    biases: layers.map((layer) => new Float32Array(C * layer.outputs)),
    factors: layers.slice(0, -1).map((layer) => new Float32Array(C * layer.outputs)),
  };
  const at = places(arrays);
  layers.forEach((layer, k) => {
    for (const [array, first, count] of at(layer, k))
      for (let c = 0; c < C; c++)
        for (let i = 0; i < count; i++) array![c * count + i] = parameters[(first + i) * C + c]!;
  });
  return arrays;
}

/** Uniform numbers in [0, 1) from a 32-bit state (the splitmix32 mixer). */
function uniformSequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/**
 * Start values as CompressAI's EntropyBottleneck: matrices log(expm1(1 / s / out)) with
 * s = initScale^(1 / layers), biases uniform in (-1/2, 1/2), factors 0. The density begins about initScale wide.
 */
export function initFactorizedParameters(
  channels: number,
  options: { filters?: readonly number[]; initScale?: number; seed?: number } = {},
): Float32Array {
  const C = checkCount('channels', channels, 1);
  const layers = factorizedLayers(options.filters);
  const initScale = checkPositive('initScale', options.initScale) || 10;
  const scale = initScale ** (1 / layers.length);
  const uniform = uniformSequence(checkNumber('seed', options.seed ?? 0));
  const parameters = new Float32Array(parameterCount(options.filters) * C);
  for (const layer of layers) {
    // The default's last layer has one output, and CompressAI divides by the layer's own number of outputs.
    const start = Math.log(Math.expm1(1 / scale / layer.outputs));
    parameters.fill(start, layer.matrix * C, layer.bias * C);
    for (let at = layer.bias * C; at < (layer.bias + layer.outputs) * C; at++)
      parameters[at] = uniform() - 0.5;
  }
  return parameters;
}
