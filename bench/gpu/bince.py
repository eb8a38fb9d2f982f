"""libbince.so from Python, by ctypes: as much of it as the benchmarks in this folder need.

Tensors are those of PyTorch on the device, or `Array` of this file: host memory by numpy, or device memory that
the library itself allocates (which is what the simulator needs). The structs are written after native/include/bince.h
by hand; Library() compares their sizes with the library's, so that a drift between the two is an error at the start.
"""

import ctypes
import os
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8
from ctypes import c_uint16, c_uint32, c_uint64, c_void_p

import numpy

ABI_VERSION = 2
OK, INVALID_ARGUMENT, INVALID_VALUE, CORRUPT_DATA, BUFFER_TOO_SMALL, UNSUPPORTED = range(6)
CPU, CUDA = 1, 2
SYMMETRIC, COSINE, TF32 = 1, 2, 64
FORWARD, BACKWARD, FORWARD_BACKWARD = 1, 2, 3
QUANTIZE_NONE, QUANTIZE_NOISE, QUANTIZE_ROUND = 0, 1, 2
RANS, RANGE = 0, 1

# name: (DLPack's code, bits, numpy's name for memory of that kind)
DTYPES = {
    "float32": (2, 32, "float32"),
    "float64": (2, 64, "float64"),
    "bfloat16": (4, 16, "uint16"),
    "int32": (0, 32, "int32"),
    "int64": (0, 64, "int64"),
    "uint8": (1, 8, "uint8"),
}


class Device(ctypes.Structure):
    _fields_ = [("device_type", c_int32), ("device_id", c_int32)]


class Dtype(ctypes.Structure):
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device", Device),
        ("ndim", c_int32),
        ("dtype", Dtype),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class ContextOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("threads", c_int32), ("backend", c_char_p), ("device", c_int32)]


class Launch(ctypes.Structure):
    _fields_ = [("stream", c_void_p), ("workspace", c_void_p), ("workspace_bytes", c_size_t), ("cancel", c_void_p)]


class CudaInfo(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("device", c_int32),
        ("name", c_char * 256),
        ("compute_major", c_int32),
        ("compute_minor", c_int32),
        ("multiprocessors", c_int32),
        ("driver_version", c_int32),
        ("runtime_version", c_int32),
        ("total_bytes", c_uint64),
        ("free_bytes", c_uint64),
        ("shared_bytes", c_uint64),
        ("l2_bytes", c_uint64),
    ]


def _tensors(*names):
    return [(name, POINTER(Tensor)) for name in names]


class ContrastiveProblem(ctypes.Structure):
    _fields_ = (
        [("struct_size", c_uint32), ("denominator", c_uint32), ("flags", c_uint32)]
        + [(name, c_float) for name in ("scale", "bias", "clip", "regularizer", "negative_log_weight")]
        + [("threshold", c_float), ("grad_loss", c_float)]
        + _tensors("q", "k", "queue", "positive", "row_group", "column_group", "row_id", "column_id")
        + _tensors("row_weight", "column_weight")
    )


class ContrastiveResults(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32)] + _tensors(
        "loss", "regularizer", "row_loss", "row_lse", "column_loss", "column_lse", "dq", "dk", "dscale", "dbias"
    )


class FactorizedOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("quantize", c_int32),
        ("seed", c_uint64),
        ("first_row", c_uint64),
        ("likelihood_floor", c_double),
        ("dbits", c_double),
        ("filters", POINTER(c_int32)),
        ("filter_count", c_int32),
    ]


class FactorizedInputs(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32)] + _tensors(
        "x", "params", "log_gain", "shift", "medians", "dbits_per_row", "dlikelihood"
    )


class FactorizedOutputs(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32)] + _tensors(
        "bits", "bits_per_row", "likelihood", "values", "dx", "dparams", "dlog_gain", "dshift"
    )


class BlockFormat(ctypes.Structure):
    _fields_ = (
        [("struct_size", c_uint32), ("coder", c_int32)]
        + [(name, c_uint32) for name in ("lanes", "channels", "block_rows", "header_crc")]
        + [("tables", c_void_p)]
        + _tensors("table_index", "median", "step", "shift")
        + [("uploaded", c_void_p)]
    )


class BinceError(Exception):
    def __init__(self, call, status, message):
        super().__init__(f"{call}: {message}")
        self.status = status


