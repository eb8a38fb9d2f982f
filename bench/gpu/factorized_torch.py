"""The factorised entropy model (Balle et al. 2018) in plain code: a reference on numpy or torch arrays, and the module
that PyTorch users write, as a peer.

Parameters are [58, C], parameter-major, as libbince takes them: a layer's matrix [out, in] (before softplus), bias
[out] and factor [out] (before tanh, not after the last layer), for widths 1-3-3-3-3-1.
"""

WIDTHS = (1, 3, 3, 3, 3, 1)
FLOOR = 1e-9


def layers_of(params):
    """[(matrix [out * in, C], bias [out, C], factor [out, C] or None)] of params [58, C]."""
    layers, at = [], 0
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        sizes = (inputs * outputs, outputs, 0 if outputs == WIDTHS[-1] and at else outputs)
        parts = []
        for size in sizes:
            parts.append(params[at : at + size] if size else None)
            at += size
        layers.append(tuple(parts))
    return layers


def logits(xp, values, layers):
    """F of values [N, C], unit by unit."""
    h = [values]
    for matrix, bias, factor in layers:
        weights = xp.log(1 + xp.exp(matrix))
        inputs, units = len(h), []
        for o in range(len(bias)):
            unit = bias[o]
            for i in range(inputs):
                unit = unit + weights[o * inputs + i] * h[i]
            units.append(unit if factor is None else unit + xp.tanh(factor[o]) * xp.tanh(unit))
        h = units
    return h[0]


def likelihood(xp, values, layers):
    """sigmoid(F(v + 1/2)) - sigmoid(F(v - 1/2)), on the side where it does not cancel."""
    lower, upper = logits(xp, values - 0.5, layers), logits(xp, values + 0.5, layers)
    total = lower + upper
    sign = -xp.sign(total.detach() if hasattr(total, "detach") else total)
    difference = abs(1 / (1 + xp.exp(-sign * upper)) - 1 / (1 + xp.exp(-sign * lower)))
    return difference.clip(min=FLOOR)


def initial_parameters(numpy, random, channels):
    """Parameters as the model begins with (scale 10), as float32 [58, C]."""
    rows, scale = [], 10 ** (1 / 5)
    for outputs, inputs in zip(WIDTHS[1:], WIDTHS):
        rows.append(numpy.full((inputs * outputs, channels), numpy.log(numpy.expm1(1 / scale / outputs))))
        rows.append(random.uniform(-0.5, 0.5, (outputs, channels)))
        if outputs > 1:
            rows.append(0.1 * random.standard_normal((outputs, channels)))
    return numpy.concatenate(rows).astype(numpy.float32)


def reference(torch, values, params, dtype, chunk=8192):
    """Likelihoods, total bits, and gradients of the bits, in `dtype` on the tensors' device, by chunks of rows."""
    params = params.to(dtype).requires_grad_()
    found = {"likelihood": [], "dx": []}
    bits, dparams = 0.0, torch.zeros_like(params, dtype=torch.float64)
    for start in range(0, len(values), chunk):
        v = values[start : start + chunk].to(dtype).requires_grad_()
        p = likelihood(torch, v, layers_of(params))
        total = -torch.log2(p).sum()
        dv, dp = torch.autograd.grad(total, (v, params))
        bits += float(total.detach())
        dparams += dp
        found["likelihood"].append(p.detach())
        found["dx"].append(dv)
    found = {name: torch.cat(parts) for name, parts in found.items()}
    found["bits_per_row"] = -torch.log2(found["likelihood"]).sum(1)
    return found | {"bits": torch.tensor([bits], dtype=torch.float64, device=values.device), "dparams": dparams}


class FactorizedModel:
    """The module written plainly: channels first, a small batched matrix product a layer."""

    def __init__(self, torch, params):
        self.torch = torch
        channels = params.shape[1]
        self.layers = []
        for matrix, bias, factor in layers_of(params):
            outputs = len(bias)
            shape = lambda x: x.reshape(outputs, -1, channels).permute(2, 0, 1).contiguous().detach().requires_grad_()
            self.layers.append((shape(matrix), shape(bias), None if factor is None else shape(factor)))

    def parameters(self):
        return [x for layer in self.layers for x in layer if x is not None]

    def logits(self, values):  # [C, 1, N]
        functional = self.torch.nn.functional
        for matrix, bias, factor in self.layers:
            values = self.torch.matmul(functional.softplus(matrix), values) + bias
            if factor is not None:
                values = values + self.torch.tanh(factor) * self.torch.tanh(values)
        return values

    def forward(self, x):
        """Noisy values, their likelihoods and the total bits of x [N, C]."""
        torch = self.torch
        values = x + torch.rand_like(x) - 0.5
        rows = values.t().unsqueeze(1)
        lower, upper = self.logits(rows - 0.5), self.logits(rows + 0.5)
        sign = -torch.sign(lower + upper).detach()
        p = torch.abs(torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower))
        p = torch.clamp(p, min=FLOOR).squeeze(1).t()
        return values, p, -torch.log2(p).sum()


class PointwiseModel:
    """The same unit by unit, without matrix products: what a compiler can fuse into one kernel."""

    def __init__(self, torch, params):
        self.torch, self.params = torch, params.detach().clone().requires_grad_()

    def parameters(self):
        return [self.params]

    def forward(self, x):
        values = x + self.torch.rand_like(x) - 0.5
        p = likelihood(self.torch, values, layers_of(self.params))
        return values, p, -self.torch.log2(p).sum()
