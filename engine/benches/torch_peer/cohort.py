"""Time what a cohort costs in Python: cohort.py COHORT SCAN FOUND TRUTH N. Prints seconds as JSON.

list: names and headers of all images. contents: the values of every image and mask. prepare: N volumes read, z-scored over their
tissue and cropped. evaluate: N pairs of masks read and measured (Dice, sensitivity, precision, HD95). The last three use a process
for each core.
"""

import json
import os
import sys
import time
from multiprocessing import Pool
from pathlib import Path

import nibabel
import numpy
from scipy.ndimage import binary_erosion, distance_transform_edt


def contents(path):
    voxels = numpy.asanyarray(nibabel.load(path).dataobj)
    return numpy.unique(voxels).tolist() if "_seg" in str(path) else (voxels.min(), voxels.max())


def prepare(path):
    voxels = nibabel.load(path).get_fdata(dtype=numpy.float32)
    tissue = voxels != 0
    low, high = numpy.percentile(voxels[tissue], [0.5, 99.5])
    voxels = numpy.clip(voxels, low, high)
    voxels = (voxels - voxels[tissue].mean()) / voxels[tissue].std()
    i, j = ((side - 160) // 2 for side in voxels.shape[:2])
    return numpy.ascontiguousarray(voxels[i : i + 160, j : j + 160]).shape


def evaluate(paths):
    found, truth = (numpy.asanyarray(nibabel.load(path).dataobj) > 0 for path in paths)
    spacing = nibabel.load(paths[0]).header.get_zooms()
    both = numpy.argwhere(found | truth)
    box = tuple(slice(low, high + 1) for low, high in zip(both.min(0), both.max(0)))
    found, truth = found[box], truth[box]
    hits = (found & truth).sum()
    surfaces = [mask & ~binary_erosion(mask) for mask in (found, truth)]
    distances = [distance_transform_edt(~surface, sampling=spacing) for surface in surfaces]
    hd95 = max(numpy.percentile(distances[1][surfaces[0]], 95), numpy.percentile(distances[0][surfaces[1]], 95))
    return 2 * hits / (found.sum() + truth.sum()), hits / truth.sum(), hits / found.sum(), hd95


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    cohort, scan, found, truth, n = *sys.argv[1:5], int(sys.argv[5])
    files = sorted(Path(cohort).rglob("*.nii.gz"))
    with Pool(os.cpu_count()) as pool:
        pool.map(prepare, [scan] * os.cpu_count())  # imports and file cache
        times = {
            "list": seconds(lambda: [nibabel.load(path).shape for path in sorted(Path(cohort).rglob("*.nii.gz"))]),
            "contents": seconds(lambda: pool.map(contents, files)),
            "prepare": seconds(lambda: pool.map(prepare, [scan] * n)),
            "evaluate": seconds(lambda: pool.map(evaluate, [(found, truth)] * n)),
        }
    print(json.dumps(times))
