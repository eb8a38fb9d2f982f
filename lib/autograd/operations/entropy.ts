/** The entropy models as differentiable operations: bits of each example, and the values that were coded. */
import { BinceError, invalidArgument } from '../../errors.js';
import type { Quantize } from '../../kernels/entropy_arguments.js';
import { checkBound, checkCount, checkQuantize, splitSeed } from '../../kernels/entropy_arguments.js';
import { parameterCount } from '../../kernels/factorized_parameters.js';
import { native } from '../../native.js';
import { defaultGenerator, type Generator } from '../../tensor/generator.js';
import { describeShape, sameShape } from '../../tensor/shapes.js';
import { emptyTensor, type Tensor } from '../../tensor/tensor.js';
import { checkOneDevice, checkPlacedTensor } from '../arguments.js';
import { record, willRecord } from '../tape.js';
import { binaryOf } from './binary.js';
import { exp, neg } from './elementwise.js';
import { multiplied, sum, sumTo } from './reduce.js';

interface QuantizeOptions {
  /** 'none' (default), 'noise' U(-1/2, 1/2), or 'round', half to even, gradients straight through. */
  readonly quantize?: Quantize | undefined;
  /** Of the noise; by default the generator's next. */
  readonly seed?: number | bigint | undefined;
  /** The default generator if absent. */
  readonly generator?: Generator | undefined;
  /** The noise's number of the first row. Default 0. */
  readonly firstRow?: number | undefined;
  /** 1e-9 by default; from 1e-30 to 1. */
  readonly likelihoodFloor?: number | undefined;
}

export interface FactorizedBitsOptions extends QuantizeOptions {
  /** [P, C], parameter-major; see lib/kernels' factorizedLayers. */
  readonly parameters: Tensor;
  /** Hidden widths; 3, 3, 3, 3 (P = 58) by default. */
  readonly filters?: readonly number[] | undefined;
  /** [C], 0 by default. */
  readonly logGain?: Tensor | undefined;
  /** [C], 0 by default. */
  readonly shift?: Tensor | undefined;
  /** [C] what 'round' rounds about, 0 by default. No gradient. */
  readonly medians?: Tensor | undefined;
}

export interface GaussianBitsOptions extends QuantizeOptions {
  /** What is below counts as this. 0.11 by default. */
  readonly scaleBound?: number | undefined;
}

export interface Bits {
  /** [N] the bits of each example: the sum of -log2(likelihood) over the other axes. */
  readonly bits: Tensor;
  /** The quantised values, of the input's shape. */
  readonly values: Tensor;
}

// The part of the calls' arguments that both models share.
function quantizeArguments(options: QuantizeOptions): [number, number, number, number, number] {
  const noisy = options.quantize === 'noise';
  const seed = options.seed ?? (noisy ? (options.generator ?? defaultGenerator).nextSeed() : 0);
  return [
    checkQuantize(options.quantize),
    ...splitSeed(seed),
    checkCount('firstRow', options.firstRow ?? 0, 0),
    checkBound('likelihoodFloor', options.likelihoodFloor),
  ];
}

// A float32 tensor on any device; `halves` lets bfloat16 pass.
function checkPlaced(operation: string, value: unknown, halves = false): Tensor {
  const tensor = checkPlacedTensor(operation, value);
  if (tensor.dtype !== 'float32' && !(halves && tensor.dtype === 'bfloat16'))
    invalidArgument(operation, `a float32${halves ? ' or bfloat16' : ''} tensor`, tensor.toString());
  return tensor;
}

function vector(name: string, value: Tensor | undefined, n: number): Tensor | undefined {
  if (value === undefined) return undefined;
  checkPlaced(`factorizedBits: ${name}`, value);
  if (value.rank !== 1 || value.size !== n)
    invalidArgument(`factorizedBits: ${name}`, `shape [${n}]`, describeShape(value.shape));
  return value;
}

function like(x: Tensor | undefined, wanted: boolean): Tensor | undefined {
  return x && wanted ? emptyTensor(x.shape, 'bits', 'float32', x.device) : undefined;
}

// The bits of rows [..., ] summed to one number an example.
function perExample(bits: Tensor): Tensor {
  return bits.rank === 1 ? bits : sum(bits, { axis: bits.shape.map((_, axis) => axis).slice(1) });
}

