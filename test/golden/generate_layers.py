#!/usr/bin/python3
"""Writes layers.json: what PyTorch computes for the layers, losses and optimisers of lib/nn, lib/optim and lib/autograd.

    /usr/bin/python3 test/golden/generate_layers.py        (Debian's python3-torch)

Everything is computed in float64 and written with 8 digits, so that a test's tolerance is about our own rounding.
Images are [N, C, H, W] and weights [out, in, kh, kw], as PyTorch has them; the tests transpose.
"""
import json
import math
import os

import torch
import torch.nn.functional as F

torch.manual_seed(20)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def numbers(tensor):
    """A tensor as {shape, data}, rounded to 8 significant digits."""
    data = [float(f"{v:.8g}") for v in tensor.detach().double().reshape(-1).tolist()]
    return {"shape": list(tensor.shape), "data": [int(v) if v == int(v) else v for v in data]}


def random(*shape, scale=1.0):
    """Numbers that float32 holds exactly: the inputs are then the same on both sides."""
    return (torch.randn(*shape) * scale).float().double()


def leaf(tensor):
    return tensor.clone().requires_grad_()


def run(function, inputs, dy=None):
    """Forward and gradients for a random cotangent: {inputs, y, dy, gradients}."""
    leaves = {name: leaf(value) for name, value in inputs.items()}
    y = function(**leaves)
    dy = random(*y.shape) if dy is None else dy
    y.backward(dy)
    return {
        "inputs": {name: numbers(value) for name, value in leaves.items()},
        "y": numbers(y),
        "dy": numbers(dy),
        "gradients": {name: numbers(value.grad) for name, value in leaves.items()},
    }


def linear():
    return run(F.linear, {"input": random(4, 3), "weight": random(5, 3), "bias": random(5)})


def convolutions():
    cases = []
    for kernel, stride, padding in [((3, 3), (1, 1), (1, 1)), ((3, 3), (2, 2), (1, 1)), ((1, 1), (2, 2), (0, 0)),
                                    ((3, 2), (2, 1), (1, 0))]:
        inputs = {"input": random(2, 2, 6, 5), "weight": random(3, 2, *kernel, scale=0.5), "bias": random(3)}
        case = run(lambda input, weight, bias: F.conv2d(input, weight, bias, stride, padding), inputs)
        cases.append({"stride": stride, "padding": padding, **case})
    return cases


def transposed_convolutions():
    cases = []
    for kernel, stride, padding, extra in [((3, 3), (1, 1), (1, 1), (0, 0)), ((3, 3), (2, 2), (1, 1), (1, 1)),
                                           ((4, 4), (2, 2), (1, 1), (0, 0)), ((3, 2), (2, 1), (0, 0), (0, 0))]:
        inputs = {"input": random(2, 3, 3, 4), "weight": random(3, 2, *kernel, scale=0.5), "bias": random(2)}
        case = run(lambda input, weight, bias: F.conv_transpose2d(input, weight, bias, stride, padding, extra), inputs)
        cases.append({"stride": stride, "padding": padding, "outputPadding": extra, **case})
    return cases


def batch_norm(module, shape):
    """Three training steps, the last with gradients, then evaluation with gradients."""
    with torch.no_grad():
        module.weight.copy_(random(*module.weight.shape))
        module.bias.copy_(random(*module.bias.shape))
    weight, bias = numbers(module.weight), numbers(module.bias)
    steps = []
    for _ in range(3):
        x = leaf((random(*shape) * 1.5 + 0.5).float().double())
        module.zero_grad()
        y = module(x)
        dy = random(*shape)
        y.backward(dy)
        steps.append({"x": numbers(x), "y": numbers(y), "dy": numbers(dy), "dx": numbers(x.grad),
                      "dweight": numbers(module.weight.grad), "dbias": numbers(module.bias.grad)})
    steps = [{"x": step["x"]} for step in steps[:-1]] + [steps[-1]]
    running = {"mean": numbers(module.running_mean), "variance": numbers(module.running_var)}
    module.eval()
    x = leaf(random(*shape))
    module.zero_grad()
    y = module(x)
    dy = random(*shape)
    y.backward(dy)
    return {"weight": weight, "bias": bias, "steps": steps, "running": running,
            "evaluation": {"x": numbers(x), "y": numbers(y), "dy": numbers(dy), "dx": numbers(x.grad),
                           "dweight": numbers(module.weight.grad), "dbias": numbers(module.bias.grad)}}


def layer_norm():
    inputs = {"input": random(4, 6), "weight": random(6), "bias": random(6)}
    return run(lambda input, weight, bias: F.layer_norm(input, (6,), weight, bias, 1e-5), inputs)


def activations():
    x = torch.tensor([-9.0, -3.0, -1.25, -0.5, -0.125, 0.0, 0.25, 0.75, 1.5, 4.0, 11.0])
    functions = {
        "relu": F.relu,
        "leakyRelu": lambda input: F.leaky_relu(input, 0.1),
        "elu": lambda input: F.elu(input, 0.75),
        "gelu": F.gelu,
        "silu": F.silu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "softplus": F.softplus,
    }
    return {name: run(function, {"input": x}, torch.ones_like(x)) for name, function in functions.items()}


