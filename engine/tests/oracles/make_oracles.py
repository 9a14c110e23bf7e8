"""Expected numbers for the metrics, from the packages that define them.

    python -m venv VENV
    VENV/bin/pip install numpy scipy torch monai
    VENV/bin/pip install --no-deps medpy surface-distance
    VENV/bin/python make_oracles.py            # writes expected.json beside this file

Every phantom is stored run-length encoded (lengths of alternating runs, background first, first axis fastest), so that
the test needs no Python. Arrays are indexed [i, j, k] here. `axial_axis` is the axis along which slices are stacked.
"""
import json
import math
import os
import platform
import warnings

import numpy as np
import scipy
from scipy import ndimage

# surface-distance 0.1 was written for older numpy and scipy: it still imports these two names.
for name in ("filters", "morphology"):
    if not hasattr(ndimage, name):
        setattr(ndimage, name, ndimage)
if not hasattr(np, "Inf"):
    np.Inf = np.inf

import surface_distance
import torch
from importlib.metadata import version
from medpy.metric.binary import hd95 as medpy_hd95
from monai.metrics import compute_hausdorff_distance

warnings.filterwarnings("ignore")
EPSILON = 1e-4
FACES = ndimage.generate_binary_structure(3, 1)
FULL = np.ones((3, 3, 3), bool)


def index(shape):
    return np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")


def ball(shape, centre, radius, spacing=(1, 1, 1)):
    grids = index(shape)
    return sum(((g - c) * s) ** 2 for g, c, s in zip(grids, centre, spacing)) <= radius**2


def box(shape, low, high):
    return np.logical_and.reduce([(g >= a) & (g < b) for g, a, b in zip(index(shape), low, high)])


def blobs(shape, seed, share, sigma):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return noise > np.quantile(noise, 1 - share)


def noise(shape, seed, share):
    return np.random.default_rng(seed).random(shape) < share


def phantoms():
    """name, spacing, axial axis, prediction, truth."""
    iso = (1.0, 1.0, 1.0)
    s = (24, 20, 16)
    yield "spheres", iso, 2, ball(s, (11, 10, 8), 6), ball(s, (13, 9, 7), 5)
    yield "identical", (0.9, 0.9, 3.0), 2, ball(s, (11, 10, 8), 6), ball(s, (11, 10, 8), 6)
    fine = (0.7, 1.3, 3.1)
    yield "anisotropic", fine, 2, ball(s, (11, 9, 7), 9, fine), ball(s, (13, 9, 8), 8, fine)
    yield "far apart", (2.0, 2.0, 5.0), 2, ball(s, (4, 4, 3), 3), ball(s, (19, 15, 12), 3)
    yield "touching the border", iso, 2, ball(s, (0, 0, 0), 9), ball(s, (2, 1, 15), 14)
    yield "whole against half", (1.0, 2.0, 0.5), 2, np.ones(s, bool), box(s, (0, 0, 0), (12, 20, 16))
    yield "single voxels", fine, 2, box(s, (3, 4, 5), (4, 5, 6)), box(s, (9, 2, 11), (10, 3, 12))
    one = box(s, (12, 10, 8), (13, 11, 9))
    yield "single voxel inside", fine, 2, one, ball(s, (11, 10, 8), 6)
    sheets = box(s, (2, 2, 5), (20, 18, 6)), box(s, (4, 1, 8), (22, 17, 9))
    yield "thin sheets", (0.5, 0.5, 6.0), 2, *sheets
    several = ball(s, (4, 4, 4), 3) | ball(s, (18, 5, 4), 3) | ball(s, (12, 15, 12), 2)
    found = ball(s, (5, 4, 4), 3) | ball(s, (12, 15, 11), 3) | ball(s, (20, 16, 3), 2) | ball(s, (3, 16, 13), 1)
    yield "several components", (1.0, 1.0, 2.5), 2, found, several
    bridge = box(s, (2, 9, 7), (22, 11, 9))
    yield "one over two", iso, 2, bridge, ball(s, (4, 10, 8), 3) | ball(s, (19, 10, 8), 3)
    yield "blobs", (1.1, 0.8, 2.0), 2, blobs(s, 1, 0.15, 1.5), blobs(s, 2, 0.15, 1.5)
    both = blobs(s, 3, 0.2, 1.2)
    yield "ragged edges", iso, 2, both ^ noise(s, 4, 0.03), both
    yield "noise", (0.6, 1.7, 2.9), 2, noise(s, 5, 0.5), noise(s, 6, 0.2)
    yield "dense noise", iso, 2, noise(s, 7, 0.9), noise(s, 8, 0.97)
    flat = (40, 32, 1)
    yield "one slice", (0.8, 0.8, 5.0), 2, blobs(flat, 9, 0.2, (2, 2, 0)), blobs(flat, 10, 0.2, (2, 2, 0))
    yield "one column", (1.0, 1.0, 1.0), 2, noise((1, 1, 40), 11, 0.5), noise((1, 1, 40), 12, 0.5)
    yield "axial along i", (3.0, 1.0, 1.0), 0, blobs(s, 13, 0.3, 1.5), blobs(s, 14, 0.3, 1.5)
    yield "axial along j", (1.0, 3.0, 1.0), 1, blobs(s, 15, 0.3, 1.5), blobs(s, 16, 0.3, 1.5)
    boxes = box(s, (2, 2, 2), (14, 14, 10)), box(s, (3, 2, 2), (15, 14, 10))
    yield "boxes", iso, 2, *boxes
    nothing = np.zeros(s, bool)
    yield "no prediction", fine, 2, nothing, ball(s, (11, 10, 8), 6)
    yield "no truth", fine, 2, ball(s, (11, 10, 8), 6), nothing
    yield "both empty", fine, 2, nothing, nothing
    wide = (160, 120, 12)
    spacing = (1.0, 1.0, 3.0)
    yield "wide slice", spacing, 2, ball(wide, (70, 60, 6), 30, spacing), ball(wide, (74, 57, 6), 28, spacing)
    noisy = blobs((48, 44, 30), 17, 0.1, 2.5), blobs((48, 44, 30), 18, 0.1, 2.5)
    yield "many blobs", (1.3, 1.3, 1.3), 2, *noisy


