"""Expected results of edit operations, from scipy and ITK.

    python -m venv VENV
    VENV/bin/pip install numpy scipy nibabel itk-morphologicalcontourinterpolation
    VENV/bin/python make_edit_oracles.py       # writes edit_expected.json beside this file

Masks are stored as runs (label, length, label, length, ...), first axis fastest. Arrays are indexed [i, j, k] here, voxel (0, 0, 0) lies at the
origin and axes run along the world's. The image of every case is the integer pattern of `image`.
"""
import glob
import json
import os
from importlib.metadata import version

import nibabel
import numpy as np
from scipy import ndimage

FACES = ndimage.generate_binary_structure(3, 1)
FULL = np.ones((3, 3, 3), bool)
HERE = os.path.dirname(os.path.abspath(__file__))


def blobs(shape, seed, share, sigma):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return noise > np.quantile(noise, 1 - share)


def image(shape):
    i, j, k = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    return ((i * i + j * j // 2 + 3 * k) % 23).astype(float)


def world(shape, spacing):
    return np.stack(np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing)], indexing="ij"), -1)


def ball(shape, spacing, point, radius):
    return np.linalg.norm(world(shape, spacing) - np.array(point), axis=-1) <= radius


def edt(mask, spacing):
    return ndimage.distance_transform_edt(mask, sampling=spacing)


def offsets(radius, spacing):
    reach = [int(radius / s) for s in spacing]
    grids = np.meshgrid(*[np.arange(-n, n + 1) * s for n, s in zip(reach, spacing)], indexing="ij")
    return sum(g**2 for g in grids) <= radius**2


def component(mask, voxel, structure):
    labels, _ = ndimage.label(mask, structure)
    return labels == labels[tuple(voxel)]


def keep(mask, wanted):
    labels, count = ndimage.label(mask, FULL)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return wanted(labels, sizes)


def cases():
    """name, spacing, mask with labels, operation, expected mask."""
    shape = (20, 18, 14)
    for n, spacing in enumerate([(1.0, 1.0, 1.0), (0.7, 1.3, 3.1), (2.0, 0.9, 1.7)]):
        first, second = blobs(shape, n, 0.2, 2.2), blobs(shape, n + 50, 0.15, 1.5)
        mask = np.where(first, 1, np.where(second, 2, 0))
        one, free = mask == 1, mask == 0

        def case(op, result, **fields):
            return f"{op} {n}", spacing, mask, {"op": op, **fields}, result

        for mm in (1.0, 2.6, 4.2):
            yield case("grow", np.where((edt(~one, spacing) <= mm) & free, 1, mask), label=1, mm=mm)
            yield case("shrink", np.where(one & (edt(one, spacing) <= mm), 0, mask), label=1, mm=mm)
        yield case("grow", np.where(edt(~one, spacing) <= 3.3, 1, mask), label=1, mm=3.3, overwrite=True)
        for op, mm in (("gaussian", 0.8), ("gaussian", 1.7), ("majority", 1.5), ("majority", 2.8)):
            if op == "gaussian":
                signed = edt(~one, spacing) - edt(one, spacing)
                new = ndimage.gaussian_filter(signed, [mm / s for s in spacing], mode="nearest") < 0
            else:
                kernel = offsets(mm, spacing).astype(int)
                inside = ndimage.convolve(one.astype(int), kernel, mode="constant")
                everywhere = ndimage.convolve(np.ones(shape, int), kernel, mode="constant")
                new = np.where(2 * inside == everywhere, one, 2 * inside > everywhere)
            result = np.where(new & free, 1, np.where(one & ~new, 0, mask))
            yield case("smooth", result, label=1, mm=mm, method=op)

        # Walls around cavities: the brims of blobs.
        wall = blobs(shape, n + 20, 0.35, 2.5)
        wall &= ~ndimage.binary_erosion(wall)
        walls = np.where(wall, 1, 0)
        filled = np.where(ndimage.binary_fill_holes(wall), 1, walls)
        yield f"fill_holes {n}", spacing, walls, {"op": "fill_holes", "label": 1}, filled
        for axis in range(3):
            slices = [ndimage.binary_fill_holes(s) for s in np.moveaxis(wall, axis, 0)]
            filled = np.where(np.moveaxis(np.array(slices), 0, axis), 1, walls)
            op = {"op": "fill_holes", "label": 1, "mode": "2d", "axis": axis}
            yield f"fill_holes {n} across {axis}", spacing, walls, op, filled

        pieces = np.where(blobs(shape, n + 30, 0.12, 1.1), 1 + (np.arange(shape[0]) > 9)[:, None, None], 0)
        whole, both = pieces > 0, (pieces == 1)
        largest = keep(whole, lambda labels, sizes: labels == sizes.argmax())
        yield f"keep_largest {n}", spacing, pieces, {"op": "keep_largest"}, np.where(largest, pieces, 0)
        largest = keep(both, lambda labels, sizes: labels == sizes.argmax())
        yield f"keep_largest {n} of 1", spacing, pieces, {"op": "keep_largest", "label": 1}, np.where(both & ~largest, 0, pieces)
        ml = 9 * float(np.prod(spacing)) / 1000
        large = keep(whole, lambda labels, sizes: (sizes >= 9)[labels])
        yield f"remove_small {n}", spacing, pieces, {"op": "remove_small", "ml": ml}, np.where(large, pieces, 0)
        voxel = np.argwhere(whole)[len(np.argwhere(whole)) // 2].tolist()
        gone = component(whole, voxel, FULL)
        yield f"remove_component {n}", spacing, pieces, {"op": "remove_component", "voxel": voxel}, np.where(gone, 0, pieces)

        values = image(shape)
        voxel = [9, 8, 7]
        grown = component(np.abs(values - values[tuple(voxel)]) <= 4, voxel, FACES)
        yield case("region_grow", np.where(grown & free, 3, mask), label=3, voxel=voxel, tolerance=4.0)
        near = grown & (np.abs(values - values[tuple(voxel)]) <= 4)
        near &= ball(shape, spacing, [v * s for v, s in zip(voxel, spacing)], 6.3)
        near = component(near, voxel, FACES)
        op = {"label": 3, "voxel": voxel, "tolerance": 4.0, "max_radius_mm": 6.3, "overwrite": True}
        yield case("region_grow", np.where(near, 3, mask), **op)
        points = [[7.3, 9.1, 11.4], [9.9, 10.2, 13.7]]
        painted = np.logical_or.reduce([ball(shape, spacing, p, 5.1) for p in points])
        yield case("paint", np.where(painted, 4, mask), label=4, radius_mm=5.1, points_mm=points)
        in_range = painted & (values >= 5) & (values <= 15)
        op = {"label": 4, "radius_mm": 5.1, "points_mm": points, "min": 5, "max": 15}
        yield case("threshold_paint", np.where(in_range, 4, mask), **op)
        erased = painted & (mask == 2)
        yield case("erase", np.where(erased, 0, mask), label=2, radius_mm=5.1, points_mm=points)
        for axis in range(3):
            slice_ = np.zeros(shape, bool)
            at = 6
            index = tuple(at if a == axis else slice(None) for a in range(3))
            slice_[index] = True
            point = [8.2, 9.3, 12.1]
            point[axis] = at * spacing[axis]
            disc = ball(shape, spacing, point, 4.4) & slice_
            op = {"label": 4, "radius_mm": 4.4, "mode": "2d", "axis": axis, "points_mm": [point]}
            yield case("paint", np.where(disc, 4, mask), **op)
            voxel = [3, 3, 3]
            voxel[axis] = at
            area = component((mask == mask[tuple(voxel)]) & slice_, voxel, FACES)
            yield case("fill", np.where(area, 5, mask), label=5, voxel=voxel, axis=axis)


def runs(mask):
    flat = mask.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.concatenate([starts, [flat.size]]))
    return [int(v) for s, n in zip(starts, lengths) for v in (flat[s], n)]


