/**
 * A quick check that the kernels of this process compute what they should: symbols go through both coders and come
 * back, and a small InfoNCE agrees with its formula.
 */
import { decodeSync, encodeSync, infoNCESync, pmfToCdf } from '../kernels/index.js';

const kSymbols = 5000;
const kRows = 19;
const kDim = 37;

/** Throws an Error that says what differs. */
export function testKernels(): void {
  testCoders();
  testInfoNCE();
}

/** Values of a wave without a short period: any fixed numbers would do. */
function wave(count: number, frequency: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(frequency * (i + 1) ** 1.5));
}

function testCoders(): void {
  const cdf = pmfToCdf(Float32Array.of(0.05, 0.2, 0.5, 0.2, 0.04, 0.01));
  const tables = { cdf, start: Int32Array.of(0, cdf.length), offset: Int32Array.of(-2) };
  // Most in the table, a few far outside.
  const symbols = Int32Array.from(wave(kSymbols, 1.7), (x, i) => Math.round(i % 97 ? 2 * x : 3e5 * x));
  for (const coder of ['rans', 'range'] as const) {
    const coding = { tables, indexes: new Int32Array(kSymbols), coder };
    const back = decodeSync(encodeSync(symbols, coding), { ...coding, count: kSymbols });
    if (!back.every((symbol, i) => symbol === symbols[i]))
      throw new Error(`the ${coder} coder gave back other symbols`);
  }
}

function testInfoNCE(): void {
  const q = wave(kRows * kDim, 0.9);
  const k = wave(kRows * kDim, 1.3);
  const { rowLoss } = infoNCESync(q, k, { dim: kDim, scale: 0.5 });
  for (let i = 0; i < kRows; i++) {
    const score = (j: number) => {
      let sum = 0;
      for (let d = 0; d < kDim; d++) sum += q[i * kDim + d]! * k[j * kDim + d]!;
      return 0.5 * sum;
    };
    let sum = 0;
    for (let j = 0; j < kRows; j++) sum += Math.exp(score(j));
    const expected = Math.log(sum) - score(i);
    if (!(Math.abs(rowLoss[i]! - expected) < 1e-4 * (1 + Math.abs(expected))))
      throw new Error(`InfoNCE of row ${i} is ${rowLoss[i]}, expected ${expected}`);
  }
}
