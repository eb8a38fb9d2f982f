"""The factorised entropy model (Balle et al. 2018) written plainly in PyTorch, as a peer for timing.

Reads one JSON request a line on stdin, {"rows", "channels", "backward"}, and answers with {"seconds", "cpu_seconds", "bits"} of one
pass over fixed random data: noise, likelihood, bits, and with "backward" the gradients to x and all parameters.
"""
import json
import sys
import time

import torch
import torch.nn.functional as functional

FILTERS = (1, 3, 3, 3, 3, 1)


def make(rows, channels):
    generator = torch.Generator().manual_seed(1)
    scale = 10 ** (1 / 5)
    layers = []
    for inputs, outputs in zip(FILTERS, FILTERS[1:]):
        start = torch.log(torch.expm1(torch.tensor(1 / scale / outputs)))
        matrix = start.expand(channels, outputs, inputs).clone().requires_grad_()
        bias = (torch.rand(channels, outputs, 1, generator=generator) - 0.5).requires_grad_()
        factor = (0.1 * torch.randn(channels, outputs, 1, generator=generator)).requires_grad_()
        layers.append((matrix, bias, factor))
    x = 3 * torch.randn(rows, channels, generator=generator)
    return x.requires_grad_(), layers


def cumulative_logits(values, layers):  # values: [C, 1, N]
    for k, (matrix, bias, factor) in enumerate(layers):
        values = torch.matmul(functional.softplus(matrix), values) + bias
        if k + 1 < len(layers):
            values = values + torch.tanh(factor) * torch.tanh(values)
    return values


def bits_of(x, layers):
    values = (x + torch.rand_like(x) - 0.5).t().unsqueeze(1)
    lower = cumulative_logits(values - 0.5, layers)
    upper = cumulative_logits(values + 0.5, layers)
    sign = -torch.sign(lower + upper).detach()
    likelihood = torch.abs(torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower))
    return -torch.log2(torch.clamp(likelihood, min=1e-9)).sum()


def main():
    made = {}
    for line in sys.stdin:
        request = json.loads(line)
        shape = request["rows"], request["channels"]
        if "threads" in request:
            torch.set_num_threads(request["threads"])
        if shape not in made:
            made[shape] = make(*shape)
        x, layers = made[shape]
        for tensor in [x] + [t for layer in layers for t in layer]:
            tensor.grad = None
        start, start_cpu = time.perf_counter(), time.process_time()
        if request["backward"]:
            bits = bits_of(x, layers)
            bits.backward()
        else:
            with torch.no_grad():
                bits = bits_of(x, layers)
        answer = {
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - start_cpu,
            "bits": float(bits.detach()),
        }
        print(json.dumps(answer), flush=True)


main()
