"""Connected components of a mask, and the choices made by their size."""

from __future__ import annotations

from typing import Any, Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid

Connectivity = Literal[6, 18, 26]
"""Neighbours that count as touching: by faces (6), also by edges (18), also by corners (26)."""


def label_components(mask: NDArray[Any], *, connectivity: Connectivity = 26) -> tuple[NDArray[np.uint32], int]:
    """Give each connected component of a mask a number of its own.

    Parameters
    ----------
    mask
        Boolean array, shape (i, j, k).
    connectivity
        Neighbours that count as touching.

    Returns
    -------
    Array of the mask's shape with 0 outside and 1 … n inside, in no promised order, and n; 0 for an empty mask.

    Examples
    --------
    >>> mask = np.zeros((4, 4, 1), dtype=bool)
    >>> mask[0, 0] = mask[1, 1] = True
    >>> label_components(mask)[1], label_components(mask, connectivity=6)[1]
    (1, 2)
    """
    labels = np.zeros_like(mask, dtype=np.uint32)
    box = bounding_box(mask)
    if box is None:
        return labels, 0
    # A last empty layer on each axis: without it cc3d refuses small blocks with a component in every second voxel.
    block = np.pad(np.asarray(mask[box], dtype=bool), (0, 1))
    found, n = cc3d.connected_components(block, connectivity=connectivity, return_N=True, out_dtype=np.uint32)
    labels[box] = found[:-1, :-1, :-1]
    return labels, int(n)


def largest_components(mask: NDArray[Any], n: int, *, connectivity: Connectivity = 26) -> NDArray[np.bool_]:
    """Keep the ``n`` components with most voxels, all of them where there are fewer; empty stays empty.

    Raises
    ------
    UsageError
        If ``n`` is below 1.
    """
    if n < 1:
        raise UsageError("at least one component must be kept", got=f"n = {n}")
    labels, n_found = label_components(mask, connectivity=connectivity)
    sizes = _sizes(labels, n_found)
    keep = np.zeros(n_found + 1, dtype=bool)
    keep[1 + np.argsort(-sizes, kind="stable")[:n]] = True
    return np.asarray(keep[labels])


def drop_small(
    mask: NDArray[Any], grid: Grid, minimum_ml: float, *, connectivity: Connectivity = 26
) -> NDArray[np.bool_]:
    """Drop every component whose volume is below ``minimum_ml``; one of exactly that volume stays."""
    labels, n_found = label_components(mask, connectivity=connectivity)
    sizes_ml = _sizes(labels, n_found) * grid.voxel_volume_ml
    keep = np.concatenate([[False], sizes_ml >= minimum_ml * (1 - 1e-9)])
    return np.asarray(keep[labels])


def bounding_box(mask: NDArray[Any]) -> tuple[slice, slice, slice] | None:
    """Smallest block that holds every true voxel, as slices of the array; None for an empty mask.

    Examples
    --------
    >>> mask = np.zeros((5, 6, 7), dtype=bool)
    >>> mask[1:3, 2, 4:6] = True
    >>> bounding_box(mask)
    (slice(1, 3, None), slice(2, 3, None), slice(4, 6, None))
    """
    slices = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not used.size:
            return None
        slices.append(slice(int(used[0]), int(used[-1]) + 1))
    return slices[0], slices[1], slices[2]


def _sizes(labels: NDArray[np.uint32], n: int) -> NDArray[np.int64]:
    """Voxels of components 1 … n."""
    return np.asarray(cc3d.statistics(labels)["voxel_counts"][1 : n + 1], dtype=np.int64)
