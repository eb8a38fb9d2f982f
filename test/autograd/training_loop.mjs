// Run by scope.test.ts with --expose-gc: 10^4 steps of a small regression, and the memory after 2000 and at the end as
// JSON on the last line.
import { crossEntropy, linear, memory, noGrad, rand, scope, tensor } from '../../dist/index.js';

const weights = [
  rand([8, 32], { low: -0.5, high: 0.5, requiresGrad: true }),
  tensor(new Float32Array(32), { requiresGrad: true }),
  rand([32, 2], { low: -0.5, high: 0.5, requiresGrad: true }),
  tensor(new Float32Array(2), { requiresGrad: true }),
];
const x = rand([64, 8], { low: -1, high: 1 });
const labels = tensor(
  Int32Array.from(x.toArray(), (row) => (row[0] + row[1] > 0 ? 1 : 0)),
  [64],
);

function step() {
  return scope(() => {
    const [w1, b1, w2, b2] = weights;
    const loss = crossEntropy(linear(linear(x, w1, b1).relu(), w2, b2), labels);
    loss.backward();
    noGrad(() => {
      for (const each of weights) {
        each.write(each.sub(each.grad.mul(0.2)).dataSync());
        each.grad.dispose();
        each.grad = undefined;
      }
    });
    return loss.item();
  });
}

async function measure() {
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { ...memory(), rss: process.memoryUsage().rss };
}

let loss = 0;
for (let i = 0; i < 2000; i++) loss = step();
const first = await measure();
for (let i = 0; i < 8000; i++) loss = step();
const last = await measure();
console.log(JSON.stringify({ first, last, loss }));
