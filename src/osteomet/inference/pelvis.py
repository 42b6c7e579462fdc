"""Sacrum, hips and femora: only where a pelvis can be, in one piece, on the right side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.image.components import drop_small, label_components
from osteomet.inference.vertebrae import LARGEST_GAP_MM, Bodies

SMALLEST_BONE_ML = 0.5
"""Smaller pieces of any bone are crumbs."""
_SMALLEST_SACRUM_ML = 3.0
_SMALLEST_SHARE = 0.1
_WRONG_SIDE_MM = 15.0
_NEAREST_FEMUR_MM = 40.0

Mask = NDArray[np.bool_]


def find_pelvis(masks: Mapping[str, Mask], bodies: Bodies, grid: Grid) -> dict[str, Mask]:
    """Clean the masks of ``sacrum``, ``hip_left``, ``hip_right``, ``femur_left`` and ``femur_right``.

    Parameters
    ----------
    masks
        What the network calls each of them, shape (i, j, k).
    bodies
        The vertebrae that were found.
    grid
        Where they lie.

    Notes
    -----
    Where vertebrae are seen, the pelvis lies below the last of them, and the sacrum within 150 mm: a network that never
    saw a shoulder takes it for a hip. Pieces below half a millilitre (sacrum: three) or a tenth of the largest are
    dropped as errors; larger shares can be a bone that the field of view cuts in two. Hips and femora whose
    centre lies more than 15 mm on the other side of the sacrum, or of the last vertebra, change sides. A femur lies
    at least 40 mm to the side of the midline.
    """
    sacrum = _below_column(masks["sacrum"], bodies, grid, reach_mm=LARGEST_GAP_MM)
    found = {"sacrum": _main_parts(drop_small(sacrum, grid, _SMALLEST_SACRUM_ML), grid)}
    midline_x_mm = _midline_x_mm(bodies, found["sacrum"], grid)
    for bone in ("hip", "femur"):
        names = f"{bone}_left", f"{bone}_right"
        left, right = (_below_column(masks[name], bodies, grid, reach_mm=np.inf) for name in names)
        if bone == "femur":
            left, right = (_away_from_midline(mask, midline_x_mm, grid) for mask in (left, right))
        for name, mask in zip(names, _by_side(left, right, midline_x_mm, grid), strict=True):
            found[name] = _main_parts(mask, grid)
    return found


def _main_parts(mask: Mask, grid: Grid) -> Mask:
    """Keep components of at least a tenth of the largest and half a millilitre."""
    labels, n = label_components(mask)
    sizes = np.bincount(labels.reshape(-1), minlength=n + 1)[1:]
    smallest = max(_SMALLEST_SHARE * sizes.max(initial=0), SMALLEST_BONE_ML / grid.voxel_volume_ml * (1 - 1e-9))
    return np.asarray(np.concatenate([[False], sizes >= smallest])[labels])


def _below_column(mask: Mask, bodies: Bodies, grid: Grid, *, reach_mm: float) -> Mask:
    """Keep components whose centre lies further down than that of the last vertebra, and no further than allowed."""
    if not bodies.voxels:
        return mask
    labels, centres_mm = component_centres(mask, grid)
    last_mm = grid.to_xyz_mm(bodies.voxels[-1]).mean(axis=0)
    drop_mm = last_mm[2] - centres_mm[:, 2]
    keep = (drop_mm > 0) & (np.linalg.norm(centres_mm - last_mm, axis=1) <= reach_mm)
    return np.asarray(np.concatenate([[False], keep])[labels])


def _away_from_midline(mask: Mask, midline_x_mm: float | None, grid: Grid) -> Mask:
    """Drop components that lie where no femur can: a dense ball in a vertebra looks like a femoral head."""
    if midline_x_mm is None:
        return mask
    labels, centres_mm = component_centres(mask, grid)
    keep = np.abs(centres_mm[:, 0] - midline_x_mm) >= _NEAREST_FEMUR_MM
    return np.asarray(np.concatenate([[False], keep])[labels])


def component_centres(mask: Mask, grid: Grid) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """Components of a mask, numbered from 1, and the centre of each, shape (n, 3), LPS mm."""
    labels, n = label_components(mask)
    index = np.argwhere(labels)
    owner = labels[tuple(index.T)]
    sums = np.stack([np.bincount(owner, index[:, axis], n + 1)[1:] for axis in range(3)], axis=1)
    return labels, grid.to_xyz_mm(sums / np.bincount(owner, minlength=n + 1)[1:, None])


def _midline_x_mm(bodies: Bodies, sacrum: Mask, grid: Grid) -> float | None:
    """Where left and right meet in the pelvis: below the sacrum, else below the last vertebra; None with neither."""
    if sacrum.any():
        return float(grid.to_xyz_mm(np.argwhere(sacrum)).mean(axis=0)[0])
    if bodies.voxels:
        return float(grid.to_xyz_mm(bodies.voxels[-1]).mean(axis=0)[0])
    return None


def _by_side(left: Mask, right: Mask, midline_x_mm: float | None, grid: Grid) -> tuple[Mask, Mask]:
    """Move components that lie clearly on the other side of the midline; x grows towards the patient's left."""
    if midline_x_mm is None:
        return left, right
    moved = []
    for mask, sign in ((left, 1.0), (right, -1.0)):
        labels, centres_mm = component_centres(mask, grid)
        wrong = sign * (centres_mm[:, 0] - midline_x_mm) < -_WRONG_SIDE_MM
        moved.append(np.concatenate([[False], wrong])[labels])
    return (left & ~moved[0]) | moved[1], (right & ~moved[1]) | moved[0]
