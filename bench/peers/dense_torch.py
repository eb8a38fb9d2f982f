"""PyTorch's matrix products and convolutions, timed on request.

Reads one JSON line a request from stdin: {"kind": "matmul", "m", "n", "k"} or {"kind": "conv", "n", "size", "c", "o",
"kernel", "stride", "pad"}, with "pass": "forward" | "input" | "weight", "threads" and "calls"; answers {"ms"}, the
fastest of so many calls, or {"error"}. Convolutions are timed in the memory layout (channels last or first) that is
faster; operands are kept between requests of one shape.
"""

import json
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(json.dumps({"error": str(error)}), flush=True)
    sys.exit(0)


def matmul_passes(r):
    x, w, dy = torch.randn(r["m"], r["k"]), torch.randn(r["k"], r["n"]), torch.randn(r["m"], r["n"])
    return [{"forward": lambda: x @ w, "input": lambda: dy @ w.t(), "weight": lambda: x.t() @ dy}]


def conv_passes(r):
    layouts = []
    for layout in (torch.channels_last, torch.contiguous_format):
        s, p, o = [r["stride"]] * 2, [r["pad"]] * 2, r["o"]
        x = torch.randn(r["n"], r["c"], r["size"], r["size"]).contiguous(memory_format=layout)
        w = torch.randn(o, r["c"], r["kernel"], r["kernel"]).contiguous(memory_format=layout)
        b = torch.randn(o)
        dy = torch.randn_like(F.conv2d(x, w, b, s, p))

        def backward(mask, x=x, w=w, dy=dy):
            torch.ops.aten.convolution_backward(dy, x, w, [o], s, p, [1, 1], False, [0, 0], 1, mask)

        layouts.append(
            {
                "forward": lambda x=x, w=w, b=b: F.conv2d(x, w, b, s, p),
                "input": lambda backward=backward: backward([True, False, False]),
                "weight": lambda backward=backward: backward([False, True, True]),
            }
        )
    return layouts


print(json.dumps({"version": torch.__version__}), flush=True)
kept = {}
for line in sys.stdin:
    request = json.loads(line)
    torch.set_num_threads(request["threads"])
    what, calls = request.pop("pass"), request.pop("calls")
    key = json.dumps(request)
    if key not in kept:
        kept = {key: (matmul_passes if request["kind"] == "matmul" else conv_passes)(request)}
    best = float("inf")
    with torch.no_grad():
        for layout in kept[key]:
            for _ in range(calls):
                start = time.perf_counter()
                layout[what]()
                best = min(best, time.perf_counter() - start)
    print(json.dumps({"ms": 1e3 * best}), flush=True)
