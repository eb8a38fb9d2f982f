/** Clipping of gradients by their common norm. */
import { invalidArgument } from '../errors.js';
import { native } from '../native.js';
import type { Tensor } from '../tensor/tensor.js';

/** The Euclidean norm of all gradients as one vector (double precision); 0 where there are none. */
export function gradNorm(params: Iterable<Tensor>): number {
  let squares = 0;
  for (const { grad } of params) if (grad !== undefined) squares += native().sumSquaresSync(grad.handle);
  return Math.sqrt(squares);
}

/**
 * Scales all gradients, in place, so that their common norm is at most `maxNorm`. Returns the norm before. If that is
 * not finite, nothing is changed: whoever trains should look at it.
 */
export function clipGradNorm(params: Iterable<Tensor>, maxNorm: number): number {
  if (!(maxNorm > 0)) invalidArgument('maxNorm', 'a positive number', maxNorm);
  const list = [...params];
  const norm = gradNorm(list);
  if (!(norm > maxNorm) || norm === Number.POSITIVE_INFINITY) return norm;
  const scale = maxNorm / norm;
  const affine = 20;
  for (const { grad } of list)
    if (grad !== undefined) native().unarySync(affine, scale, 0, grad.handle, grad.handle);
  return norm;
}
