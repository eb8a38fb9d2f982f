"""Fused InfoNCE and the coder called from Python through the C ABI: ctypes and numpy, nothing else.

Build the library first (cmake -S . -B build-native && cmake --build build-native), then

    BINCE_LIBRARY=build-native/libbince.so python3 docs/examples/bince_ctypes.py

The same struct describes a torch tensor: data_ptr(), shape and dtype are all it holds.
"""

import ctypes as ct
import os

import numpy as np

CPU, RANS, FORWARD_BACKWARD, SYMMETRIC, COSINE = 1, 0, 3, 1, 2


class Tensor(ct.Structure):
    """bince_tensor, which is DLPack's DLTensor."""

    _fields_ = [
        ("data", ct.c_void_p),
        ("device_type", ct.c_int32),
        ("device_id", ct.c_int32),
        ("ndim", ct.c_int32),
        ("code", ct.c_uint8),
        ("bits", ct.c_uint8),
        ("lanes", ct.c_uint16),
        ("shape", ct.POINTER(ct.c_int64)),
        ("strides", ct.POINTER(ct.c_int64)),
        ("byte_offset", ct.c_uint64),
    ]


class Launch(ct.Structure):
    _fields_ = [
        ("stream", ct.c_void_p),
        ("workspace", ct.c_void_p),
        ("workspace_bytes", ct.c_size_t),
        ("cancel", ct.c_void_p),
    ]


class Contrastive(ct.Structure):
    """bince_contrastive; bince_contrastive_init fills in the defaults."""

    _fields_ = (
        [("struct_size", ct.c_uint32), ("denominator", ct.c_uint32), ("flags", ct.c_uint32)]
        + [(name, ct.c_float) for name in ("scale", "bias", "clip", "regularizer", "negative_log_weight")]
        + [(name, ct.c_float) for name in ("threshold", "grad_loss")]
        + [(name, ct.POINTER(Tensor)) for name in ("q", "k", "queue", "positive", "row_group", "column_group")]
        + [(name, ct.POINTER(Tensor)) for name in ("row_id", "column_id", "row_weight", "column_weight")]
    )


class ContrastiveResults(ct.Structure):
    _fields_ = [("struct_size", ct.c_uint32)] + [
        (name, ct.POINTER(Tensor))
        for name in ("loss", "regularizer", "row_loss", "row_lse", "column_loss", "column_lse")
        + ("dq", "dk", "dscale", "dbias")
    ]


library = ct.CDLL(os.environ.get("BINCE_LIBRARY", "libbince.so"))
library.bince_last_error.restype = ct.c_char_p
library.bince_status_name.restype = ct.c_char_p
library.bince_context_backend.restype = ct.c_char_p


def check(status):
    if status:
        name, message = library.bince_status_name(status), library.bince_last_error()
        raise RuntimeError(f"{name.decode()}: {message.decode()}")


def tensor(array):
    """Describes a numpy array; the array must stay alive and in place while the description is used."""
    code = {"i": 0, "u": 1, "f": 2}[array.dtype.kind]
    shape = (ct.c_int64 * array.ndim)(*array.shape)
    described = Tensor(array.ctypes.data, CPU, 0, array.ndim, code, array.itemsize * 8, 1, shape, None, 0)
    described.keep = (array, shape)
    return described


def workspace(size):
    """A launch with a 64-byte aligned workspace."""
    memory = np.empty(size + 64, np.uint8)
    launch = Launch(None, (memory.ctypes.data + 63) // 64 * 64, size, None)
    launch.keep = memory
    return launch


def clip_loss(context, q, k, scale):
    """The symmetric CLIP loss of q, k [N, D] float32 and its gradients dq, dk, dscale."""
    described = [tensor(np.ascontiguousarray(x, np.float32)) for x in (q, k)]
    outputs = [np.empty(1, np.float32), np.empty_like(q), np.empty_like(k), np.empty(1, np.float32)]
    problem = Contrastive()
    library.bince_contrastive_init(ct.byref(problem))
    problem.flags, problem.scale = SYMMETRIC | COSINE, scale
    problem.q, problem.k = [ct.pointer(x) for x in described]
    results = ContrastiveResults(struct_size=ct.sizeof(ContrastiveResults))
    results.loss, results.dq, results.dk, results.dscale = [ct.pointer(tensor(x)) for x in outputs]
    size = ct.c_size_t()
    check(library.bince_contrastive_workspace(context, ct.byref(problem), FORWARD_BACKWARD, ct.byref(size)))
    launch = workspace(size.value)
    check(
        library.bince_contrastive_forward_backward(
            context, ct.byref(problem), ct.byref(results), ct.byref(launch)
        )
    )
    return outputs


def clip_loss_plainly(q, k, scale):
    """The same in float64 numpy, with the matrix of logits."""
    q, k = [x.astype(np.float64) for x in (q, k)]
    q, k = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, k)]
    logits = scale * q @ k.T
    losses = [np.log(np.exp(x - x.max(1, keepdims=True)).sum(1)) + x.max(1) - np.diag(x) for x in (logits, logits.T)]
    return np.mean(losses)


