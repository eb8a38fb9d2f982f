"""Training steps of VIC on the banana and of VIC and BINCE on augmented MNIST in plain PyTorch, timed on request.

Reads one JSON line a request from stdin: {"case": "banana" | "vic" | "bince", "batch", "threads", "steps", "augment"};
answers {"ms", "cpuMs"}, elapsed and processor milliseconds a step over so many steps, or {"error"}. A step makes its
batch, goes forward and backward, clips the gradients' norm and updates with AdamW. Models are kept between requests of
one case.
"""

import json
import math
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError as error:
    print(json.dumps({"error": str(error)}), flush=True)
    sys.exit(0)

BANANA_BETA, IMAGE_BETA, TEMPERATURE, FACTOR, CLIP = 0.07, 0.2, 0.5, 0.003, 3.0
FLOOR = 1e-9


class Bottleneck(nn.Module):
    """The factorised entropy model of widths 1-3-3-3-3-1 behind a gain and a shift a channel."""

    def __init__(self, channels, widths=(1, 3, 3, 3, 3, 1), scale=10.0):
        super().__init__()
        self.matrices, self.biases, self.factors = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        layers = len(widths) - 1
        for i in range(layers):
            start = math.log(math.expm1(1 / scale ** (1 / layers) / widths[i + 1]))
            self.matrices.append(nn.Parameter(torch.full((channels, widths[i + 1], widths[i]), start)))
            self.biases.append(nn.Parameter(torch.rand(channels, widths[i + 1], 1) - 0.5))
            if i < layers - 1:
                self.factors.append(nn.Parameter(torch.zeros(channels, widths[i + 1], 1)))
        self.log_gain = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def likelihood(self, values):
        rows = values.shape[0]
        columns = values.t().unsqueeze(1)
        x = torch.cat([columns - 0.5, columns + 0.5], 2)
        for i, (matrix, bias) in enumerate(zip(self.matrices, self.biases)):
            x = torch.baddbmm(bias, F.softplus(matrix), x)
            if i < len(self.factors):
                x = x + torch.tanh(self.factors[i]) * torch.tanh(x)
        low, high = x[:, 0, :rows], x[:, 0, rows:]
        sign = -torch.sign(low + high).detach()
        return (torch.sigmoid(sign * high) - torch.sigmoid(sign * low)).abs().clamp_min(FLOOR)

    def forward(self, z):
        gain = torch.exp(self.log_gain)
        values = (z - self.shift) * gain
        values = values + torch.rand_like(values) - 0.5
        return values / gain + self.shift, -torch.log(self.likelihood(values)).sum(0)


def hidden(inputs, outputs, activation):
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), activation()]


