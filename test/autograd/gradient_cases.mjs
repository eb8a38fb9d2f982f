// Every differentiable operation with inputs for a gradient check: used by gradients.test.ts on lib/ and, for each
// backend, by all_gradients.mjs on dist/.

// Numbers in (low, high) that are no multiples of anything: element i of sequence k.
function numbers(count, k, low, high) {
  const part = (i) => {
    const x = Math.sin(12.9898 * (i + 1) + 78.233 * (k + 1)) * 43758.5453;
    return x - Math.floor(x);
  };
  return Float32Array.from({ length: count }, (_, i) => low + (high - low) * part(i));
}

export function gradientCases(bince) {
  const { tensor } = bince;
  const cases = [];
  let k = 0;
  const make = (shape, low = -2, high = 2) =>
    tensor(
      numbers(
        shape.reduce((a, b) => a * b, 1),
        k++,
        low,
        high,
      ),
      shape,
    );
  // Values at least 0.1 from multiples of `step`, where an operation bends.
  const away = (shape, low, high, step = 0.5) => {
    const x = make(shape, low, high);
    const moved = x.floats().map((value) => {
      const near = Math.round(value / step) * step;
      return Math.abs(value - near) < 0.1 ? near + (value < near ? -0.1 : 0.1) : value;
    });
    return x.write(moved);
  };
  const add = (name, inputs, fn, options) =>
    cases.push({ name, inputs, fn: (given) => fn(...given), ...(options && { options }) });

  elementwise(bince, { add, make, away });
  binary(bince, { add, make, away });
  reductions(bince, { add, make });
  shapes(bince, { add, make });
  products(bince, { add, make });
  images(bince, { add, make });
  normalisation(bince, { add, make });
  losses(bince, { add, make, away });
  contrastive(bince, { add, make });
  entropy(bince, { add, make });
  return cases;
}

function elementwise(bince, { add, make, away }) {
  const everywhere = [
    'neg',
    'exp',
    'square',
    'gelu',
    'silu',
    'sigmoid',
    'tanh',
    'softplus',
    'sin',
    'cos',
    'expm1',
  ];
  for (const name of everywhere) add(name, [make([17])], (x) => bince[name](x));
  for (const name of ['log', 'sqrt', 'rsqrt', 'reciprocal', 'log1p'])
    add(name, [make([3, 11], 0.5, 3)], (x) => bince[name](x));
  for (const name of ['abs', 'relu', 'leakyRelu', 'elu', 'sign', 'floor'])
    add(name, [away([19], -2, 2)], (x) => bince[name](x));
  add('leakyRelu slope', [away([16], -2, 2)], (x) => bince.leakyRelu(x, 0.2));
  add('elu alpha', [away([15], -2, 2)], (x) => bince.elu(x, 0.5));
  add('pow number', [make([13], 0.5, 2)], (x) => bince.pow(x, 2.5));
  add('pow of number', [make([5])], (x) => bince.pow(1.7, x));
  add('clamp', [away([31], -2, 2)], (x) => bince.clamp(x, -1, 1));
  add('affine', [make([7])], (x) => bince.affine(x, -1.5, 0.25));
  // Straight through: the derivative of round is 1, that of what goes in.
  add('numbers as operands', [make([9], 0.5, 2)], (x) =>
    bince.div(3, bince.sub(5, bince.mul(bince.add(bince.div(x, 2), 1), 0.5))),
  );
}

function binary(bince, { add, make, away }) {
  const shapes = [
    [[17], [17]],
    [[3, 5], []],
    [[], [3, 5]],
    [[4, 7], [7]],
    [
      [4, 7],
      [4, 1],
    ],
    [
      [5, 1],
      [1, 6],
    ],
    [
      [2, 1, 3],
      [4, 1],
    ],
    [[1], [3]],
  ];
  for (const [a, b] of shapes) {
    const label = `[${a}] [${b}]`;
    for (const name of ['add', 'sub', 'mul'])
      add(`${name} ${label}`, [make(a), make(b)], (x, y) => bince[name](x, y));
    add(`div ${label}`, [make(a), make(b, 1, 2)], (x, y) => bince.div(x, y));
  }
  add('pow tensors', [make([3, 5], 0.6, 2), make([5])], (x, y) => bince.pow(x, y));
  // Even and odd quarters: never equal, nor within the differences' reach.
  const even = away([33], -2, 2, 0.5);
  const other = bince.tensor(even.floats().map((value, i) => value + (i % 2 ? 0.3 : -0.3)));
  add('maximum', [even, other], (x, y) => bince.maximum(x, y));
  add('minimum', [even, other], (x, y) => bince.minimum(x, y));
  add('the same input twice', [make([6])], (x) => bince.mul(x, bince.add(x, x)));
  add('mse', [make([4, 3]), make([4, 3])], (x, y) => bince.mse(x, y));
  add('l1', [even, other], (x, y) => bince.l1(x, y));
}

