/** Rows by index, and conversions between types. */
import { invalidArgument } from '../../errors.js';
import { native } from '../../native.js';
import { toBfloat16 } from '../../tensor/bfloat16.js';
import { describeShape, elementsOf } from '../../tensor/shapes.js';
import { type DType, emptyTensor, type Tensor } from '../../tensor/tensor.js';
import { checkAnyTensor, checkFinite, checkTensor } from '../arguments.js';
import { record } from '../tape.js';

/**
 * Rows of x [R, ...] by index (int32 of any shape): [...index shape, ...]. An index outside 0 to R - 1 throws
 * BINCE_INVALID_VALUE and names it. Rows that are taken twice get the sum of their gradients.
 */
export function gatherRows(x: Tensor, index: Tensor): Tensor {
  checkTensor('gatherRows', x);
  checkTensor('gatherRows: index', index, 'int32');
  if (x.rank < 1) invalidArgument('gatherRows', 'a tensor of at least one axis', describeShape(x.shape));
  const rows = x.shape[0]!;
  const width = elementsOf(x.shape.slice(1));
  const y = emptyTensor([...index.shape, ...x.shape.slice(1)], 'gatherRows');
  native().gatherRowsSync(x.handle, rows, width, index.handle, index.size, y.handle);
  return record('gatherRows', [x], y, (dy) => {
    const dx = emptyTensor(x.shape, 'gatherRows');
    native().scatterAddRowsSync(dy.handle, index.handle, index.size, width, dx.handle, rows);
    return [dx];
  });
}

/**
 * x as another type: int32 and uint8 to float32, times `scale`; float32 to int32, to the nearest; float32 to bfloat16
 * and back, rounded half to even. Only between the last two is there a gradient, which is float32.
 */
export function convert(x: Tensor, dtype: DType, scale = 1): Tensor {
  checkAnyTensor('convert', x);
  if (scale === 1 && x.dtype === 'float32' && dtype === 'bfloat16') return converted(x, 'bfloat16');
  if (scale === 1 && x.dtype === 'bfloat16' && dtype === 'float32') return converted(x, 'float32');
  const known =
    dtype === 'float32'
      ? x.dtype === 'int32' || x.dtype === 'uint8'
      : dtype === 'int32' && x.dtype === 'float32';
  if (!known)
    invalidArgument(
      'convert',
      'int32 or uint8 to float32, float32 to int32, or float32 to bfloat16 and back without a scale',
      `${x.dtype} to ${dtype}`,
    );
  const y = emptyTensor(x.shape, 'convert', dtype);
  native().convertSync(x.handle, y.handle, checkFinite('convert: scale', scale));
  return y;
}

function converted(x: Tensor, dtype: 'float32' | 'bfloat16'): Tensor {
  const y = emptyTensor(x.shape, 'convert', dtype);
  y.write(dtype === 'float32' ? x.floats() : toBfloat16(x.floats()));
  return record('convert', [x], y, (dy) => [dy]);
}
