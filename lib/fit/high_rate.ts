/**
 * Step and slope at high rate. A uniform quantiser of step s spends h - log2(s) bits on a value; its distortion is
 * s^2 / 12 (squared error) or s / 4 (absolute error). Setting the derivative of distortion + slope * bits to 0 ties
 * the two together (Gish and Pierce 1968).
 */

/** What a quantiser keeps small: absolute or squared error. */
export type Distortion = 'l1' | 'mse';

/** The best step where a bit is worth `slope` of distortion. */
export function stepOfSlope(slope: number, distortion: Distortion): number {
  const beta = slope / Math.LN2;
  return distortion === 'l1' ? 4 * beta : Math.sqrt(6 * beta);
}

/** What a bit is worth where `step` is the best one. */
export function slopeOfStep(step: number, distortion: Distortion): number {
  return Math.LN2 * (distortion === 'l1' ? step / 4 : (step * step) / 6);
}
