/** Pooling and up-sampling of images [N, H, W, C]. */
import { invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import { emptyTensor, type Tensor } from '../../tensor/tensor.js';
import { checkWhole } from '../arguments.js';
import { record } from '../tape.js';
import { imageShape, outputSize, type Pair, pairOf } from './convolution.js';

export interface PoolOptions {
  /** The window. */
  readonly size: Pair;
  /** Default: the window, so that windows do not overlap. */
  readonly stride?: Pair | undefined;
  /** At most half the window. Default 0. */
  readonly padding?: Pair | undefined;
}

function pool(name: string, kind: number, x: Tensor, options: PoolOptions): Tensor {
  const [N, H, W, C] = imageShape(name, x);
  const [kh, kw] = pairOf(`${name}: size`, options?.size, 0, 1);
  if (kh === 0) invalidArgument(`${name}: size`, 'the size of the window', undefined);
  const [strideY, strideX] =
    options.stride === undefined ? [kh, kw] : pairOf(`${name}: stride`, options.stride, 1, 1);
  const [padY, padX] = pairOf(`${name}: padding`, options.padding, 0, 0);
  const OH = outputSize(name, H, kh, strideY, padY);
  const OW = outputSize(name, W, kw, strideX, padX);
  const geometry = Int32Array.of(N, H, W, C, kh, kw, strideY, strideX, padY, padX, OH, OW);
  const y = emptyTensor([N, OH, OW, C], name);
  native().poolSync(kind, geometry, x.handle, y.handle);
  return record(name, [x], y, (dy) => {
    const dx = emptyTensor(x.shape, name);
    native().poolBackwardSync(kind, geometry, x.handle, y.handle, dy.handle, dx.handle);
    return [dx];
  });
}

/** The greatest of each window and channel; the first of equals gets the gradient. */
export const maxPool2d = (x: Tensor, options: PoolOptions): Tensor => pool('maxPool2d', 0, x, options);

/** The mean of each window and channel, zeros of the padding included. */
export const avgPool2d = (x: Tensor, options: PoolOptions): Tensor => pool('avgPool2d', 1, x, options);

export interface UpsampleOptions {
  /** A whole factor for both axes; not beside `size`. */
  readonly scale?: number | undefined;
  /** The size of the output. */
  readonly size?: Pair | undefined;
  /** Bilinear as with corners not aligned. Default 'nearest'. */
  readonly mode?: 'nearest' | 'bilinear' | undefined;
}

/** Images at another size. */
export function upsample2d(x: Tensor, options: UpsampleOptions): Tensor {
  const [N, H, W, C] = imageShape('upsample2d', x);
  const { scale, size, mode = 'nearest' } = options ?? {};
  if (mode !== 'nearest' && mode !== 'bilinear')
    invalidArgument('upsample2d: mode', "'nearest' or 'bilinear'", mode);
  if ((scale === undefined) === (size === undefined))
    invalidArgument('upsample2d', 'either scale or size', options);
  const factor = scale === undefined ? 1 : checkWhole('upsample2d: scale', scale, 1);
  const [OH, OW] = size === undefined ? [H * factor, W * factor] : pairOf('upsample2d: size', size, 1, 1);
  const kind = mode === 'nearest' ? 0 : 1;
  const y = emptyTensor([N, OH, OW, C], 'upsample2d');
  native().upsampleSync(kind, N, H, W, C, OH, OW, x.handle, y.handle);
  return record('upsample2d', [x], y, (dy) => {
    const dx = emptyTensor(x.shape, 'upsample2d');
    native().upsampleBackwardSync(kind, N, H, W, C, OH, OW, dy.handle, dx.handle);
    return [dx];
  });
}
