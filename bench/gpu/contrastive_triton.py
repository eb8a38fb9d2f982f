"""The symmetric CLIP loss as a plain Triton tile kernel, a peer: no score matrix, one program a block of rows.

  lse_kernel       lse_i = log sum_j exp(scale <q_i, k_j>); once for rows, once with q and k swapped for columns
  gradient_kernel  dq_i = scale / 2N sum_j (exp(s_ij - lse_i) + exp(s_ij - lse_j) - 2 [i = j]) k_j, the scores
                   computed anew; once for dq, once swapped for dk
Six passes of 2NMD in all. Inputs bfloat16, N = M, D a power of two; accumulation and gradients float32.
"""

import torch
import triton
import triton.language as tl

LOG2E = 1.4426950408889634

# (rows, columns, step along D, warps, stages): tried once a shape, the fastest is used.
LSE_TILES = ((128, 128, 64, 8, 3), (64, 128, 64, 4, 3), (128, 256, 64, 8, 3))


def gradient_tiles(D):
    if D <= 128:
        return ((128, 128, 64, 8, 2), (64, 64, 64, 4, 3), (128, 64, 64, 8, 3))
    if D <= 512:
        return ((64, 64, 64, 8, 2), (64, 32, 64, 8, 2), (32, 64, 64, 8, 2))
    return ((32, 32, 64, 8, 2), (32, 64, 64, 8, 2), (16, 32, 64, 8, 2))


@triton.jit
def score_tile(q, k, rows, columns, N, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """<q_i, k_j> of a tile, [BM, BN]; zero beyond the matrix."""
    tile = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, D, BK):
        inner = start + tl.arange(0, BK)
        a = tl.load(q + rows[:, None] * D + inner[None, :], mask=rows[:, None] < N, other=0.0)
        b = tl.load(k + columns[:, None] * D + inner[None, :], mask=columns[:, None] < N, other=0.0)
        tile = tl.dot(a, tl.trans(b), tile)
    return tile


@triton.jit
def lse_kernel(q, k, lse, N, scale_log2, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    largest = tl.full((BM,), -float("inf"), dtype=tl.float32)
    total = tl.zeros((BM,), dtype=tl.float32)
    for first in range(0, N, BN):
        columns = first + tl.arange(0, BN)
        scores = score_tile(q, k, rows, columns, N, D, BM, BN, BK) * scale_log2
        scores = tl.where(columns[None, :] < N, scores, -float("inf"))
        now = tl.maximum(largest, tl.max(scores, 1))
        total = total * tl.exp2(largest - now) + tl.sum(tl.exp2(scores - now[:, None]), 1)
        largest = now
    # In base 2: the gradient kernel needs it so.
    tl.store(lse + rows, largest + tl.log2(total), mask=rows < N)


@triton.jit
def gradient_kernel(
    q, k, lse_q, lse_k, dq, N, scale_log2, factor,
    D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    own = tl.load(lse_q + rows, mask=rows < N, other=float("inf"))
    dims = tl.arange(0, D)
    gradient = tl.zeros((BM, D), dtype=tl.float32)
    for first in range(0, N, BN):
        columns = first + tl.arange(0, BN)
        scores = score_tile(q, k, rows, columns, N, D, BM, BN, BK) * scale_log2
        other = tl.load(lse_k + columns, mask=columns < N, other=float("inf"))
        weights = tl.exp2(scores - own[:, None]) + tl.exp2(scores - other[None, :])
        weights = tl.where(rows[:, None] == columns[None, :], weights - 2.0, weights)
        block = tl.load(k + columns[:, None] * D + dims[None, :], mask=columns[:, None] < N, other=0.0)
        gradient = tl.dot(weights.to(block.dtype), block, gradient)
    tl.store(dq + rows[:, None] * D + dims[None, :], gradient * factor, mask=rows[:, None] < N)


class ClipLoss:
    """Kernels and buffers of one shape; forward() fills lse, backward() dq, dk and dscale."""

    def __init__(self, q, k, scale):
        self.N, self.D = q.shape
        self.scale = scale
        self.lse = [torch.empty(self.N, dtype=torch.float32, device=q.device) for _ in range(2)]
        self.dq, self.dk = (torch.empty(self.N, self.D, dtype=torch.float32, device=q.device) for _ in range(2))
        self.lse_tile = self._fastest(LSE_TILES, lambda tile: self._lse(q, k, self.lse[0], tile))
        self.forward(q, k)
        tiles = gradient_tiles(self.D)
        self.gradient_tile = self._fastest(tiles, lambda tile: self._gradient(q, k, *self.lse, self.dq, tile))

    def _lse(self, q, k, lse, tile):
        BM, BN, BK, warps, stages = tile
        lse_kernel[(triton.cdiv(self.N, BM),)](
            q, k, lse, self.N, self.scale * LOG2E, self.D, BM, BN, min(BK, self.D), num_warps=warps, num_stages=stages
        )

    def _gradient(self, q, k, lse_q, lse_k, dq, tile):
        BM, BN, BK, warps, stages = tile
        gradient_kernel[(triton.cdiv(self.N, BM),)](
            q, k, lse_q, lse_k, dq, self.N, self.scale * LOG2E, self.scale / (2 * self.N),
            self.D, BM, BN, min(BK, self.D), num_warps=warps, num_stages=stages,
        )  # fmt: skip

    def _fastest(self, tiles, launch):
        times = {}
        for tile in tiles:
            try:
                launch(tile)  # compiles
                first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                first.record()
                launch(tile)
                last.record()
                last.synchronize()
                times[tile] = first.elapsed_time(last)
            except triton.runtime.errors.OutOfResources:
                pass  # more shared memory than the device has
        if not times:
            raise RuntimeError(f"no tile of the Triton kernel fits the device at D = {self.D}")
        return min(times, key=times.get)

    def forward(self, q, k):
        self._lse(q, k, self.lse[0], self.lse_tile)
        self._lse(k, q, self.lse[1], self.lse_tile)

    def backward(self, q, k):
        self._gradient(q, k, self.lse[0], self.lse[1], self.dq, self.gradient_tile)
        self._gradient(k, q, self.lse[1], self.lse[0], self.dk, self.gradient_tile)
        self.dscale = (q * self.dq).sum() / self.scale

    def forward_backward(self, q, k):
        self.forward(q, k)
        self.backward(q, k)

    def bytes(self):
        return 8 * self.N + 8 * self.N * self.D
