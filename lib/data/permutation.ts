/** Orders of a data set that are the same for the same seed and epoch, on every machine. */

/** Uniform whole numbers of 32 bits: sfc32, four words of state. */
function words(a: number, b: number, c: number): () => number {
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let i = 0; i < 16; i++) next(); // small seeds spread over all bits
  return next;
}

/** 0 to count - 1 shuffled (Fisher and Yates); `seed` is its low and high 32 bits. */
export function permutation(count: number, seed: readonly [number, number], epoch: number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const next = words(seed[0] | 0, seed[1] | 0, epoch | 0);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((next() / 2 ** 32) * (i + 1));
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}