function reductions(bince, { add, make }) {
  const overs = [undefined, 0, -1, [0, 2], [1], { axis: [0, 1], keepdims: true }];
  // One greatest and one least an axis: i * 0.37 mod 1 repeats after 100.
  for (const over of overs)
    for (const name of ['sum', 'mean', 'max', 'min'])
      add(
        `${name} ${JSON.stringify(over)}`,
        [
          bince.tensor(
            Float32Array.from({ length: 42 }, (_, i) => ((i * 37) % 100) / 10),
            [3, 2, 7],
          ),
        ],
        (x) => bince[name](x, over),
      );
  add('sum of many', [make([1031])], (x) => bince.sum(x));
  add('mean over rows', [make([65, 5])], (x) => bince.mean(x, 0));
  add('expand', [make([3, 1])], (x) => bince.expand(x, [2, 3, 4]));
  add('expand scalar', [make([])], (x) => bince.expand(x, [5]));
}

function shapes(bince, { add, make }) {
  add('reshape', [make([2, 6])], (x) => bince.reshape(x, [3, -1]));
  add('flatten', [make([2, 3, 2])], (x) => bince.flatten(x));
  add('permute', [make([2, 3, 4])], (x) => bince.permute(x, [2, 0, 1]));
  add('permute four', [make([2, 3, 2, 3])], (x) => bince.permute(x, [0, 3, 1, 2]));
  add('transpose', [make([5, 3])], (x) => bince.transpose(x));
  add('slice', [make([4, 5])], (x) => bince.slice(x, 1, 1, 4));
  add('slice from the end', [make([6, 2])], (x) => bince.slice(x, 0, -3));
  add('overlapping slices', [make([7])], (x) => bince.mul(bince.slice(x, 0, 0, 5), bince.slice(x, 0, 2)));
  add('concat', [make([2, 3]), make([2, 2])], (x, y) => bince.concat([x, y], 1));
  add('concat rows', [make([1, 3]), make([4, 3])], (x, y) => bince.concat([x, y, x], 0));
  add('stack', [make([3]), make([3])], (x, y) => bince.stack([x, y], -1));
  add('pad', [make([2, 3])], (x) =>
    bince.pad(
      x,
      [
        [1, 0],
        [2, 1],
      ],
      0.5,
    ),
  );
  const index = bince.tensor([2, 0, 2, 3], { dtype: 'int32' });
  add('gatherRows', [make([4, 3])], (x) => bince.gatherRows(x, index));
}

function products(bince, { add, make }) {
  add('matmul', [make([5, 7]), make([7, 3])], (a, b) => bince.matmul(a, b));
  for (const transposeA of [false, true])
    for (const transposeB of [false, true])
      add(
        `matmul ${transposeA} ${transposeB} with bias`,
        [make(transposeA ? [7, 5] : [5, 7]), make(transposeB ? [3, 7] : [7, 3]), make([3])],
        (a, b, bias) => bince.matmul(a, b, { transposeA, transposeB, bias }),
      );
  add('matmul batch', [make([2, 3, 4]), make([2, 4, 5])], (a, b) => bince.matmul(a, b));
  add('matmul batch transposed', [make([2, 4, 3]), make([2, 5, 4])], (a, b) =>
    bince.matmul(a, b, { transposeA: true, transposeB: true }),
  );
  add('matmul shared b', [make([2, 3, 4]), make([4, 5])], (a, b) => bince.matmul(a, b));
  add('matmul shared a', [make([3, 4]), make([2, 4, 5])], (a, b) => bince.matmul(a, b));
  add('matmul one row', [make([1, 17]), make([17, 1])], (a, b) => bince.matmul(a, b));
  add('linear', [make([2, 3, 4]), make([4, 5]), make([5])], (x, w, b) => bince.linear(x, w, b));
}

