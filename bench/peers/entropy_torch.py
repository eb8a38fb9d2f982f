"""The factorised entropy model (Balle et al. 2018) in PyTorch, twice, as peers for timing.

"module": as a training loop runs it, an nn.Module of the structure of CompressAI's EntropyBottleneck: channels are brought to the
front in memory and back, parameters are registered tensors, noise is drawn into a new tensor, the likelihood's bound is an autograd
function of its own whose backward decides which gradients pass, values and likelihoods are both returned.  "lean": the same
arithmetic and nothing else, a view instead of the permuted copies, clamp instead of the bound, no outputs but the bits.

Reads one JSON request a line on stdin, {"kind", "rows", "channels", "backward"}, and answers with {"seconds", "cpu_seconds", "bits"}
of one pass over fixed random data: noise, likelihood, bits, and with "backward" the gradients to x and all parameters.
"""
import json
import math
import sys
import time

import torch
import torch.nn.functional as functional
from torch import nn

HIDDEN = (3, 3, 3, 3)


class AtLeast(torch.autograd.Function):
    """max(x, bound); below the bound a gradient passes only where it would raise x."""

    @staticmethod
    def forward(context, x, bound):
        context.save_for_backward(x, bound)
        return torch.max(x, bound)

    @staticmethod
    def backward(context, gradient):
        x, bound = context.saved_tensors
        passes = torch.logical_or(x >= bound, gradient < 0)
        return passes.type(gradient.dtype) * gradient, None


class FactorizedModel(nn.Module):
    def __init__(self, channels, generator):
        super().__init__()
        widths = (1, *HIDDEN, 1)
        scale = 10 ** (1 / (len(widths) - 1))
        self.matrices, self.biases, self.factors = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in zip(widths, widths[1:]):
            start = math.log(math.expm1(1 / scale / outputs))
            self.matrices.append(nn.Parameter(torch.full((channels, outputs, inputs), start)))
            self.biases.append(nn.Parameter(torch.rand(channels, outputs, 1, generator=generator) - 0.5))
        for outputs in HIDDEN:
            self.factors.append(nn.Parameter(0.1 * torch.randn(channels, outputs, 1, generator=generator)))
        self.register_buffer("bound", torch.tensor([1e-9]))

    def logits(self, values):  # [C, 1, N]
        for k, (matrix, bias) in enumerate(zip(self.matrices, self.biases)):
            values = torch.matmul(functional.softplus(matrix), values) + bias
            if k < len(self.factors):
                values = values + torch.tanh(self.factors[k]) * torch.tanh(values)
        return values

    def likelihood(self, values):
        lower, upper = self.logits(values - 0.5), self.logits(values + 0.5)
        sign = -torch.sign(lower + upper).detach()
        return torch.abs(torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower))

    def forward(self, x):  # [N, C]
        order = (1, 0)
        front = x.permute(*order).contiguous()
        shape = front.size()
        values = front.reshape(front.size(0), 1, -1)
        values = values + torch.empty_like(values).uniform_(-0.5, 0.5)
        likelihood = AtLeast.apply(self.likelihood(values), self.bound)
        values = values.reshape(shape).permute(*order).contiguous()
        likelihood = likelihood.reshape(shape).permute(*order).contiguous()
        return values, likelihood

    def lean_bits(self, x):
        values = (x + torch.rand_like(x) - 0.5).t().contiguous().unsqueeze(1)
        return -torch.log2(torch.clamp(self.likelihood(values), min=1e-9)).sum()

    def bits(self, x, kind):
        if kind == "lean":
            return self.lean_bits(x)
        _, likelihood = self(x)
        return -torch.log2(likelihood).sum()


def make(rows, channels):
    generator = torch.Generator().manual_seed(1)
    model = FactorizedModel(channels, generator)
    return model, (3 * torch.randn(rows, channels, generator=generator)).requires_grad_()


def main():
    made = {}
    for line in sys.stdin:
        request = json.loads(line)
        shape = request["rows"], request["channels"]
        if "threads" in request:
            torch.set_num_threads(request["threads"])
        if shape not in made:
            made[shape] = make(*shape)
        model, x = made[shape]
        model.zero_grad(set_to_none=True)
        x.grad = None
        start, start_cpu = time.perf_counter(), time.process_time()
        if request["backward"]:
            bits = model.bits(x, request["kind"])
            bits.backward()
        else:
            with torch.no_grad():
                bits = model.bits(x, request["kind"])
        answer = {
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - start_cpu,
            "bits": float(bits.detach()),
        }
        print(json.dumps(answer), flush=True)


main()
