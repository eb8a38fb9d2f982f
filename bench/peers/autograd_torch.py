"""The cases of bench/autograd.mjs in PyTorch: reads a JSON request a line, writes microseconds a repetition."""
import json
import sys
import time

import torch

torch.set_num_threads(1)
x = torch.ones(16, requires_grad=True)
y = torch.full((16,), 2.0)
m = torch.ones(16, 16, requires_grad=True)


def chain():
    h = x
    for _ in range(20):
        h = h + y
    h.sum().backward()
    x.grad = None


CASES = {
    "add": lambda: x + y,
    "add a row": lambda: m + y,
    "relu": lambda: torch.relu(x),
    "sum": lambda: m.sum(0),
    "chain": chain,
}

for line in sys.stdin:
    request = json.loads(line)
    case, count = CASES[request["case"]], request["count"]
    for _ in range(count // 10 + 1):
        case()
    start = time.perf_counter()
    for _ in range(count):
        case()
    print(json.dumps((time.perf_counter() - start) / count * 1e6), flush=True)