def mlp(inputs, outputs, width=256):
    layers = hidden(inputs, width, nn.Softplus) + hidden(width, width, nn.Softplus)
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def image_encoder(z):
    layers, channels = [], 1
    for i, width in enumerate((16, 32, 64)):
        kernel = 5 if i == 0 else 3
        convolution = nn.Conv2d(channels, width, kernel, stride=2, padding=kernel // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), *hidden(16 * channels, 256, nn.ReLU), nn.Linear(256, z))


def turn(x, y, angle):
    cos, sin = torch.cos(angle), torch.sin(angle)
    return x * cos - y * sin, x * sin + y * cos


def banana_batch(rows):
    """Points of the banana, turned at random about the origin, and the points that stand for their classes."""
    a, b = 3 * torch.randn(rows), 0.5 * torch.randn(rows)
    x, y = turn(a, b + 0.1 * (a * a - 9), torch.tensor(math.radians(-40)))
    radius = torch.hypot(x - 0.75, y - 1)
    target = torch.stack(turn(-radius, torch.zeros(rows), torch.tensor(math.radians(45))), 1)
    moved = turn(target[:, 0], target[:, 1], 2 * math.pi * torch.rand(rows))
    return torch.stack(moved, 1), target


def augmented(images):
    """Rotation, translation by whole pixels, shear and scale of each image, in one warp of the batch."""
    rows, _, height, width = images.shape

    def uniform(low, high):
        return low + (high - low) * torch.rand(rows)

    angle, shear = torch.deg2rad(uniform(-45, 45)), torch.deg2rad(uniform(-25, 25))
    move_x = torch.round(uniform(-0.25 * width, 0.25 * width)) * 2 / width
    move_y = torch.round(uniform(-0.25 * height, 0.25 * height)) * 2 / height
    cos, sin, tan = torch.cos(angle), torch.sin(angle), torch.tan(shear)
    inverse = torch.stack([-sin * tan + cos, cos * tan + sin, -sin, cos], 1).view(rows, 2, 2)
    inverse = inverse / uniform(0.6, 1.4).view(rows, 1, 1)
    move = torch.stack([move_x, move_y], 1).view(rows, 2, 1)
    grid = F.affine_grid(torch.cat([inverse, -inverse @ move], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def nt_xent(a, b):
    heads = F.normalize(torch.cat([a, b]), dim=1)
    logits = (heads @ heads.t()) / TEMPERATURE
    logits.fill_diagonal_(float("-inf"))
    rows = a.shape[0]
    return F.cross_entropy(logits, torch.arange(2 * rows).roll(rows))


class Banana:
    def __init__(self, request):
        self.batch = request["batch"]
        self.encoder, self.decoder, self.bottleneck = mlp(2, 2), mlp(2, 2), Bottleneck(2)
        self.modules, self.bottleneck_rate, self.rate, self.decay = (self.encoder, self.decoder), 1, 1e-3, 0.0

    def loss(self):
        x, target = banana_batch(self.batch)
        z, nats = self.bottleneck(self.encoder(x))
        return F.mse_loss(self.decoder(z), target) + BANANA_BETA * nats.mean()


class Images:
    def __init__(self, request, z=64):
        self.batch, self.augment = request["batch"], request["augment"]
        self.pixels = torch.randint(0, 256, (60000, 1, 28, 28), dtype=torch.uint8)
        self.encoder, self.bottleneck = image_encoder(z), Bottleneck(z)
        self.bottleneck_rate, self.rate, self.decay = 3, 3e-3, 1e-5

    def images(self):
        return self.pixels[torch.randint(0, len(self.pixels), (self.batch,))].float() / 255

    def view(self, images):
        with torch.no_grad():
            return augmented(images) if self.augment else images


class Vic(Images):
    def __init__(self, request):
        super().__init__(request)
        self.decoder = nn.Sequential(*hidden(64, 256, nn.ReLU), nn.Linear(256, 784))
        self.modules = self.encoder, self.decoder

    def loss(self):
        images = self.images()
        z, nats = self.bottleneck(self.encoder(self.view(images)))
        wrong = F.binary_cross_entropy_with_logits(self.decoder(z), images.flatten(1), reduction="none")
        return wrong.sum(1).mean() + IMAGE_BETA * nats.mean()


class Bince(Images):
    def __init__(self, request):
        super().__init__(request)
        self.projector = nn.Sequential(*hidden(64, 128, nn.ReLU), nn.Linear(128, 32))
        self.modules = self.encoder, self.projector

    def loss(self):
        images = self.images()
        z, nats = self.bottleneck(self.encoder(torch.cat([self.view(images), self.view(images)])))
        a, b = self.projector(z).chunk(2)
        return nt_xent(a, b) / FACTOR + nats.mean()


class Training:
    def __init__(self, request):
        self.task = {"banana": Banana, "vic": Vic, "bince": Bince}[request["case"]](request)
        task = self.task
        networks = [each for module in task.modules for each in module.parameters()]
        own = list(task.bottleneck.parameters())
        self.parameters = networks + own
        groups = [{"params": networks}, {"params": own, "lr": task.rate * task.bottleneck_rate}]
        self.optimizer = torch.optim.AdamW(groups, task.rate, weight_decay=task.decay)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        self.task.loss().backward()
        nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.optimizer.step()


print(json.dumps({"version": torch.__version__}), flush=True)
torch.manual_seed(1)
kept = {}
for line in sys.stdin:
    request = json.loads(line)
    torch.set_num_threads(request["threads"])
    key = json.dumps([request["case"], request["batch"], request["augment"]])
    if key not in kept:
        kept = {key: Training(request)}
    start, start_cpu = time.perf_counter(), time.process_time()
    for _ in range(request["steps"]):
        kept[key].step()
    scale = 1e3 / request["steps"]
    elapsed, used = time.perf_counter() - start, time.process_time() - start_cpu
    print(json.dumps({"ms": scale * elapsed, "cpuMs": scale * used}), flush=True)
