/** `bince/metrics`: what a code has kept, and what it could have cost. */
export * from './excess_risk.js';
export * from './probe.js';
export * from './rate_invariance.js';
