/**
 * The native calls behind the operations. Sizes are numbers, tensors are handles; strides and dimensions are copied
 * at once. Every call checks each handle's type and size against the sizes, and names the argument that is wrong.
 */
import type { Handle } from '../tensor/storage.js';

type Optional = Handle | undefined;

declare module '../native.js' {
  interface NativeCalls {
    fillSync(x: Handle, value: number): void;
    /** kind 0: uniform in [a, b); 1: normal with mean a and standard deviation b. */
    randomSync(
      x: Handle,
      kind: number,
      a: number,
      b: number,
      seedLow: number,
      seedHigh: number,
      offset: number,
    ): void;
    unarySync(op: number, a: number, b: number, x: Handle, y: Handle): void;
    unaryBackwardSync(op: number, a: number, b: number, x: Handle, y: Handle, dy: Handle, dx: Handle): void;
    /** Without dims and strides all three have one shape; that call is much cheaper. */
    binarySync(op: number, x: Handle, y: Handle, z: Handle): void;
    binarySync(
      op: number,
      x: Handle,
      y: Handle,
      z: Handle,
      dims: Int32Array,
      xStrides: Int32Array,
      yStrides: Int32Array,
    ): void;
    /** op 0 sum, 1 mean, 2 max, 3 min over the middle axis of [outer][n][inner]. */
    reduceSync(op: number, x: Handle, outer: number, n: number, inner: number, y: Handle): void;
    argmaxSync(x: Handle, rows: number, n: number, out: Handle): void;
    copyStridedSync(
      x: Handle,
      xFirst: number,
      xStrides: Int32Array,
      y: Handle,
      yFirst: number,
      yStrides: Int32Array,
      dims: Int32Array,
      accumulate: boolean,
    ): void;
    convertSync(x: Handle, y: Handle, scale: number): void;
    gatherRowsSync(x: Handle, rows: number, width: number, index: Handle, count: number, y: Handle): void;
    scatterAddRowsSync(
      dy: Handle,
      index: Handle,
      count: number,
      width: number,
      dx: Handle,
      rows: number,
    ): void;
    softmaxSync(x: Handle, rows: number, n: number, log: boolean, y: Handle): void;
    softmaxBackwardSync(y: Handle, dy: Handle, rows: number, n: number, log: boolean, dx: Handle): void;
    crossEntropySync(
      logits: Handle,
      labels: Handle,
      rows: number,
      classes: number,
      smoothing: number,
      rowLoss: Handle,
      dlogits: Optional,
    ): void;
    bceWithLogitsSync(
      logits: Handle,
      targets: Handle,
      rows: number,
      n: number,
      rowLoss: Handle,
      dlogits: Optional,
    ): void;
    batchNormSync(
      x: Handle,
      rows: number,
      channels: number,
      training: boolean,
      gamma: Optional,
      beta: Optional,
      eps: number,
      momentum: number,
      runningMean: Optional,
      runningVar: Optional,
      mean: Handle,
      rstd: Handle,
      activation: number,
      slope: number,
      y: Handle,
    ): void;
    batchNormBackwardSync(
      x: Handle,
      dy: Handle,
      rows: number,
      channels: number,
      training: boolean,
      gamma: Optional,
      beta: Optional,
      mean: Handle,
      rstd: Handle,
      activation: number,
      slope: number,
      dx: Optional,
      dgamma: Optional,
      dbeta: Optional,
    ): void;
    layerNormSync(
      x: Handle,
      rows: number,
      n: number,
      gamma: Optional,
      beta: Optional,
      eps: number,
      mean: Handle,
      rstd: Handle,
      y: Handle,
    ): void;
    layerNormBackwardSync(
      x: Handle,
      dy: Handle,
      rows: number,
      n: number,
      gamma: Optional,
      mean: Handle,
      rstd: Handle,
      dx: Optional,
      dgamma: Optional,
      dbeta: Optional,
    ): void;
    normalizeSync(x: Handle, rows: number, n: number, eps: number, y: Handle, inverseNorm: Handle): void;
    normalizeBackwardSync(
      y: Handle,
      inverseNorm: Handle,
      dy: Handle,
      rows: number,
      n: number,
      dx: Handle,
    ): void;
    /** geometry: N, H, W, C, kh, kw, strideY, strideX, padY, padX, OH, OW. */
    poolSync(kind: number, geometry: Int32Array, x: Handle, y: Handle): void;
    poolBackwardSync(kind: number, geometry: Int32Array, x: Handle, y: Handle, dy: Handle, dx: Handle): void;
    upsampleSync(
      kind: number,
      n: number,
      h: number,
      w: number,
      c: number,
      oh: number,
      ow: number,
      x: Handle,
      y: Handle,
    ): void;
    upsampleBackwardSync(
      kind: number,
      n: number,
      h: number,
      w: number,
      c: number,
      oh: number,
      ow: number,
      dy: Handle,
      dx: Handle,
    ): void;
    dropoutSync(x: Handle, p: number, seedLow: number, seedHigh: number, offset: number, y: Handle): void;
    adamSync(
      p: Handle,
      g: Handle,
      m: Handle,
      v: Handle,
      lr: number,
      beta1: number,
      beta2: number,
      eps: number,
      weightDecay: number,
      decoupled: boolean,
      step: number,
      gradScale: number,
    ): void;
    sgdSync(
      p: Handle,
      g: Handle,
      momentumBuffer: Optional,
      lr: number,
      momentum: number,
      dampening: number,
      nesterov: boolean,
      weightDecay: number,
      first: boolean,
      gradScale: number,
    ): void;
    sumSquaresSync(x: Handle): number;
    firstNonFiniteSync(x: Handle): number;
    emaSync(target: Handle, source: Handle, decay: number): void;
    /** c[i] = op(a[i]) op(b[i]) (+ bias) (+ c[i]); op(a) is M x K, op(b) K x N; strides in elements between matrices. */
    matmulSync(
      batch: number,
      m: number,
      n: number,
      k: number,
      a: Handle,
      transA: boolean,
      strideA: number,
      b: Handle,
      transB: boolean,
      strideB: number,
      bias: Optional,
      c: Handle,
      accumulate: boolean,
    ): void;
    /** geometry: N, H, W, C, kh, kw, strideY, strideX, padY, padX, O, OH, OW. */
    conv2dSync(geometry: Int32Array, x: Handle, w: Handle, bias: Optional, y: Handle): void;
    conv2dBackwardInputSync(geometry: Int32Array, dy: Handle, w: Handle, bias: Optional, dx: Handle): void;
    conv2dBackwardWeightSync(geometry: Int32Array, x: Handle, dy: Handle, dw: Handle, dbias: Optional): void;
    // The kernel families with tensors in the places of arrays.
    contrastiveSync(
      numbers: Float64Array,
      q: Handle,
      k: Handle,
      queue: Optional,
      positive: Int32Array | Optional,
      rowGroup: Int32Array | Optional,
      columnGroup: Int32Array | Optional,
      rowId: Int32Array | Optional,
      columnId: Int32Array | Optional,
      rowWeight: Float32Array | Optional,
      columnWeight: Float32Array | Optional,
      scalars: Handle,
      rowLoss: Handle,
      rowLse: Optional,
      columnLoss: Optional,
      columnLse: Optional,
      dq: Optional,
      dk: Optional,
    ): void;
    factorizedSync(
      backward: boolean,
      rows: number,
      channels: number,
      inner: number,
      filters: Int32Array | undefined,
      quantize: number,
      seedLow: number,
      seedHigh: number,
      firstRow: number,
      floor: number,
      dbits: number,
      x: Handle,
      parameters: Handle,
      logGain: Optional,
      shift: Optional,
      medians: Optional,
      dbitsPerRow: Optional,
      dlikelihood: Optional,
      bitsPerRow: Optional,
      likelihood: Optional,
      values: Optional,
      dx: Optional,
      dparameters: Optional,
      dlogGain: Optional,
      dshift: Optional,
    ): number;
    gaussianSync(
      backward: boolean,
      rows: number,
      columns: number,
      quantize: number,
      seedLow: number,
      seedHigh: number,
      firstRow: number,
      floor: number,
      scaleBound: number,
      dbits: number,
      y: Handle,
      mean: Optional,
      scale: Handle,
      dbitsPerRow: Optional,
      dlikelihood: Optional,
      bitsPerRow: Optional,
      likelihood: Optional,
      values: Optional,
      dy: Optional,
      dmean: Optional,
      dscale: Optional,
    ): number;
  }
}