def losses():
    labels = torch.tensor([2, 0, 4, 1])
    one = torch.tensor(1.0)
    cases = {"labels": numbers(labels)}
    for name, smoothing in [("crossEntropy", 0.0), ("crossEntropySmoothed", 0.1)]:
        cases[name] = run(lambda input: F.cross_entropy(input, labels, label_smoothing=smoothing),
                          {"input": random(4, 5, scale=2)}, one)
    target = torch.rand(3, 4).float().double()
    cases["bceTarget"] = numbers(target)
    cases["bceWithLogits"] = run(lambda input: F.binary_cross_entropy_with_logits(input, target, reduction="sum"),
                                 {"input": random(3, 4, scale=3)}, one)
    # KL(p || q) of softmax rows, the mean over rows.
    cases["klDivergence"] = run(
        lambda p, q: F.kl_div(F.log_softmax(q, 1), F.log_softmax(p, 1), reduction="batchmean", log_target=True),
        {"p": random(3, 5), "q": random(3, 5)}, one)
    return cases


class LowerBound(torch.autograd.Function):
    """max(x, bound), whose gradient also passes where it would raise x."""

    @staticmethod
    def forward(ctx, x, bound):
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * ((x >= ctx.bound) | (dy < 0)), None


def gdn(inverse):
    """Balle et al. 2016; beta and gamma are squares of what is learned, with lower bounds, less a pedestal."""
    offset = 2.0**-18
    pedestal = offset**2
    betas = torch.sqrt(1 + 0.5 * random(3).abs() + pedestal)
    betas[2] = 1e-5  # below its bound
    gammas = torch.sqrt(0.1 * torch.eye(3) + 0.05 * random(3, 3).abs() + pedestal)
    gammas[0, 1] = 0  # below its bound

    def forward(input, beta, gamma):
        beta = LowerBound.apply(beta, math.sqrt(1e-6 + pedestal)) ** 2 - pedestal
        gamma = LowerBound.apply(gamma, offset) ** 2 - pedestal
        norm = F.conv2d(input**2, gamma.reshape(3, 3, 1, 1), beta)
        return input * (torch.sqrt(norm) if inverse else torch.rsqrt(norm))

    inputs = {"input": random(2, 3, 2, 3), "beta": betas.float().double(), "gamma": gammas.float().double()}
    return run(forward, inputs)


def pooling():
    x = {"input": random(2, 2, 6, 5)}
    return {
        "max3s2p1": run(lambda input: F.max_pool2d(input, 3, 2, 1), x),
        "max2": run(lambda input: F.max_pool2d(input, 2), x),
        "avg2": run(lambda input: F.avg_pool2d(input, 2), x),
        "avg3s2p1": run(lambda input: F.avg_pool2d(input, 3, 2, 1), x),
    }


def upsampling():
    x = {"input": random(1, 2, 3, 4)}
    sizes = {"double": (6, 8), "odd": (5, 7)}
    cases = {}
    for name, size in sizes.items():
        cases["bilinear_" + name] = run(
            lambda input: F.interpolate(input, size, mode="bilinear", align_corners=False), x)
    cases["nearest_double"] = run(lambda input: F.interpolate(input, (6, 8), mode="nearest"), x)
    return cases


class BasicBlock(torch.nn.Module):
    """He et al. 2015, with a projection on the shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outputs)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outputs)
        self.projection = torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.projectionNorm = torch.nn.BatchNorm2d(outputs)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.projectionNorm(self.projection(x)))


def basic_block():
    block = BasicBlock(3, 4, 2)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(random(*parameter.shape, scale=0.5) + (1 if parameter.dim() == 1 else 0))
            parameter.copy_(parameter.float().double())
    x = leaf(random(2, 3, 5, 5))
    y = block(x)
    dy = random(*y.shape)
    y.backward(dy)
    return {
        "x": numbers(x), "y": numbers(y), "dy": numbers(dy), "dx": numbers(x.grad),
        "parameters": {name: numbers(value) for name, value in block.named_parameters()},
        "gradients": {name: numbers(value.grad) for name, value in block.named_parameters()},
        "buffers": {name: numbers(value) for name, value in block.named_buffers() if value.dim() == 1},
    }


def optimizers():
    """Five steps with gradients that are given; the parameters after each."""
    makers = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "sgdMomentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        "sgdDampening": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
        "sgdNesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        "adam": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), weight_decay=0.1),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1),
        "adamwEps": lambda p: torch.optim.AdamW(p, lr=0.05, eps=0.1, weight_decay=0),
    }
    start = random(6)
    gradients = [random(6) for _ in range(5)]
    results = {}
    for name, make in makers.items():
        p = leaf(start)
        optimizer = make([p])
        after = []
        for gradient in gradients:
            p.grad = gradient.clone()
            optimizer.step()
            after.append(numbers(p))
        results[name] = after
    return {"start": numbers(start), "gradients": [numbers(g) for g in gradients], "after": results}


def main():
    golden = {
        "torch": torch.__version__,
        "linear": linear(),
        "conv2d": convolutions(),
        "convTranspose2d": transposed_convolutions(),
        "batchNorm": {"rows": batch_norm(torch.nn.BatchNorm1d(3), (5, 3)),
                      "images": batch_norm(torch.nn.BatchNorm2d(2, momentum=0.3), (2, 2, 3, 3))},
        "layerNorm": layer_norm(),
        "activations": activations(),
        "losses": losses(),
        "gdn": gdn(False),
        "inverseGdn": gdn(True),
        "pooling": pooling(),
        "upsampling": upsampling(),
        "basicBlock": basic_block(),
        "optimizers": optimizers(),
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers.json")
    with open(path, "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


main()
