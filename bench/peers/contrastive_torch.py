"""PyTorch's symmetric CLIP loss, timed on request.

Reads one JSON line a request from stdin: {"n", "d", "threads", "kind": "clip" | "sgemm"}; answers {"ms"} for one
forward + backward (or one n x n x d product into memory that is there), or {"error"}: the second of two calls in a row.
Inputs are kept between requests of one shape.
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

print(json.dumps({"version": torch.__version__}), flush=True)
shape = None
for line in sys.stdin:
    request = json.loads(line)
    torch.set_num_threads(request["threads"])
    n, d = request["n"], request["d"]
    if shape != (n, d):
        shape = (n, d)
        torch.manual_seed(0)
        q = torch.randn(n, d, requires_grad=True)
        k = torch.randn(n, d, requires_grad=True)
        scale = torch.tensor(1 / 0.07, requires_grad=True)
        target = torch.arange(n)
        a, b, product = torch.randn(n, d), torch.randn(d, n), torch.empty(n, n)
    for _ in range(2):
        start = time.perf_counter()
        if request["kind"] == "clip":
            q.grad = k.grad = scale.grad = None
            logits = scale * F.normalize(q) @ F.normalize(k).t()
            loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2
            loss.backward()
        else:
            torch.mm(a, b, out=product)
    print(json.dumps({"ms": 1e3 * (time.perf_counter() - start)}), flush=True)
