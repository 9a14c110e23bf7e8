"""Time the U-Net of engine/src/model in PyTorch, for `cargo bench -p engine --bench unet`.

    unet_step.py --width 16 --size 160 --batch 4 --threads 2 --runs 5 [--layout "channels last"]

Prints one JSON document: {"version", "layout", "train": {"min", "median"}, "infer": {"min", "median"}, "peak_mib"}, times in seconds.
Training is one step on a batch (forward, mean squared error, backward, AdamW), inference one image. Without --layout both
memory layouts are tried and the faster one is reported for each, so that the comparison is with PyTorch at its best; the
memory is then that of both.
"""

import argparse
import json
import resource
import time

import torch
import torch.nn.functional as F
from torch import nn

DEPTH = 4


def double_conv(channels_in, channels_out):
    layers = []
    for source in (channels_in, channels_out):
        layers += [nn.Conv2d(source, channels_out, 3, padding=1), nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Poolings, a bottleneck, transposed convolutions with skips, a 1x1 head: layer for layer the engine's."""

    def __init__(self, width):
        super().__init__()
        channels = [width * 2**level for level in range(DEPTH + 1)]
        self.encoder = nn.ModuleList(double_conv(i, o) for i, o in zip([1] + channels, channels))
        pairs = list(zip(channels, channels[1:]))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(low, high, 2, stride=2) for high, low in pairs)
        self.decoder = nn.ModuleList(double_conv(low, high) for high, low in pairs)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder):
            x = block(torch.cat((skips.pop(), up(x)), dim=1))
        return self.head(x)


def timed(work, runs, warm_up=2):
    seconds = []
    for run in range(warm_up + runs):
        start = time.perf_counter()
        work()
        if run >= warm_up:
            seconds.append(time.perf_counter() - start)
    seconds.sort()
    return {"min": seconds[0], "median": seconds[len(seconds) // 2]}


def measure(options, layout):
    torch.manual_seed(0)
    network = UNet(options.width).to(memory_format=layout)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    shape = (options.batch, 1, options.size, options.size)
    images, targets = (torch.randn(shape).contiguous(memory_format=layout) for _ in range(2))

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.mse_loss(network(images), targets).backward()
        optimiser.step()

    train = timed(step, options.runs)
    network.eval()
    with torch.inference_mode():
        infer = timed(lambda: network(images[:1]), options.runs)
    return {"train": train, "infer": infer}


def main():
    parser = argparse.ArgumentParser()
    for name, default in {"width": 16, "size": 160, "batch": 4, "threads": 2, "runs": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    layouts = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
    parser.add_argument("--layout", choices=layouts)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.layout:
        layouts = {options.layout: layouts[options.layout]}
    results = {name: measure(options, layout) for name, layout in layouts.items()}
    best = {what: min(results, key=lambda name: results[name][what]["min"]) for what in ("train", "infer")}
    report = {what: results[name][what] for what, name in best.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"version": torch.__version__, "layout": best, **report, "peak_mib": peak}))


if __name__ == "__main__":
    main()
