"""Euclidean distances between voxel centres, in millimetres.

One convention everywhere: a distance runs from a voxel **centre** to the nearest voxel **centre** on the other side.
Two neighbouring voxels, one inside and one outside, are one spacing apart; the surface between them lies half a spacing
from either. What lies beyond the array is unknown and never counts as the other side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray


def distance_inside_mm(mask: NDArray[Any], spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Distance of each voxel of the mask to the nearest voxel that is not in it.

    Parameters
    ----------
    mask
        Boolean array, shape (i, j, k).
    spacing_mm
        Distance between voxel centres along each axis, mm.

    Returns
    -------
    Array of the mask's shape, mm: at least the smallest spacing inside, 0 outside. Infinite everywhere when the mask
    fills the array, 0 everywhere when it is empty.

    Examples
    --------
    >>> distance_inside_mm(np.array([0, 1, 1, 1, 0], dtype=bool)[:, None, None], (2.0, 1.0, 1.0)).ravel().tolist()
    [0.0, 2.0, 4.0, 2.0, 0.0]
    """
    solid = np.ascontiguousarray(mask, dtype=bool)
    distance = edt.edt(solid, anisotropy=tuple(float(s) for s in spacing_mm), black_border=False)
    return np.asarray(distance, dtype=np.float32)


def distance_to_mm(mask: NDArray[Any], spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Distance of each voxel to the nearest voxel of the mask; 0 inside, infinite everywhere when it is empty.

    Examples
    --------
    >>> distance_to_mm(np.array([0, 0, 1, 0], dtype=bool)[:, None, None], (3.0, 1.0, 1.0)).ravel().tolist()
    [6.0, 3.0, 0.0, 3.0]
    """
    return distance_inside_mm(np.logical_not(mask), spacing_mm)


def signed_distance_mm(mask: NDArray[Any], spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Distance to the other side, positive outside the mask and negative inside.

    Between an inside voxel and its outside neighbour the value steps from minus to plus one spacing: no voxel has 0.
    Infinite for an empty mask, minus infinite for one that fills the array.

    Examples
    --------
    >>> signed_distance_mm(np.array([0, 0, 1, 0], dtype=bool)[:, None, None], (3.0, 1.0, 1.0)).ravel().tolist()
    [6.0, 3.0, -3.0, 3.0]
    """
    signed = distance_to_mm(mask, spacing_mm)
    inside = distance_inside_mm(mask, spacing_mm)
    signed -= inside
    return signed
