"""Augmented MNIST written plainly in PyTorch, as a peer for timing: a batch of bytes becomes float32, every image gets its own
rotation, translation, shear and scale, and affine_grid and grid_sample warp the whole batch.

Reads one JSON request a line on stdin, {"images", "height", "width", "channels", "threads"?}, and answers with
{"seconds", "cpu_seconds"} of one pass over fixed random bytes.
"""
import json
import math
import sys
import time

import torch
import torch.nn.functional as functional


def draw(images, height, width):
    def uniform(low, high):
        return low + (high - low) * torch.rand(images)

    angle = uniform(-45, 45) * (math.pi / 180)
    shear = uniform(-25, 25) * (math.pi / 180)
    scale = uniform(0.6, 1.4)
    move_x = torch.round(uniform(-0.25 * width, 0.25 * width)) * 2 / width
    move_y = torch.round(uniform(-0.25 * height, 0.25 * height)) * 2 / height
    cosine, sine, tangent = torch.cos(angle), torch.sin(angle), torch.tan(shear)
    a, b = cosine, -cosine * tangent - sine
    c, d = sine, -sine * tangent + cosine
    rows = torch.stack([d, -b, -c, a], 1).view(images, 2, 2) / scale.view(images, 1, 1)
    move = torch.stack([move_x, move_y], 1).view(images, 2, 1)
    return torch.cat([rows, -rows @ move], 2)


def augmented(data):
    pixels = data.float() / 255
    images, _, height, width = pixels.shape
    grid = functional.affine_grid(draw(images, height, width), list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def main():
    made = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "threads" in request:
            torch.set_num_threads(request["threads"])
        shape = request["images"], request["channels"], request["height"], request["width"]
        if shape not in made:
            made[shape] = torch.randint(0, 256, shape, dtype=torch.uint8)
        start, start_cpu = time.perf_counter(), time.process_time()
        with torch.no_grad():
            augmented(made[shape])
        answer = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - start_cpu}
        print(json.dumps(answer), flush=True)


main()
