"""Work on one labelled thing in its own box, so that nothing the size of a scan is made for each lesion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Box = tuple[slice, slice, slice]
"""A block of an array, as one slice for each axis."""


def find_boxes(labels: NDArray[Any]) -> dict[int, Box]:
    """Smallest box of every label present, in order of label; an empty dictionary where there is none.

    Examples
    --------
    >>> labels = np.zeros((4, 4, 4), dtype=np.uint8)
    >>> labels[1:3, 2, 3] = 7
    >>> find_boxes(labels)
    {7: (slice(1, 3, None), slice(2, 3, None), slice(3, 4, None))}
    """
    found = ndimage.find_objects(labels)
    return {label: box for label, box in enumerate(found, start=1) if box is not None}


def grow_box(box: Box, shape: Sequence[int], *, margin_mm: float, spacing_mm: Sequence[float]) -> Box:
    """Widen a box by at least ``margin_mm`` on every side, as far as the array goes.

    Examples
    --------
    >>> grow_box((slice(1, 3), slice(4, 5), slice(0, 2)), (9, 9, 9), margin_mm=2.0, spacing_mm=(1.0, 1.0, 5.0))
    (slice(0, 5, None), slice(2, 7, None), slice(0, 3, None))
    """
    margins = [math.ceil(margin_mm / s) for s in spacing_mm]
    i, j, k = (
        slice(max(part.start - m, 0), min(part.stop + m, n)) for part, m, n in zip(box, margins, shape, strict=True)
    )
    return i, j, k


def origin_of(box: Box) -> NDArray[np.intp]:
    """Array index of the first voxel of a box, shape (3,)."""
    return np.array([part.start for part in box])


def nearest_labels(labels: NDArray[Any], spacing_mm: Sequence[float], *, reach_mm: float = math.inf) -> NDArray[Any]:
    """Give every background voxel the label nearest to it.

    Parameters
    ----------
    labels
        Unsigned labels, 0 is background. Pass a crop: the work takes 20 bytes a voxel.
    spacing_mm
        Distance between voxel centres along each axis, mm.
    reach_mm
        A voxel whose nearest labelled voxel lies farther away, centre to centre, stays background.

    Returns
    -------
    Array of the same shape and type; all background where no voxel is labelled.

    Examples
    --------
    >>> row = np.array([3, 0, 0, 0, 0, 5], dtype=np.uint8)[:, None, None]
    >>> nearest_labels(row, (1.0, 1.0, 1.0), reach_mm=1.5).ravel().tolist()
    [3, 3, 0, 0, 5, 5]
    """
    empty = labels == 0
    if empty.all() or not empty.any():
        return labels
    distance, index = ndimage.distance_transform_edt(empty, sampling=spacing_mm, return_indices=True)
    nearest = labels[tuple(index)]
    nearest[distance > reach_mm] = 0
    return np.asarray(nearest)
