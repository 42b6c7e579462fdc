"""Resampling by the rules of nnU-Net, which differ from ours: its networks were trained on images made so.

References
----------
Isensee F. et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation.
https://doi.org/10.1038/s41592-020-01008-z
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from skimage.transform import resize

from osteomet.core.model import ResampleRule

ANISOTROPY = 3.0
"""A grid whose largest spacing is more than so many times the smallest has a coarse axis."""

_EQUAL = 1e-6
"""Shares of a voxel that differ by less are equal."""

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]


def resampled_shape(shape: Sequence[int], old_mm: Spacing, new_mm: Spacing) -> Triple:
    """Number of voxels along each axis at another spacing, at least one.

    Examples
    --------
    >>> resampled_shape((10, 11, 3), (1.0, 1.0, 5.0), (2.0, 2.0, 2.0))
    (5, 6, 8)
    """
    a, b, c = (max(1, round(old / new * n)) for n, old, new in zip(shape, old_mm, new_mm, strict=True))
    return a, b, c


def coarse_axis(old_mm: Spacing, new_mm: Spacing, separate: bool | None) -> int | None:
    """Axis that takes the nearest slice instead of an interpolated one; None for no such axis.

    Two axes that are coarse alike are interpolated.

    Examples
    --------
    >>> coarse_axis((5.0, 1.0, 1.0), (1.0, 1.0, 1.0), None), coarse_axis((5.0, 1.0, 5.0), (1.0, 1.0, 1.0), None)
    (0, None)
    """
    if separate is None:
        wide = [mm for mm in (old_mm, new_mm) if max(mm) / min(mm) > ANISOTROPY]
        judged = wide[0] if wide else None
    else:
        judged = old_mm if separate else None
    if judged is None:
        return None
    largest = [axis for axis in range(3) if judged[axis] == max(judged)]
    return largest[0] if len(largest) == 1 else None


def resample(
    array: NDArray[Any], shape: Triple, old_mm: Spacing, new_mm: Spacing, rule: ResampleRule
) -> NDArray[np.float32]:
    """Bring one channel onto a grid of another shape that fills the same box.

    Parameters
    ----------
    array
        Values, shape (a, b, c).
    shape
        Wanted shape.
    old_mm, new_mm
        Spacings before and after, which decide how; the shapes decide where.
    rule
        Order of the splines, and whether a coarse axis is treated apart.

    Returns
    -------
    Float32 of the wanted shape; beyond the outer voxel centres the border value goes on.
    """
    values = array.astype(np.float32, copy=False)
    if values.shape == shape:
        return values
    axis = coarse_axis(old_mm, new_mm, rule.separate)
    if axis is None:
        return _resized(values, shape, rule.order)
    slices = np.moveaxis(values, axis, 0)
    across = tuple(n for a, n in enumerate(shape) if a != axis)
    picked = _nearest(len(slices), shape[axis])
    made = {index: _resized(slices[index], across, rule.order) for index in np.unique(picked)}
    return np.moveaxis(np.stack([made[index] for index in picked]), 0, axis)


def resample_labels(
    labels: NDArray[Any], shape: Triple, old_mm: Spacing, new_mm: Spacing, rule: ResampleRule, *, n_labels: int
) -> NDArray[np.uint16]:
    """Bring a label map with the labels 0 to ``n_labels − 1`` onto a grid of another shape that fills the same box.

    Where each label is 1 and all others 0, that is resampled, and the highest wins; of equal ones that of the nearest
    voxel. Other parameters are those of `resample`.

    Examples
    --------
    >>> labels = np.array([0, 2, 2, 1]).reshape(1, 1, 4)
    >>> rule = ResampleRule(1, None)
    >>> resample_labels(labels, (1, 1, 8), (1.0, 1.0, 2.0), (1.0, 1.0, 1.0), rule, n_labels=3).ravel().tolist()
    [0, 0, 2, 2, 2, 2, 1, 1]
    """
    found = labels.astype(np.uint16)
    if labels.shape == shape:
        return found
    nearest = resample(labels, shape, old_mm, new_mm, ResampleRule(0, rule.separate))
    found = np.zeros(shape, dtype=np.uint16)
    highest = np.full(shape, -1.0, dtype=np.float32)
    for label in range(n_labels):
        share = resample(labels == label, shape, old_mm, new_mm, rule)
        ahead = (share > highest + _EQUAL) | ((np.abs(share - highest) <= _EQUAL) & (nearest == label))
        found[ahead], highest[ahead] = label, share[ahead]
    return found


def _resized(values: NDArray[np.float32], shape: tuple[int, ...], order: int) -> NDArray[np.float32]:
    """Spline interpolation with aligned outer edges, clipped to the range of the values."""
    if values.shape == shape:
        return values
    found = resize(values, shape, order=order, mode="edge", anti_aliasing=False)  # type: ignore[no-untyped-call]
    return np.asarray(found, dtype=np.float32)


def _nearest(n_old: int, n_new: int) -> NDArray[np.intp]:
    """Source slice of each target slice, the nearest one."""
    centres = n_old / n_new * (np.arange(n_new) + 0.5) - 0.5
    numbers = np.arange(n_old, dtype=np.float64)
    return np.asarray(map_coordinates(numbers, centres[None], order=0, mode="nearest"), dtype=np.intp)
