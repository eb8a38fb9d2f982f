/** Convolutions of images [N, H, W, C]. */
import { invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import { describeShape } from '../../tensor/shapes.js';
import { emptyTensor, type Tensor } from '../../tensor/tensor.js';
import { checkTensor, checkWhole } from '../arguments.js';
import { record } from '../tape.js';

/** One number for both axes, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];

export interface Conv2dOptions {
  /** [O] added to every pixel. */
  readonly bias?: Tensor | undefined;
  /** Default 1. */
  readonly stride?: Pair | undefined;
  /** Zeros around the image on each side. Default 0. */
  readonly padding?: Pair | undefined;
}

export interface ConvTranspose2dOptions extends Conv2dOptions {
  /** Rows and columns added at the end of the output, less than the stride. Default 0. */
  readonly outputPadding?: Pair | undefined;
}

/** A pair of whole numbers, checked. */
export function pairOf(
  name: string,
  value: Pair | undefined,
  otherwise: number,
  least: number,
): [number, number] {
  if (value === undefined) return [otherwise, otherwise];
  const [y, x] = typeof value === 'number' ? [value, value] : value;
  return [checkWhole(name, y, least), checkWhole(name, x, least)];
}

/** Images [N, H, W, C], checked. */
export function imageShape(name: string, x: Tensor): [number, number, number, number] {
  checkTensor(name, x);
  if (x.rank !== 4) invalidArgument(name, 'images [N, H, W, C]', describeShape(x.shape));
  return x.shape as unknown as [number, number, number, number];
}

/** Windows of size k that fit. */
export function outputSize(name: string, size: number, k: number, stride: number, padding: number): number {
  const out = Math.floor((size + 2 * padding - k) / stride) + 1;
  if (out < 1) invalidArgument(name, `at least ${k} rows and columns with the padding`, size + 2 * padding);
  return out;
}

function kernelShape(name: string, w: Tensor): [number, number, number, number] {
  checkTensor(`${name}: weight`, w);
  if (w.rank !== 4) invalidArgument(`${name}: weight`, 'shape [kh, kw, in, out]', describeShape(w.shape));
  return w.shape as unknown as [number, number, number, number];
}

function checkBias(name: string, bias: Tensor | undefined, channels: number): void {
  if (bias === undefined) return;
  checkTensor(`${name}: bias`, bias);
  if (bias.rank !== 1 || bias.size !== channels)
    invalidArgument(`${name}: bias`, `shape [${channels}]`, describeShape(bias.shape));
}

// The gradient of a bias over the last axis.
function biasGradient(bias: Tensor, dy: Tensor): Tensor {
  const dbias = emptyTensor(bias.shape, 'bias');
  native().reduceSync(0, dy.handle, 1, dy.size / bias.size, bias.size, dbias.handle);
  return dbias;
}

/**
 * Cross-correlation of images [N, H, W, in] with a weight [kh, kw, in, out]: [N, OH, OW, out] with
 * OH = floor((H + 2 padding - kh) / stride) + 1.
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  const [N, H, W, C] = imageShape('conv2d', x);
  const [kh, kw, inputs, O] = kernelShape('conv2d', weight);
  if (inputs !== C)
    invalidArgument('conv2d: weight', `${C} input channels as x`, describeShape(weight.shape));
  const { bias } = options;
  checkBias('conv2d', bias, O);
  const [strideY, strideX] = pairOf('conv2d: stride', options.stride, 1, 1);
  const [padY, padX] = pairOf('conv2d: padding', options.padding, 0, 0);
  const OH = outputSize('conv2d', H, kh, strideY, padY);
  const OW = outputSize('conv2d', W, kw, strideX, padX);
  const geometry = Int32Array.of(N, H, W, C, kh, kw, strideY, strideX, padY, padX, O, OH, OW);
  const y = emptyTensor([N, OH, OW, O], 'conv2d');
  native().conv2dSync(geometry, x.handle, weight.handle, bias?.handle, y.handle);
  return record('conv2d', bias ? [x, weight, bias] : [x, weight], y, (dy) => {
    let [dx, dw, dbias]: (Tensor | undefined)[] = [];
    if (x.requiresGrad) {
      dx = emptyTensor(x.shape, 'conv2d');
      native().conv2dBackwardInputSync(geometry, dy.handle, weight.handle, undefined, dx.handle);
    }
    if (weight.requiresGrad) {
      dw = emptyTensor(weight.shape, 'conv2d');
      dbias = bias?.requiresGrad ? emptyTensor(bias.shape, 'conv2d') : undefined;
      native().conv2dBackwardWeightSync(geometry, x.handle, dy.handle, dw.handle, dbias?.handle);
    } else if (bias?.requiresGrad) dbias = biasGradient(bias, dy);
    return [dx, dw, dbias];
  });
}

/**
 * The transpose of conv2d: images [N, H, W, in] with a weight [kh, kw, out, in] (that of the convolution which it
 * transposes) give [N, OH, OW, out], OH = (H - 1) stride - 2 padding + kh + outputPadding.
 */
export function convTranspose2d(x: Tensor, weight: Tensor, options: ConvTranspose2dOptions = {}): Tensor {
  const name = 'convTranspose2d';
  const [N, H, W, C] = imageShape(name, x);
  const [kh, kw, O, inputs] = kernelShape(name, weight);
  if (inputs !== C)
    invalidArgument(`${name}: weight`, `[kh, kw, out, ${C}] for x`, describeShape(weight.shape));
  const { bias } = options;
  checkBias(name, bias, O);
  const [strideY, strideX] = pairOf(`${name}: stride`, options.stride, 1, 1);
  const [padY, padX] = pairOf(`${name}: padding`, options.padding, 0, 0);
  const [extraY, extraX] = pairOf(`${name}: outputPadding`, options.outputPadding, 0, 0);
  if (extraY >= strideY || extraX >= strideX)
    invalidArgument(`${name}: outputPadding`, 'less than the stride', `${extraY}, ${extraX}`);
  const OH = (H - 1) * strideY - 2 * padY + kh + extraY;
  const OW = (W - 1) * strideX - 2 * padX + kw + extraX;
  if (H < 1 || W < 1 || OH < 1 || OW < 1)
    invalidArgument(name, 'an image and a weight that give at least one pixel', describeShape(x.shape));
  const geometry = Int32Array.of(N, OH, OW, O, kh, kw, strideY, strideX, padY, padX, C, H, W);
  const y = emptyTensor([N, OH, OW, O], name);
  native().conv2dBackwardInputSync(geometry, x.handle, weight.handle, bias?.handle, y.handle);
  return record(name, bias ? [x, weight, bias] : [x, weight], y, (dy) => {
    let [dx, dw]: (Tensor | undefined)[] = [];
    if (x.requiresGrad) {
      dx = emptyTensor(x.shape, name);
      native().conv2dSync(geometry, dy.handle, weight.handle, undefined, dx.handle);
    }
    if (weight.requiresGrad) {
      dw = emptyTensor(weight.shape, name);
      native().conv2dBackwardWeightSync(geometry, dy.handle, x.handle, dw.handle, undefined);
    }
    return [dx, dw, bias?.requiresGrad ? biasGradient(bias, dy) : undefined];
  });
}
