/** The low-level API: the three kernel families on typed arrays. */
export { BinceError, type BinceErrorCode } from '../errors.js';
export * from './contrastive.js';
export * from './contrastive_losses.js';
export { type Description, describe } from './description.js';
