"""Time the U-Net of engine/src/model in PyTorch, for `cargo bench -p engine --bench unet` and `--bench pipeline`.

    unet_step.py --width 16 --size 160 --batch 4 --threads 2 --runs 5 [--layout "channels last"]
    unet_step.py --width 64 --batch 36 --device cuda --dtype bf16 --compile --layout "channels last"

Prints one JSON document: {"version", "layout", "train": {"min", "median"}, "infer": {..}, "infer_batch": {..}, "peak_mib"}, times in
seconds. "train" is one step on a batch (forward, mean squared error, backward, AdamW), "infer" one image, "infer_batch" a batch.
With --inference, no step is timed. Without --layout, both memory layouts are measured and the faster one is reported for each, to
compare with PyTorch at its best; "peak_mib" then covers both.
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
    """The engine's U-Net, layer by layer: max pooling, bottleneck, transposed convolutions with skips, 1x1 head."""

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


def timed(work, runs, device, warm_up=2):
    seconds = []
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for run in range(warm_up + runs):
        wait()
        start = time.perf_counter()
        work()
        wait()
        if run >= warm_up:
            seconds.append(time.perf_counter() - start)
    seconds.sort()
    return {"min": seconds[0], "median": seconds[len(seconds) // 2]}


def measure(options, layout):
    torch.manual_seed(0)
    network = UNet(options.width).to(options.device, memory_format=layout)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    shape = (options.batch, 1, options.size, options.size)
    images, targets = (torch.randn(shape).to(options.device).contiguous(memory_format=layout) for _ in range(2))
    forward = torch.compile(network) if options.compile else network
    reduced = {"bf16": torch.bfloat16, "f16": torch.float16}.get(options.dtype)

    def through(x):
        with torch.autocast(options.device, dtype=reduced, enabled=reduced is not None):
            return forward(x)

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.mse_loss(through(images).float(), targets).backward()
        optimiser.step()

    report = {} if options.inference else {"train": timed(step, options.runs, options.device)}
    network.eval()
    with torch.inference_mode():
        infer = timed(lambda: through(images[:1]), options.runs, options.device)
        infer_batch = timed(lambda: through(images), options.runs, options.device)
    return {**report, "infer": infer, "infer_batch": infer_batch}


def main():
    parser = argparse.ArgumentParser()
    for name, default in {"width": 16, "size": 160, "batch": 4, "threads": 2, "runs": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    layouts = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
    parser.add_argument("--layout", choices=layouts)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "bf16", "f16"], default="f32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--inference", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.layout:
        layouts = {options.layout: layouts[options.layout]}
    results = {name: measure(options, layout) for name, layout in layouts.items()}
    timed_parts = next(iter(results.values()))
    best = {what: min(results, key=lambda name: results[name][what]["min"]) for what in timed_parts}
    report = {what: results[name][what] for what, name in best.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.device == "cuda":
        peak = torch.cuda.max_memory_reserved() / 2**20
    print(json.dumps({"version": torch.__version__, "layout": best, **report, "peak_mib": peak}))


if __name__ == "__main__":
    main()