/**
 * Bits of x [N, ..., C] under the factorised model (Balle et al. 2018), channels last: y = (x - shift) exp(logGain),
 * quantised, with likelihood sigmoid(F(v + 1/2)) - sigmoid(F(v - 1/2)) of each channel's own network F. `values` are in
 * the scaled domain: values exp(-logGain) + shift is back in x's. Throws BINCE_INVALID_VALUE with the row of a NaN or
 * an infinity.
 *
 * x is float32 or bfloat16, with a gradient of float32. Where it is on a CUDA device, so must be the other tensors;
 * values and gradients stay there, the bits of the examples are on the CPU.
 */
export function factorizedBits(x: Tensor, options: FactorizedBitsOptions): Bits {
  checkPlaced('factorizedBits', x, true);
  if (x.rank < 2 || x.size === 0)
    invalidArgument('factorizedBits', 'shape [N, ..., C]', describeShape(x.shape));
  const C = x.shape.at(-1)!;
  const P = parameterCount(options.filters);
  const { parameters } = options;
  checkPlaced('factorizedBits: parameters', parameters);
  if (!sameShape(parameters.shape, [P, C]))
    invalidArgument('factorizedBits: parameters', `shape [${P}, ${C}]`, describeShape(parameters.shape));
  const logGain = vector('logGain', options.logGain, C);
  const shift = vector('shift', options.shift, C);
  const medians = vector('medians', options.medians, C);
  checkOneDevice('factorizedBits', x, parameters, logGain, shift, medians);
  const rows = x.size / C;
  const filters = options.filters && Int32Array.from(options.filters);
  const [quantize, seedLow, seedHigh, firstRow, floor] = quantizeArguments(options);
  const rowBits = emptyTensor(x.shape.slice(0, -1), 'factorizedBits');
  const values = emptyTensor(x.shape, 'factorizedValues', 'float32', x.device);
  const inputs = [x, parameters, logGain, shift].filter((each) => each !== undefined);
  // One call for the bits, the values and the gradients; the latter with cotangents of 1, or those of dbits.
  const run = (backward: boolean, dbits: Tensor | undefined, outputs: boolean) => {
    const wanted = (input: Tensor | undefined) => like(input, backward && input?.requiresGrad === true);
    const [dx, dparameters, dlogGain, dshift] = [x, parameters, logGain, shift].map(wanted);
    native().factorizedSync(
      backward,
      rows,
      C,
      1,
      filters,
      quantize,
      seedLow,
      seedHigh,
      firstRow,
      floor,
      dbits ? 0 : 1,
      x.handle,
      parameters.handle,
      logGain?.handle,
      shift?.handle,
      medians?.handle,
      dbits?.handle,
      undefined,
      outputs ? rowBits.handle : undefined,
      undefined,
      outputs ? values.handle : undefined,
      dx?.handle,
      dparameters?.handle,
      dlogGain?.handle,
      dshift?.handle,
    );
    return [dx, dparameters, ...(logGain ? [dlogGain] : []), ...(shift ? [dshift] : [])];
  };
  const saved = run(willRecord(...inputs) && x.device === 'cpu', undefined, true);
  const bits = recordBits('factorizedBits', inputs, rowBits, saved, (dy) => run(true, dy, false));
  return { bits: perExample(bits), values: recordValues(x, values, logGain, shift, inputs) };
}

// The gradients of a constant cotangent, which means and sums give, were computed with the bits; others need a
// second pass. On a device, where nothing multiplies gradients afterwards, the second pass is the only one.
function recordBits(
  name: string,
  inputs: readonly Tensor[],
  bits: Tensor,
  saved: readonly (Tensor | undefined)[],
  again: (dy: Tensor) => readonly (Tensor | undefined)[],
): Tensor {
  const derivative = (dy: Tensor) =>
    dy.storage.constant === undefined || inputs[0]!.device !== 'cpu'
      ? again(dy)
      : saved.map((each) => each && multiplied(each, dy, 1, []));
  return record(
    name,
    inputs,
    bits,
    derivative,
    saved.filter((each) => each !== undefined),
  );
}

