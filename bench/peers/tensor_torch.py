"""PyTorch's elementwise functions, batch normalisation and Adam, as peers for timing.

Reads one JSON request a line on stdin, {"case", "shape", "repeat"} and once {"threads"}, and answers with the seconds of each
repetition.
"""
import json
import sys
import time

import torch
import torch.nn.functional as functional


def exp_case(shape):
    x, y = torch.randn(shape), torch.empty(shape)
    return lambda: torch.exp(x, out=y)


def softplus_case(shape):
    x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)

    def step():
        x.grad = None
        functional.softplus(x).backward(dy)

    return step


def batch_norm(shape, backward):
    x, dy = torch.randn(shape, requires_grad=backward), torch.randn(shape)
    columns = shape[1]
    gamma = torch.ones(columns, requires_grad=backward)
    beta = torch.zeros(columns, requires_grad=backward)
    mean, variance = torch.zeros(columns), torch.ones(columns)

    def step():
        for tensor in (x, gamma, beta):
            tensor.grad = None
        y = functional.relu(functional.batch_norm(x, mean, variance, gamma, beta, True, 0.1, 1e-5))
        if backward:
            y.backward(dy)

    return step


def adam_case(shape):
    p = torch.randn(shape, requires_grad=True)
    p.grad = torch.randn(shape)
    optimizer = torch.optim.Adam([p], lr=1e-3)
    return optimizer.step


CASES = {
    "exp": exp_case,
    "softplus": softplus_case,
    "batchNorm": lambda shape: batch_norm(shape, False),
    "batchNormBackward": lambda shape: batch_norm(shape, True),
    "adam": adam_case,
}


def main():
    made = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "threads" in request:
            torch.set_num_threads(request["threads"])
            print(json.dumps({}), flush=True)
            continue
        key = request["case"], tuple(request["shape"])
        if key not in made:
            made[key] = CASES[request["case"]](key[1])
            made[key]()
        seconds, start_cpu = [], time.process_time()
        for _ in range(request["repeat"]):
            start = time.perf_counter()
            made[key]()
            seconds.append(time.perf_counter() - start)
        answer = {"seconds": seconds, "cpu_seconds": time.process_time() - start_cpu}
        print(json.dumps(answer), flush=True)


main()
