/** The tensors that belong to a module: no scope frees them, and they stand in its state dict. */
import { invalidArgument } from '../errors.js';
import { shareStorage } from '../tensor/storage.js';
import { Tensor } from '../tensor/tensor.js';

/** A leaf that is learned: backward() adds up its gradient. */
export class Parameter extends Tensor {
  /** Takes over a float32 tensor: it is disposed of, and its memory goes on here. */
  constructor(value: Tensor) {
    if (value.dtype !== 'float32') invalidArgument('a parameter', 'a float32 tensor', value.toString());
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
    super(shareStorage(value.storage), value.shape, 'buffer');
    value.dispose();
    this.kept = true;
  }
}