function images(bince, { add, make }) {
  add('conv2d', [make([2, 5, 4, 3]), make([3, 3, 3, 2]), make([2])], (x, w, bias) =>
    bince.conv2d(x, w, { bias, padding: 1 }),
  );
  add('conv2d stride', [make([1, 6, 7, 2]), make([3, 2, 2, 3])], (x, w) =>
    bince.conv2d(x, w, { stride: [2, 3], padding: [1, 0] }),
  );
  add('conv2d 1x1', [make([2, 3, 3, 4]), make([1, 1, 4, 5]), make([5])], (x, w, bias) =>
    bince.conv2d(x, w, { bias }),
  );
  add('convTranspose2d', [make([2, 3, 3, 2]), make([3, 3, 4, 2]), make([4])], (x, w, bias) =>
    bince.convTranspose2d(x, w, { bias, stride: 2, padding: 1, outputPadding: 1 }),
  );
  add('convTranspose2d plain', [make([1, 2, 3, 3]), make([2, 2, 1, 3])], (x, w) =>
    bince.convTranspose2d(x, w),
  );
  const distinct = (shape) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return bince.tensor(
      Float32Array.from({ length: count }, (_, i) => ((i * 37) % 101) / 10),
      shape,
    );
  };
  add('maxPool2d', [distinct([1, 4, 6, 2])], (x) => bince.maxPool2d(x, { size: 2 }));
  add('maxPool2d overlapping', [distinct([1, 5, 5, 3])], (x) =>
    bince.maxPool2d(x, { size: 3, stride: 2, padding: 1 }),
  );
  add('avgPool2d', [make([2, 4, 4, 3])], (x) => bince.avgPool2d(x, { size: 2 }));
  add('avgPool2d overlapping', [make([1, 5, 6, 2])], (x) =>
    bince.avgPool2d(x, { size: [3, 2], stride: 2, padding: 1 }),
  );
  add('upsample2d nearest', [make([1, 2, 3, 2])], (x) => bince.upsample2d(x, { scale: 2 }));
  add('upsample2d bilinear', [make([1, 3, 2, 2])], (x) =>
    bince.upsample2d(x, { size: [7, 5], mode: 'bilinear' }),
  );
}

function normalisation(bince, { add, make }) {
  // The bend of a rectifier lies 4 units away for all but a few of these rows; its channels have shifts of their own.
  for (const activation of ['none', 'relu', 'leakyRelu', 'softplus'])
    add(
      `batchNorm ${activation}`,
      [make([9, 5]), make([5], 0.5, 1.5), bince.tensor([8, 8, 8, -8, -8])],
      (x, gamma, beta) => bince.batchNorm(x, { gamma, beta, activation, slope: 0.2 }),
      { tolerance: 2e-3 },
    );
  add('batchNorm plain', [make([2, 3, 2, 4])], (x) => bince.batchNorm(x), { tolerance: 2e-3 });
  const runningMean = bince.tensor([0.5, -1, 2]);
  const runningVar = bince.tensor([1, 2, 0.5]);
  add('batchNorm evaluation', [make([4, 3]), make([3], 0.5, 1.5), make([3])], (x, gamma, beta) =>
    bince.batchNorm(x, { gamma, beta, runningMean, runningVar, training: false }),
  );
  add('layerNorm', [make([4, 9]), make([9], 0.5, 1.5), make([9])], (x, gamma, beta) =>
    bince.layerNorm(x, { gamma, beta }),
  );
  add('layerNorm plain', [make([3, 17])], (x) => bince.layerNorm(x));
  add('normalize', [make([4, 5])], (x) => bince.normalize(x));
  add('dropout', [make([40])], (x) => bince.dropout(x, 0.3, { generator: new bince.Generator(5) }));
}

function losses(bince, { add, make, away }) {
  add('softmax', [make([3, 5])], (x) => bince.softmax(x));
  add('logSoftmax', [make([3, 17])], (x) => bince.logSoftmax(x));
  const labels = bince.tensor([2, 0, 4], { dtype: 'int32' });
  for (const reduction of ['mean', 'sum', 'none'])
    for (const smoothing of [0, 0.1])
      add(`crossEntropy ${reduction} ${smoothing}`, [make([3, 5])], (x) =>
        bince.crossEntropy(x, labels, { reduction, smoothing }),
      );
  add('crossEntropy of the middle', [make([3, 5])], (x) => bince.square(bince.crossEntropy(x, labels)));
  const targets = bince.tensor([0, 1, 0.25, 1, 0.5, 0], [2, 3]);
  for (const reduction of ['mean', 'sum', 'none'])
    add(`bceWithLogits ${reduction}`, [make([2, 3])], (x) => bince.bceWithLogits(x, targets, { reduction }));
  add('klDivergence', [make([3, 5]), make([3, 5])], (p, q) => bince.klDivergence(p, q));
  add('jsDivergence', [make([3, 5]), make([3, 5])], (p, q) => bince.jsDivergence(p, q));
  add('straight through', [away([5], -2, 2)], (x) =>
    bince.sub(bince.add(bince.square(x), bince.round(x)), bince.sub(bince.round(x), 0)),
  );
}

