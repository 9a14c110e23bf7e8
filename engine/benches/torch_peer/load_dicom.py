"""Time pydicom and dcm2niix on the same work: load_dicom.py HEADERS CT RUNS, two folders of slices.

Prints {"headers", "pydicom", "dcm2niix"}, each with {"version", "min", "median"} in seconds. Headers: all of a folder's, up to
the pixels. CT: the slices of a folder, ordered and stacked to one array of Hounsfield units in 16 bits; dcm2niix also writes
them to an uncompressed NIfTI file in memory. dcm2niix is left out where it is not installed.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy
import pydicom

headers, ct, runs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])


def read_headers():
    return [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in headers.iterdir()]


def read_ct():
    slices = [pydicom.dcmread(path) for path in ct.iterdir()]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    stored = numpy.stack([one.pixel_array for one in slices])
    return stored.astype(numpy.int16) + numpy.int16(slices[0].RescaleIntercept)


def convert_ct():
    in_memory = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=in_memory) as out:
        command = [dcm2niix, "-z", "n", "-b", "n", "-o", out, str(ct)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def timed(work, version):
    seconds = []
    for run in range(runs + 1):
        start = time.perf_counter()
        result = work()
        elapsed = time.perf_counter() - start
        del result
        if run > 0:  # the first run fills the file cache
            seconds.append(elapsed)
    seconds.sort()
    return {"version": version, "min": seconds[0], "median": seconds[len(seconds) // 2]}


pydicom_name = f"pydicom {pydicom.__version__}"
found = {"headers": timed(read_headers, pydicom_name), "pydicom": timed(read_ct, pydicom_name)}
beside = pathlib.Path(sys.executable).parent / "dcm2niix"
dcm2niix = str(beside) if beside.exists() else shutil.which("dcm2niix")
if dcm2niix:
    about = subprocess.run([dcm2niix, "-v"], capture_output=True, text=True).stdout.split()
    version = next((word for word in about if word.startswith("v1")), "")
    found["dcm2niix"] = timed(convert_ct, f"dcm2niix {version}".strip())
print(json.dumps(found))
