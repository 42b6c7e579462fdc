"""Small random changes of a mask, as another reader or another day would make them.

References
----------
Zwanenburg A. et al. 2019. Assessing robustness of radiomic features by image perturbation.
https://doi.org/10.1038/s41598-018-36938-4
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from osteomet.image.distance import signed_distance_mm

LARGEST_SHIFT = 0.5
"""Largest shift along each array axis, in voxels."""

LARGEST_GROWTH = 0.75
"""Largest distance by which the surface moves outwards or inwards, in spacings of the finest axis."""


def perturb_mask(
    mask: NDArray[np.bool_], spacing_mm: Sequence[float], *, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Shift a mask by up to `LARGEST_SHIFT` along each axis, and grow or shrink it by up to `LARGEST_GROWTH`.

    Parameters
    ----------
    mask
        Region, shape (i, j, k), with a voxel at least; what lies beyond the array is taken to be as its border.
    spacing_mm
        Distance of the voxel centres along each axis, mm.
    rng
        Source of the change; shift and growth are uniform.

    Returns
    -------
    numpy.ndarray
        A region with a voxel at least: one that would vanish keeps its deepest voxel.
    """
    voxels = rng.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 3).tolist()
    growth_mm = rng.uniform(-LARGEST_GROWTH, LARGEST_GROWTH) * min(spacing_mm)
    return move_surface(mask, spacing_mm, shift_voxels=voxels, growth_mm=growth_mm)


def move_surface(
    mask: NDArray[np.bool_], spacing_mm: Sequence[float], *, shift_voxels: Sequence[float], growth_mm: float
) -> NDArray[np.bool_]:
    """Shift a mask and move its surface outwards, or inwards where the growth is negative.

    Examples
    --------
    >>> line = np.array([0, 0, 1, 1, 1, 0, 0], dtype=bool)[:, None, None]
    >>> move_surface(line, (1, 1, 1), shift_voxels=(1, 0, 0), growth_mm=0).ravel().astype(int).tolist()
    [0, 0, 0, 1, 1, 1, 0]
    >>> move_surface(line, (1, 1, 1), shift_voxels=(0, 0, 0), growth_mm=-1).ravel().astype(int).tolist()
    [0, 0, 0, 1, 0, 0, 0]
    """
    padded = np.pad(mask, 2, mode="edge")
    distance = signed_distance_mm(padded, spacing_mm).astype(np.float64)
    surface = distance - np.sign(distance) * min(spacing_mm) / 2
    moved = shift(surface, shift_voxels, order=1, mode="nearest")[2:-2, 2:-2, 2:-2]
    inside = moved <= growth_mm
    if not inside.any():
        inside[np.unravel_index(int(np.argmin(moved)), moved.shape)] = True
    return np.asarray(inside)
