/** Fitting codecs to vectors: entropy-coded scalar quantisation, and the trained bottleneck. */
export {
  type BottleneckOptions,
  type BottleneckProgress,
  type BottleneckReport,
  fitBottleneck,
} from './bottleneck.js';
export { type EcsqOptions, type EcsqReport, fitEcsq } from './ecsq.js';
export type { FitReport, FittedModel } from './fitted_model.js';
export { type VectorSource, vectorsInMemory } from './vector_source.js';
