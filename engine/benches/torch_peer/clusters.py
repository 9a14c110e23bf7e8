"""Reference clusterings by scikit-learn: clusters.py prints the constants of engine/src/cluster/reference_tests.rs.

clusters.py SECONDS GRID... prints the seconds of processor time that Ward, DBSCAN and t-SNE (exact, 500 steps, skipped above
SECONDS estimated seconds) take for GRID x GRID patches. Set OMP_NUM_THREADS=1 for one thread.

clusters.py kmeans RUNS prints, as JSON, the seconds of k-means with two clusters and ten starts on 256 patches, for
`cargo bench -p engine --bench kmeans`.
"""

import json
import re
import sys
import time

import numpy as np
from scipy.spatial.distance import squareform
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.manifold import TSNE
from sklearn.manifold._t_sne import _joint_probabilities
from sklearn.metrics.pairwise import euclidean_distances

PERPLEXITY = 30.0


def made(grid, tissue):
    """Patches [grid^2][100]: noise, or with `tissue` a bright disc in tissue in air. Multiples of 1/64, so that both sides
    compute the same distances exactly."""
    size = 10 * grid
    state = 1
    pixels = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            state = (state * 1664525 + 1013904223) % 2**32
            noise = state >> 26
            y, x = i * 160 // size, j * 160 // size
            radius = (y - 80) ** 2 + (x - 80) ** 2
            if not tissue:
                pixels[i, j] = noise
            elif radius > 4900:
                pixels[i, j] = noise // 16
            elif (y - 60) ** 2 + (x - 95) ** 2 < 324:
                pixels[i, j] = 128 + noise
            else:
                pixels[i, j] = radius // 256 % 3 * 16 + noise
    return (pixels / 64).reshape(grid, 10, grid, 10).swapaxes(1, 2).reshape(grid * grid, 100)


def knee(points, min_points=5):
    """The radius of DBSCAN by the rule of engine/src/cluster/dbscan.rs."""
    distances = np.sort(euclidean_distances(points), 1)
    curve = np.sort(distances[:, min_points - 1])
    depth = np.arange(len(curve)) / (len(curve) - 1) - (curve - curve[0]) / (curve[-1] - curve[0])
    return curve[np.flatnonzero(depth == depth.max())[-1]]


def ward(points):
    labels = AgglomerativeClustering(2).fit_predict(points)
    return labels ^ labels[0]


def dbscan(points, radius):
    found = DBSCAN(eps=radius, min_samples=5).fit_predict(points)
    return (found != np.bincount(found[found >= 0]).argmax()).astype(int)


def tsne(points):
    exact = {"method": "exact", "n_iter_without_progress": 10**9, "min_grad_norm": 0, "random_state": 0}
    model = TSNE(perplexity=PERPLEXITY, max_iter=500, init="pca", **exact)
    model.fit(points)
    return model.kl_divergence_


def hexadecimal(labels):
    return "".join(f"{int(''.join(map(str, labels[i : i + 4])), 2):x}" for i in range(0, len(labels), 4))


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def kmeans(tissue, runs):
    points, times = made(16, tissue).astype(np.float32), []
    for seed in range(runs + 2):
        start = time.perf_counter()
        KMeans(2, n_init=10, random_state=seed).fit(points)
        times.append(time.perf_counter() - start)
    times = sorted(times[2:])
    return {"min": times[0], "median": times[len(times) // 2]}


if sys.argv[1:2] == ["kmeans"]:
    runs = int(sys.argv[2])
    print(json.dumps({"tissue": kmeans(True, runs), "noise": kmeans(False, runs)}))
elif len(sys.argv) > 2:
    for grid in map(int, sys.argv[2:]):
        points = made(grid, True)
        radius = knee(points)
        print(grid * grid, "Ward", seconds(lambda: ward(points)), "DBSCAN", seconds(lambda: dbscan(points, radius)), end=" ")
        print("t-SNE", seconds(lambda: tsne(points)) if grid**4 * 5e-6 < float(sys.argv[1]) else "-", flush=True)
else:
    for tissue in [True, False]:
        points = made(16, tissue)
        squared = euclidean_distances(points, squared=True).astype(np.float32)
        joint = squareform(_joint_probabilities(squared, PERPLEXITY, 0))
        picked = [f"{joint[8 * k, 9 * k + 1 & 255]:.9e}" for k in range(32)]
        picked = " \\\n            ".join(" ".join(picked[at : at + 7]) for at in range(0, 32, 7))
        radius = knee(points)
        readable = re.sub(r"(\d{3})(?=\d)", r"\1_", f"{radius:.9f}")
        print(f"    Reference {{\n        tissue: {str(tissue).lower()},\n        ward: \"{hexadecimal(ward(points))}\",")
        print(f"        radius: {readable},\n        dbscan: \"{hexadecimal(dbscan(points, radius))}\",")
        print(f"        joint: \"{picked}\",\n        divergence: {tsne(points):.6},\n    }},")