function contrastive(bince, { add, make }) {
  const q = () => make([6, 5], -1, 1);
  const options = { tolerance: 2e-3 };
  const one = (low, high) => make([1], low, high);
  add('infoNCE', [q(), make([8, 5], -1, 1)], (a, b) => bince.infoNCE(a, b), options);
  add(
    'infoNCE cosine',
    [q(), q()],
    (a, b) => bince.infoNCE(a, b, { cosine: true, temperature: 0.5 }),
    options,
  );
  add(
    'infoNCE tensor scale',
    [q(), q(), one(1, 3)],
    (a, b, scale) => bince.infoNCE(a, b, { cosine: true, scale }),
    options,
  );
  add(
    'infoNCE symmetric sum',
    [q(), q()],
    (a, b) => bince.infoNCE(a, b, { symmetric: true, reduction: 'sum' }),
    options,
  );
  const weight = bince.tensor([1, 2, 0.5, 1, 0, 1]);
  const positive = bince.tensor([1, 0, 3, 2, -1, 4], { dtype: 'int32' });
  add('infoNCE weights', [q(), q()], (a, b) => bince.infoNCE(a, b, { rowWeight: weight, positive }), options);
  add('infoNCE inside', [q(), q()], (a, b) => bince.square(bince.infoNCE(a, b)), options);
  add('clipLoss', [q(), q()], (a, b) => bince.clipLoss(a, b, { scale: 4 }), options);
  add(
    'clipLoss learned',
    [q(), q(), one(0.5, 1)],
    (a, b, s) => bince.clipLoss(a, b, { scale: bince.exp(s) }),
    options,
  );
  add('ntXent', [q(), q()], (a, b) => bince.ntXent(a, b), options);
  add('ntXent decoupled', [q(), q()], (a, b) => bince.ntXent(a, b, { decoupled: true }), options);
  add(
    'supCon',
    [q()],
    (z) => bince.supCon(z, Int32Array.of(0, 1, 0, 1, 2, 2), { temperature: 0.5 }),
    options,
  );
  const queue = make([7, 5], -1, 1);
  add('moco', [q(), q()], (a, b) => bince.moco(a, b, queue, { temperature: 0.5 }), options);
  add('amdim', [q(), q()], (a, b) => bince.amdim(a, b, { queryLocations: 2 }), options);
  add('sigLIP', [q(), q()], (a, b) => bince.sigLIP(a, b, { scale: 3, bias: -2 }), options);
  add(
    'sigLIP learned',
    [q(), q(), one(1, 3), one(-3, -1)],
    (a, b, scale, bias) => bince.sigLIP(a, b, { scale, bias }),
    options,
  );
}

function entropy(bince, { add, make }) {
  const C = 3;
  // Densities several units wide: none of the likelihoods below is near the floor.
  const parameters = () => make([58, C], -1.2, -0.2);
  const options = { tolerance: 3e-3 };
  const seed = 11;
  const vectors = () => [make([C], -0.3, 0.3), make([C], -0.5, 0.5)];
  for (const quantize of ['none', 'noise']) {
    add(
      `factorizedBits ${quantize}`,
      [make([5, C], -3, 3), parameters(), ...vectors()],
      (x, p, logGain, shift) =>
        bince.factorizedBits(x, { parameters: p, logGain, shift, quantize, seed }).bits,
      options,
    );
    add(
      `factorizedBits mean ${quantize}`,
      [make([5, C], -3, 3), parameters()],
      (x, p) => bince.mean(bince.factorizedBits(x, { parameters: p, quantize, seed }).bits),
      options,
    );
    add(
      `factorizedBits values ${quantize}`,
      [make([5, C], -3, 3), ...vectors()],
      (x, logGain, shift) =>
        bince.factorizedBits(x, { parameters: fixed, logGain, shift, quantize, seed }).values,
      options,
    );
    add(
      `gaussianBits ${quantize}`,
      [make([4, 5], -3, 3), make([4, 5], 0.5, 3), make([4, 5])],
      (y, scale, mean) => bince.gaussianBits(y, scale, mean, { quantize, seed }).bits,
      options,
    );
    add(
      `gaussianBits sum ${quantize}`,
      [make([4, 5], -3, 3), make([4, 5], 0.5, 3)],
      (y, scale) => bince.sum(bince.gaussianBits(y, scale, undefined, { quantize, seed }).bits),
      options,
    );
    add(
      `gaussianBits values ${quantize}`,
      [make([4, 5], -3, 3)],
      (y) => bince.gaussianBits(y, unit, undefined, { quantize, seed }).values,
      options,
    );
  }
  const fixed = parameters();
  const unit = make([4, 5], 1, 1);
  add(
    'factorizedBits of images',
    [make([2, 2, 2, C], -3, 3), parameters()],
    (x, p) => bince.factorizedBits(x, { parameters: p }).bits,
    options,
  );
  add(
    'factorizedBits, bits and values',
    [make([4, C], -2, 2), parameters(), ...vectors()],
    (x, p, logGain, shift) => {
      const { bits, values } = bince.factorizedBits(x, {
        parameters: p,
        logGain,
        shift,
        quantize: 'noise',
        seed,
      });
      return bince.add(bince.mean(bits), bince.sum(bince.square(values)));
    },
    options,
  );
}
