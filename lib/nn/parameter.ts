/** The tensors that belong to a module: no scope frees them, and they stand in its state dict. */
import { invalidArgument } from '../errors.js';
import { shareStorage } from '../tensor/storage.js';
import { Tensor } from '../tensor/tensor.js';

/** A leaf that is learned: backward() adds up its gradient. */
export class Parameter extends Tensor {
  /** Takes over a float32 tensor: it is disposed of, and its memory goes on here. */
  constructor(value: Tensor) {
    if (value.dtype !== 'float32') invalidArgument('a parameter', 'a float32 tensor', value.toString());
    checkFree(value);
    super(shareStorage(value.storage), value.shape, 'parameter');
    value.dispose();
    this.kept = true;
    this.requiresGrad = true;
  }
}

/** A tensor that is not learned but belongs to a module's state, such as a running mean. */
export class Buffer extends Tensor {
  /** Takes over a tensor: it is disposed of, and its memory goes on here. */
  constructor(value: Tensor) {
    checkFree(value);
    super(shareStorage(value.storage), value.shape, 'buffer');
    value.dispose();
    this.kept = true;
  }
}

/** What another module owns must not be taken from it. */
function checkFree(value: Tensor): void {
  if (value instanceof Parameter || value instanceof Buffer)
    invalidArgument(
      'value',
      'a tensor that is no parameter or buffer (tensor(p.floats(), p.shape) copies one)',
      value,
    );
}