class Array:
    """Dense row-major memory: a pointer, a shape and a dtype's name. `owner` keeps the memory alive."""

    def __init__(self, pointer, shape, dtype, device_type, owner):
        self.pointer, self.shape, self.dtype = pointer, tuple(shape), dtype
        self.device_type, self.owner = device_type, owner

    @property
    def bytes(self):
        return int(numpy.prod(self.shape, dtype=numpy.int64)) * DTYPES[self.dtype][1] // 8


def to_bfloat16(values):
    """float32 to the nearest bfloat16, ties to even, as uint16."""
    bits = numpy.ascontiguousarray(values, dtype=numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def from_bfloat16(values):
    return (values.astype(numpy.uint32) << 16).view(numpy.float32)


def describe(tensor):
    """A Tensor of a PyTorch tensor or an Array; None stays None. The result keeps what it points to alive."""
    if tensor is None:
        return None
    if isinstance(tensor, Array):
        pointer, shape, name = tensor.pointer, tensor.shape, tensor.dtype
        device = Device(tensor.device_type, 0)
    else:
        if not tensor.is_contiguous():
            raise ValueError("describe: expected a contiguous tensor")
        pointer, shape, name = tensor.data_ptr(), tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        device = Device(CUDA, tensor.device.index or 0) if tensor.is_cuda else Device(CPU, 0)
    code, bits, _ = DTYPES[name]
    sizes = (c_int64 * max(len(shape), 1))(*shape)
    described = Tensor(pointer, device, len(shape), Dtype(code, bits, 1), sizes, None, 0)
    described.keep = (tensor, sizes)
    return described


def fill(struct, tensors):
    """Points a struct's fields at tensors by name, and keeps them alive with the struct."""
    kept = {name: describe(tensor) for name, tensor in tensors.items()}
    for name, tensor in kept.items():
        if tensor is not None:
            setattr(struct, name, ctypes.pointer(tensor))
    struct.keep = (getattr(struct, "keep", None), kept)
    return struct


class Library:
    """libbince.so: `path`, or BINCE_LIBRARY, or build-gpu/libbince.so of this checkout."""

    def __init__(self, path=None):
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.path = path or os.environ.get("BINCE_LIBRARY") or os.path.join(root, "build-gpu", "libbince.so")
        if not os.path.exists(self.path):
            raise SystemExit(f"error: no library at {self.path}\nhint: run scripts/gpu-check.sh build")
        self.c = ctypes.CDLL(self.path)
        for name in ("bince_last_error", "bince_status_name", "bince_version", "bince_available_backends"):
            getattr(self.c, name).restype = c_char_p
        self.c.bince_status_name.argtypes = [c_int32]
        self.c.bince_context_backend.restype = c_char_p
        self.c.bince_context_backend.argtypes = [c_void_p]
        self.c.bince_context_threads.argtypes = [c_void_p]
        self.c.bince_context_stream.restype = c_void_p
        self.c.bince_context_stream.argtypes = [c_void_p]
        self.c.bince_context_destroy.restype = None
        self.c.bince_context_destroy.argtypes = [c_void_p]
        self.c.bince_contrastive_init.restype = None
        self.c.bince_tables_workspace.restype = c_size_t
        self._check_structs()

    def call(self, name, *arguments):
        status = getattr(self.c, name)(*arguments)
        if status != OK:
            raise BinceError(name, status, self.last_error())

    def last_error(self):
        return self.c.bince_last_error().decode()

    def _check_structs(self):
        """Every call refuses a struct_size of 0 and says what it expects: that must be the size here."""
        version = self.c.bince_abi_version()
        if version != ABI_VERSION:
            raise SystemExit(f"error: {self.path} has ABI version {version}, this file is written for {ABI_VERSION}")
        handle = c_void_p()
        self._expect_size(ContextOptions, "bince_context_create", lambda s: [byref(s), byref(handle)])
        self.call(
            "bince_context_create", byref(ContextOptions(ctypes.sizeof(ContextOptions), 1, b"ref")), byref(handle)
        )
        try:
            self._check_call_structs(handle)
        finally:
            self.c.bince_context_destroy(handle)

    def _check_call_structs(self, handle):
        size, row, launch = c_size_t(), describe(host_array((1, 1), "float32")), Launch()
        params = describe(host_array((58, 1), "float32"))
        problem = ContrastiveProblem()
        self.c.bince_contrastive_init(byref(problem))
        self._same(ContrastiveProblem, problem.struct_size)
        problem.q = problem.k = ctypes.pointer(row)
        self._expect_size(
            ContrastiveResults, "bince_contrastive_forward", lambda s: [handle, byref(problem), byref(s), byref(launch)]
        )
        options = FactorizedOptions(ctypes.sizeof(FactorizedOptions))
        inputs = FactorizedInputs(ctypes.sizeof(FactorizedInputs))
        inputs.x, inputs.params = ctypes.pointer(row), ctypes.pointer(params)
        call, tail = "bince_factorized_forward_workspace", byref(size)
        outputs = FactorizedOutputs(ctypes.sizeof(FactorizedOutputs))
        self._expect_size(FactorizedOptions, call, lambda s: [handle, byref(s), byref(inputs), byref(outputs), tail])
        self._expect_size(FactorizedInputs, call, lambda s: [handle, byref(options), byref(s), byref(outputs), tail])
        self._expect_size(FactorizedOutputs, call, lambda s: [handle, byref(options), byref(inputs), byref(s), tail])

    def check_block_format(self):
        bound = c_uint64()
        self._expect_size(BlockFormat, "bince_blocks_bound", lambda s: [byref(s), c_int64(1), byref(bound)])

    def _expect_size(self, struct, call, arguments):
        status = getattr(self.c, call)(*arguments(struct()))
        words = self.last_error().split()
        if status != INVALID_ARGUMENT or "struct_size:" not in " ".join(words) or "expected" not in words:
            raise SystemExit(f"error: {call} did not refuse a {struct.__name__} of size 0: {' '.join(words)}")
        self._same(struct, int(words[words.index("expected") + 1].rstrip(",")))

    def _same(self, struct, expected):
        if ctypes.sizeof(struct) != expected:
            raise SystemExit(
                f"error: {struct.__name__} has {ctypes.sizeof(struct)} bytes here and {expected} in {self.path}; "
                "write it anew after native/include/bince.h"
            )

    def cuda_info(self, device=0):
        info = CudaInfo(ctypes.sizeof(CudaInfo))
        self.call("bince_cuda_device_info", c_int32(device), byref(info))
        return info


def host_array(shape, dtype):
    """Zeroed host memory, 64-byte aligned."""
    code, bits, name = DTYPES[dtype]
    count = int(numpy.prod(shape, dtype=numpy.int64))
    raw = numpy.zeros(count * bits // 8 + 64, dtype=numpy.uint8)
    start = -raw.ctypes.data % 64
    values = raw[start : start + count * bits // 8].view(name).reshape(shape)
    return Array(values.ctypes.data, shape, dtype, CPU, values)


class Context:
    """A context of one backend and the memory of its device.

    memory: "torch", tensors of PyTorch on the device, on its current stream; "library", memory from
    bince_device_allocate; "host", numpy. By default what fits the backend, without PyTorch.
    """

    def __init__(self, library, backend, memory=None, threads=0, device=0):
        self.library, self.handle = library, c_void_p()
        options = ContextOptions(ctypes.sizeof(ContextOptions), threads, backend.encode(), device)
        library.call("bince_context_create", byref(options), byref(self.handle))
        self.backend = library.c.bince_context_backend(self.handle).decode()
        self.cuda = self.backend == "cuda"
        self.memory = memory or ("library" if self.cuda else "host")

    def __del__(self):
        if getattr(self, "handle", None) and self.library.c:
            self.library.c.bince_context_destroy(self.handle)

    def call(self, name, *arguments):
        self.library.call(name, self.handle, *arguments)

    def threads(self):
        return self.library.c.bince_context_threads(self.handle)

    def stream(self):
        if self.memory == "torch":
            import torch

            return torch.cuda.current_stream().cuda_stream
        return self.library.c.bince_context_stream(self.handle)

    def synchronize(self):
        self.call("bince_stream_synchronize", c_void_p(self.stream()))

    def empty(self, shape, dtype):
        if self.memory == "torch":
            import torch

            return torch.empty(shape, dtype=getattr(torch, dtype), device="cuda")
        if self.memory == "host":
            return host_array(shape, dtype)
        array = Array(None, shape, dtype, CUDA, None)
        pointer = c_void_p()
        self.call("bince_device_allocate", c_size_t(max(array.bytes, 1)), byref(pointer))
        array.pointer, array.owner = pointer.value, DeviceMemory(self, pointer)
        return array

    def upload(self, values, dtype=None):
        """A numpy array (for "bfloat16" its bits as uint16) in the context's memory."""
        dtype = dtype or str(values.dtype)
        values = numpy.ascontiguousarray(values)
        array = self.empty(values.shape, dtype)
        if self.memory == "torch":
            import torch

            source = torch.from_numpy(values.view(numpy.int16) if dtype == "bfloat16" else values)
            array.copy_(source.view(torch.bfloat16) if dtype == "bfloat16" else source)
        else:
            self.overwrite(array, values)
        return array

    def overwrite(self, array, values):
        """Copies a numpy array of the same shape and dtype into an array that is not torch's."""
        if self.memory == "host":
            array.owner[...] = values
            return
        source = values.ctypes.data_as(c_void_p)
        self.call(
            "bince_copy_to_device", c_void_p(array.pointer), source, c_size_t(array.bytes), c_void_p(self.stream())
        )
        self.synchronize()

    def download(self, array):
        """The numpy array of what `empty` or `upload` returned; waits for the stream."""
        if self.memory == "torch":
            return array.float().cpu().numpy() if str(array.dtype) == "torch.bfloat16" else array.cpu().numpy()
        if self.memory == "host":
            return array.owner.copy()
        values = numpy.empty(array.shape, dtype=DTYPES[array.dtype][2])
        self.call(
            "bince_copy_to_host",
            values.ctypes.data_as(c_void_p),
            c_void_p(array.pointer),
            c_size_t(array.bytes),
            c_void_p(self.stream()),
        )
        self.synchronize()
        return values

    def poison(self, array):
        """Fills an output with NaN (integers: with 0x7b bytes), so that what no kernel wrote is seen."""
        if self.memory == "torch":
            if array.dtype.is_floating_point:
                array.fill_(float("nan"))
            else:
                array.fill_(123)
            return
        code, bits, name = DTYPES[array.dtype]
        if code in (2, 4):
            values = numpy.full(array.shape, 0x7FC0 if code == 4 else numpy.nan, dtype=name)
        else:
            values = numpy.full(array.shape, 123, dtype=name)
        self.overwrite(array, values)

    def launch(self, workspace_bytes):
        """A Launch on the current stream with a workspace of its own."""
        workspace = self.empty((max(workspace_bytes, 64),), "uint8")
        pointer = workspace.pointer if isinstance(workspace, Array) else workspace.data_ptr()
        launch = Launch(self.stream(), pointer, max(workspace_bytes, 64), None)
        launch.keep = workspace
        return launch

    def finish(self, launch):
        self.call("bince_finish", byref(launch))


class DeviceMemory:
    """One allocation of bince_device_allocate, freed with the last reference."""

    def __init__(self, context, pointer):
        self.context, self.pointer = context, pointer

    def __del__(self):
        self.context.library.c.bince_device_free(self.context.handle, self.pointer)


class Call:
    """A call of the C ABI with its structs: `queue()` queues it, `run()` also waits and reports."""

    def __init__(self, context, name, arguments, launch):
        self.context, self.launch = context, launch
        self.name, self.function = name, getattr(context.library.c, name)
        self.keep = arguments
        passed = [byref(a) if isinstance(a, ctypes.Structure) else a for a in arguments]
        self.arguments = [context.handle] + passed + [byref(launch)]

    def queue(self):
        self.launch.stream = self.context.stream()  # a graph is captured on a stream of its own
        status = self.function(*self.arguments)
        if status != OK:
            raise BinceError(self.name, status, self.context.library.last_error())

    def run(self):
        self.queue()
        self.context.finish(self.launch)


def pointer_of(tensor):
    """The memory of a PyTorch tensor or an Array, as a C pointer."""
    return c_void_p(tensor.pointer if isinstance(tensor, Array) else tensor.data_ptr())


def part(tensor, first, count):
    """`count` elements (rows, of a matrix) from the `first`; the same memory."""
    if not isinstance(tensor, Array):
        return tensor[first : first + count]
    row = Array(None, (1,) + tensor.shape[1:], tensor.dtype, tensor.device_type, None).bytes
    shape = (count,) + tensor.shape[1:]
    owner = tensor.owner[first : first + count] if isinstance(tensor.owner, numpy.ndarray) else tensor.owner
    return Array(tensor.pointer + first * row, shape, tensor.dtype, tensor.device_type, owner)


class BlockCoder:
    """Blocks of `.bince` files: tables (host memory, lists of rising integers from 0 to 65536), one a channel, and the
    offset of each, the symbol of its first entry."""

    def __init__(self, context, cdfs, offsets, block_rows, coder=RANS, lanes=32):
        self.context, self.block_rows = context, block_rows
        library = context.library
        library.check_block_format()
        starts = numpy.cumsum([0] + [len(cdf) for cdf in cdfs])
        described = []
        for values in (numpy.concatenate(cdfs), starts, offsets):
            array = host_array((len(values),), "int32")
            array.owner[...] = values
            described.append(describe(array))
        cdf, start, offset = described
        size = c_size_t()
        library.call("bince_tables_bytes", byref(cdf), byref(start), byref(size))
        prepared, tables = host_array((size.value,), "uint8"), c_void_p()
        arguments = [byref(cdf), byref(start), byref(offset), pointer_of(prepared), size, byref(tables)]
        library.call("bince_tables_prepare", *arguments)
        self.format = BlockFormat(ctypes.sizeof(BlockFormat), coder, lanes, len(cdfs), block_rows, 0, tables)
        self.keep = [prepared]
        if context.cuda:
            self._upload(library, tables)

    def _upload(self, library, tables):
        context, stream, size = self.context, c_void_p(self.context.stream()), c_size_t()
        library.call("bince_tables_upload_bytes", tables, byref(size))
        device = context.empty((size.value,), "uint8")
        context.call("bince_tables_upload", tables, pointer_of(device), size, stream)
        library.call("bince_blocks_upload_bytes", byref(self.format), byref(size))
        host, channels = host_array((size.value,), "uint8"), context.empty((size.value,), "uint8")
        arguments = [pointer_of(host), pointer_of(channels), size, stream]
        context.call("bince_blocks_upload", byref(self.format), *arguments)
        context.synchronize()
        self.format.uploaded = pointer_of(channels).value
        self.keep += [device, host, channels]

    def blocks(self, rows):
        return -(-rows // self.block_rows)

    def encode(self, rows, first_block, sections, section_bytes, total, ideal_bits=None):
        """The Call from rows [n, C] to sections (uint8), their sizes (int64 [blocks]) and the sum (int64 [1])."""
        size = c_size_t()
        self.context.call("bince_blocks_encode_workspace", byref(self.format), c_int64(len_of(rows)), byref(size))
        arguments = [self.format, describe(rows), c_uint64(first_block), describe(sections), describe(section_bytes)]
        arguments += [pointer_of(total), pointer_of(ideal_bits) if ideal_bits is not None else None]
        return Call(self.context, "bince_blocks_encode", arguments, self.context.launch(size.value))

    def decode(self, sections, section_bytes, first_block, rows):
        """The Call from sections, exactly as many bytes as they have, to rows [n, C]."""
        size = c_size_t()
        blocks = c_int64(self.blocks(len_of(rows)))
        self.context.call("bince_blocks_decode_workspace", byref(self.format), blocks, byref(size))
        arguments = [self.format, describe(sections), describe(section_bytes), c_uint64(first_block), describe(rows)]
        return Call(self.context, "bince_blocks_decode", arguments, self.context.launch(size.value))


def len_of(rows):
    return rows.shape[0]


def contrastive(context, q, k, results, kind=FORWARD_BACKWARD, scale=1.0, flags=0):
    """The Call of forward, backward or both; positives on the diagonal."""
    problem = ContrastiveProblem()
    context.library.c.bince_contrastive_init(byref(problem))
    problem.scale, problem.flags = scale, flags
    fill(problem, {"q": q, "k": k})
    output = fill(ContrastiveResults(ctypes.sizeof(ContrastiveResults)), results)
    size = c_size_t()
    context.call("bince_contrastive_workspace", byref(problem), c_uint32(kind), byref(size))
    names = {FORWARD: "forward", BACKWARD: "backward", FORWARD_BACKWARD: "forward_backward"}
    name = f"bince_contrastive_{names[kind]}"
    return Call(context, name, [problem, output], context.launch(size.value))


def factorized(context, inputs, outputs, backward, quantize=QUANTIZE_NOISE, seed=1, dbits=1.0):
    """The Call of the factorised model with hidden widths 3, 3, 3, 3."""
    options = FactorizedOptions(ctypes.sizeof(FactorizedOptions), quantize, seed, 0, 0.0, dbits, None, 0)
    given = fill(FactorizedInputs(ctypes.sizeof(FactorizedInputs)), inputs)
    results = fill(FactorizedOutputs(ctypes.sizeof(FactorizedOutputs)), outputs)
    name = f"bince_factorized_{'backward' if backward else 'forward'}"
    size = c_size_t()
    context.call(f"{name}_workspace", byref(options), byref(given), byref(results), byref(size))
    return Call(context, name, [options, given, results], context.launch(size.value))