class Coder:
    """rANS over cumulative tables (lists from 0 to 65536, the last entry being the escape) and their offsets."""

    def __init__(self, context, tables, offsets):
        self.context, self.count = context, len(tables)
        cdf = np.concatenate(tables).astype(np.int32)
        start = np.cumsum([0] + [len(table) for table in tables]).astype(np.int32)
        described = [tensor(x) for x in (cdf, start, np.array(offsets, np.int32))]
        size = ct.c_size_t()
        check(library.bince_tables_bytes(*[ct.byref(x) for x in described[:2]], ct.byref(size)))
        self.memory = workspace(size.value)
        self.prepared = ct.c_void_p()
        check(
            library.bince_tables_prepare(
                *[ct.byref(x) for x in described],
                ct.c_void_p(self.memory.workspace),
                size,
                ct.byref(self.prepared),
            )
        )

    def encode(self, symbols, lanes=32):
        bound, used, size = ct.c_uint64(), ct.c_uint64(), ct.c_size_t()
        check(library.bince_symbols_bound(ct.c_int64(symbols.size), ct.byref(bound)))
        coded = np.empty(bound.value, np.uint8)
        call = (self.context, self.prepared)
        check(library.bince_symbols_encode_workspace(*call, ct.c_int64(symbols.size), ct.byref(size)))
        launch = workspace(size.value)
        flat = tensor(np.ascontiguousarray(symbols.reshape(-1), np.int32))
        out = tensor(coded)
        check(
            library.bince_symbols_encode(
                *call, RANS, lanes, ct.byref(flat), None, ct.byref(out), ct.byref(used), ct.byref(launch)
            )
        )
        return coded[: used.value].tobytes()

    def decode(self, coded, count, lanes=32):
        size = ct.c_size_t()
        call = (self.context, self.prepared)
        check(library.bince_symbols_decode_workspace(*call, ct.byref(size)))
        launch = workspace(size.value)
        symbols = np.empty(count, np.int32)
        data, out = tensor(np.frombuffer(coded, np.uint8)), tensor(symbols)
        check(
            library.bince_symbols_decode(
                *call, RANS, lanes, ct.byref(data), None, ct.byref(out), ct.byref(launch)
            )
        )
        return symbols


def main():
    context = ct.c_void_p()
    check(library.bince_context_create(None, ct.byref(context)))
    print("backend", library.bince_context_backend(context).decode())
    rng = np.random.default_rng(0)

    q, k = [rng.standard_normal((300, 64), np.float32) for _ in range(2)]
    k += 2 * q
    loss, dq, dk, dscale = clip_loss(context, q, k, 14.0)
    expected = clip_loss_plainly(q, k, 14.0)
    slope = (clip_loss_plainly(q, k, 14.001) - clip_loss_plainly(q, k, 13.999)) / 0.002
    print(f"CLIP loss {loss[0]:.6f} (numpy {expected:.6f}), dscale {dscale[0]:.6f} (differences {slope:.6f})")
    assert abs(loss[0] - expected) < 1e-5 * expected
    assert abs(dscale[0] - slope) < 1e-3 * abs(slope)
    step = 1e-2 / np.abs(dq).max()
    lower = clip_loss_plainly(q - step * dq, k - step * dk, 14.0)
    assert lower < expected, "a step against the gradient lowers the loss"

    tables = [[0, 20000, 45000, 60000, 65535, 65536], [0, 9000, 56000, 65000, 65536]]
    symbols = np.stack([rng.integers(-2, 2, 5000), rng.integers(-1, 2, 5000)], 1).astype(np.int32)
    symbols[7, 1] = 123456  # outside the table: an escape
    coder = Coder(context, tables, [-2, -1])
    coded = coder.encode(symbols)
    assert np.array_equal(coder.decode(coded, symbols.size).reshape(symbols.shape), symbols)
    print(f"{symbols.size} symbols in {len(coded)} bytes, {8 * len(coded) / symbols.size:.3f} bits each, and back")
    library.bince_context_destroy(context)


if __name__ == "__main__":
    main()