def interpolation():
    """Dice of ITK's morphological interpolation on the omitted slices of the sample study's masks."""
    import itk

    found = []
    for path in sorted(glob.glob(os.path.join(HERE, "../../../assets/sample/*/seg.nii.gz"))):
        mask = (np.asarray(nibabel.load(path).dataobj) > 0).astype(np.uint8)
        for gap in (2, 4, 6):
            drawn = np.zeros_like(mask)
            drawn[:, :, ::gap] = mask[:, :, ::gap]
            used = np.flatnonzero(drawn.any((0, 1)))
            if len(used) < 2:
                continue
            # The filter needs a margin.
            padded = itk.image_from_array(np.ascontiguousarray(np.pad(drawn, 2).transpose(2, 1, 0)))
            interpolator = itk.MorphologicalContourInterpolator.New(padded)
            interpolator.SetAxis(2)
            interpolator.Update()
            result = itk.array_from_image(interpolator.GetOutput()).transpose(2, 1, 0)[2:-2, 2:-2, 2:-2] > 0
            left_out = [k for k in range(used[0], used[-1]) if k % gap]
            a, b = result[:, :, left_out], mask[:, :, left_out] > 0
            dice = 2 * int((a & b).sum()) / int(a.sum() + b.sum())
            found.append({"case": path.split("/")[-2], "gap": gap, "dice": round(dice, 5)})
    return found


def main():
    masks, lines = [], []
    for name, spacing, mask, op, expected in cases():
        changed = mask != expected
        assert changed.any(), name
        # What changes, as runs of the new label; -1 where nothing does.
        new = np.where(changed, expected, -1)
        if runs(mask) not in masks:
            masks.append(runs(mask))
        at = masks.index(runs(mask))
        lines.append({"name": name, "spacing_mm": list(spacing), "mask": at, "op": op, "new": runs(new)})
        shape = list(mask.shape)
    versions = {n: version(n) for n in ("numpy", "scipy", "itk", "itk-morphologicalcontourinterpolation")}
    path = os.path.join(HERE, "edit_expected.json")
    with open(path, "w") as file:
        file.write('{"versions": ' + json.dumps(versions) + ',\n"shape": ' + json.dumps(shape))
        file.write(',\n"masks": ' + json.dumps(masks, separators=(",", ":")))
        file.write(',\n"interpolation": ' + json.dumps(interpolation()) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(line, separators=(",", ":")) for line in lines))
        file.write("\n]}\n")
    print(f"{len(lines)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