// v = (x - shift) exp(logGain) as far as gradients see: the noise is constant and rounding passes straight through.
function recordValues(
  x: Tensor,
  values: Tensor,
  logGain: Tensor | undefined,
  shift: Tensor | undefined,
  inputs: readonly Tensor[],
): Tensor {
  const derivative = (dv: Tensor) => {
    if (x.device !== 'cpu' && (logGain ?? shift))
      throw new BinceError(
        'BINCE_UNSUPPORTED',
        'factorizedBits: values have no gradient through logGain and shift on a device',
        { hint: "move x and the parameters with .to('cpu'), or take the gradient of the bits alone" },
      );
    const gain = logGain && exp(logGain);
    const dx = gain ? binaryOf('mul', dv, gain) : dv;
    const gradients: (Tensor | undefined)[] = [dx, undefined];
    if (logGain) {
      const centred = shift ? binaryOf('sub', x, shift) : x;
      gradients.push(logGain.requiresGrad ? sumTo(binaryOf('mul', dx, centred), logGain.shape) : undefined);
    }
    if (shift) gradients.push(shift.requiresGrad ? neg(sumTo(dx, shift.shape)) : undefined);
    return gradients;
  };
  // Without a need of its own for the parameters' gradient.
  const needed = x.requiresGrad || logGain?.requiresGrad === true || shift?.requiresGrad === true;
  return needed ? record('factorizedValues', inputs, values, derivative) : values;
}

/**
 * Bits of y [N, ...] under a Gaussian with a scale and a mean (0 if absent) for every element, convolved with a unit
 * box: Phi((v - mean + 1/2) / s) - Phi((v - mean - 1/2) / s), s = max(scale, scaleBound) (Minnen et al. 2018). 'round'
 * rounds y - mean and adds the mean back. Throws BINCE_INVALID_VALUE with the row of a NaN or an infinity. On a CUDA
 * device as factorizedBits.
 */
export function gaussianBits(
  y: Tensor,
  scale: Tensor,
  mean?: Tensor,
  options: GaussianBitsOptions = {},
): Bits {
  checkPlaced('gaussianBits', y);
  if (y.rank < 1 || y.size === 0) invalidArgument('gaussianBits', 'shape [N, ...]', describeShape(y.shape));
  for (const [name, value] of Object.entries({ scale, mean }))
    if (value !== undefined && !sameShape(checkPlaced(`gaussianBits: ${name}`, value).shape, y.shape))
      invalidArgument(`gaussianBits: ${name}`, `shape ${describeShape(y.shape)}`, describeShape(value.shape));
  checkOneDevice('gaussianBits', y, scale, mean);
  const rows = y.shape[0]!;
  const [quantize, seedLow, seedHigh, firstRow, floor] = quantizeArguments(options);
  const scaleBound = checkBound('scaleBound', options.scaleBound);
  const bits = emptyTensor([rows], 'gaussianBits');
  const values = emptyTensor(y.shape, 'gaussianValues', 'float32', y.device);
  const inputs = [y, scale, mean].filter((each) => each !== undefined);
  const run = (backward: boolean, dbits: Tensor | undefined, outputs: boolean) => {
    const wanted = (input: Tensor | undefined) => like(input, backward && input?.requiresGrad === true);
    const [dy, dscale, dmean] = [y, scale, mean].map(wanted);
    native().gaussianSync(
      backward,
      rows,
      y.size / rows,
      quantize,
      seedLow,
      seedHigh,
      firstRow,
      floor,
      scaleBound,
      dbits ? 0 : 1,
      y.handle,
      mean?.handle,
      scale.handle,
      dbits?.handle,
      undefined,
      outputs ? bits.handle : undefined,
      undefined,
      outputs ? values.handle : undefined,
      dy?.handle,
      dmean?.handle,
      dscale?.handle,
    );
    return mean ? [dy, dscale, dmean] : [dy, dscale];
  };
  const saved = run(willRecord(...inputs) && y.device === 'cpu', undefined, true);
  return {
    bits: recordBits('gaussianBits', inputs, bits, saved, (each) => run(true, each, false)),
    // v = y plus what does not depend on it, as far as gradients see.
    values: y.requiresGrad ? record('gaussianValues', [y], values, (dv) => [dv]) : values,
  };
}
