"""Time nibabel reading a file in its stored type: load_nifti.py FILE RUNS. Prints {"version", "min", "median"} in seconds."""

import json
import sys
import time

import nibabel

path, runs = sys.argv[1], int(sys.argv[2])
seconds = []
for run in range(runs + 1):
    start = time.perf_counter()
    voxels = nibabel.load(path).dataobj.get_unscaled()
    elapsed = time.perf_counter() - start
    del voxels
    if run > 0:  # the first run fills the file cache
        seconds.append(elapsed)
seconds.sort()
print(json.dumps({"version": nibabel.__version__, "min": seconds[0], "median": seconds[len(seconds) // 2]}))
