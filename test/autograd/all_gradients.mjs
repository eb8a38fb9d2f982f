// Gradient checks of every operation on the backend that BINCE_BACKEND names, over the built package. Prints the
// backend, the number of checks and the largest error as JSON.
import * as bince from '../../dist/index.js';
import { describe } from '../../dist/kernels/index.js';
import { gradientCases } from './gradient_cases.mjs';

let checked = 0;
let worst = 0;
const failures = [];
for (const { name, inputs, fn, options } of gradientCases(bince)) {
  try {
    const result = bince.gradientCheck(fn, inputs, { samples: 12, ...options });
    checked += result.checked;
    worst = Math.max(worst, result.worst);
  } catch (error) {
    failures.push(`${name}: ${error.message}`);
  }
}
console.log(JSON.stringify({ backend: describe().backend, checked, worst, failures }));
