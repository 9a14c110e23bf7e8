"""Draw the middle axial slice of a scan as a picture of 1280 x 800, without a window: cold_peer.py SCAN PICTURE."""

import sys

import nibabel
import numpy
from matplotlib.figure import Figure

voxels = numpy.asanyarray(nibabel.as_closest_canonical(nibabel.load(sys.argv[1])).dataobj)
figure = Figure(figsize=(12.8, 8), dpi=100)
axes = figure.add_axes((0, 0, 1, 1))
axes.imshow(voxels[:, :, voxels.shape[2] // 2].T, cmap="gray", origin="lower")
axes.axis("off")
figure.savefig(sys.argv[2])