def directed(a, b, spacing):
    """Distances of a's surface to b's, by scipy in f64."""
    edge = [m & ~ndimage.binary_erosion(m, FACES) for m in (a, b)]
    return ndimage.distance_transform_edt(~edge[1], sampling=spacing)[edge[0]]


def hausdorff(prediction, truth, spacing):
    if not prediction.any() and not truth.any():
        return dict.fromkeys(["directed", "directed_scipy", "pooled", "area"], 0.0)
    if not prediction.any() or not truth.any():
        diagonal = math.sqrt(sum((n * s) ** 2 for n, s in zip(truth.shape, spacing)))
        return dict.fromkeys(["directed", "directed_scipy", "pooled", "area"], diagonal)
    tensors = [torch.from_numpy(m[None, None].astype(np.float32)) for m in (prediction, truth)]
    by_monai = compute_hausdorff_distance(*tensors, include_background=True, percentile=95, spacing=list(spacing))
    ways = directed(prediction, truth, spacing), directed(truth, prediction, spacing)
    surfaces = surface_distance.compute_surface_distances(truth, prediction, spacing)
    return {
        "directed": float(by_monai[0, 0]),
        "directed_scipy": float(max(np.percentile(way, 95) for way in ways)),
        "pooled": float(medpy_hd95(prediction, truth, spacing)),
        "area": float(surface_distance.compute_robust_hausdorff(surfaces, 95)),
    }


def boundary_iou(prediction, truth, structure, width):
    bands = [m & ~ndimage.binary_erosion(m, structure, iterations=width) for m in (prediction, truth)]
    either = (bands[0] | bands[1]).sum()
    return 1.0 if either == 0 else float((bands[0] & bands[1]).sum() / either)


def boundary(prediction, truth, axis):
    sides = [n for a, n in enumerate(truth.shape) if a != axis]
    usual = max(1, round(0.02 * math.sqrt(sum(n**2 for n in sides))))
    in_slice = FULL.copy()
    for end in (0, 2):
        in_slice[tuple(end if a == axis else slice(None) for a in range(3))] = False
    out = {"width": usual}
    for width in sorted({usual, 1, 2, 3}):
        out[str(width)] = [boundary_iou(prediction, truth, s, width) for s in (FULL, in_slice)]
    return out


def components(prediction, truth):
    (p, np_), (t, nt) = [ndimage.label(m, FULL) for m in (prediction, truth)]
    sizes = [sorted(np.bincount(x.ravel())[1:].tolist(), reverse=True) for x in (p, t)]
    hit = len(np.unique(t[prediction & truth]))
    right = len(np.unique(p[prediction & truth]))
    return {"sizes": sizes, "lesions": [hit, np_ - right, nt - hit]}


def measures(prediction, truth, spacing, axis):
    tp, p, t = [int(m.sum()) for m in (prediction & truth, prediction, truth)]
    ml = float(np.prod(spacing)) / 1000
    return {
        "dsc": (2 * tp + EPSILON) / (t + p + EPSILON),
        "sensitivity": (tp + EPSILON) / (t + EPSILON),
        "precision": tp / p if p else (0.0 if t else 1.0),
        "volumes_ml": [p * ml, t * ml],
        "hd95": hausdorff(prediction, truth, spacing),
        "boundary": boundary(prediction, truth, axis),
        **components(prediction, truth),
    }


def runs(mask):
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def main():
    versions = {name: version(name) for name in ("numpy", "scipy", "torch", "monai", "medpy", "surface-distance")}
    cases = []
    for name, spacing, axis, prediction, truth in phantoms():
        cases.append({
            "name": name, "shape": list(truth.shape), "spacing_mm": list(spacing), "axial_axis": axis,
            "prediction": runs(prediction), "truth": runs(truth), **measures(prediction, truth, spacing, axis),
        })
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected.json")
    with open(path, "w") as file:
        file.write('{"versions": ' + json.dumps({"python": platform.python_version(), **versions}) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases))
        file.write("\n]}\n")
    print(f"{len(cases)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
