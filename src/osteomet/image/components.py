"""Connected components of a mask, and the choices made by their size."""

from __future__ import annotations

from collections.abc import Callable
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
    labels[box], n = _label(mask[box], connectivity)
    return labels, n


def largest_components(mask: NDArray[Any], n: int, *, connectivity: Connectivity = 26) -> NDArray[np.bool_]:
    """Keep the ``n`` components with most voxels, all of them where there are fewer; empty stays empty.

    Raises
    ------
    UsageError
        If ``n`` is below 1.
    """
    if n < 1:
        raise UsageError("at least one component must be kept", got=f"n = {n}")

    def choose(n_voxels: NDArray[np.int64]) -> NDArray[np.bool_]:
        chosen = np.zeros(len(n_voxels), dtype=bool)
        chosen[np.argsort(-n_voxels, kind="stable")[:n]] = True
        return chosen

    return _keep(mask, connectivity, choose)


def drop_small(
    mask: NDArray[Any], grid: Grid, minimum_ml: float, *, connectivity: Connectivity = 26
) -> NDArray[np.bool_]:
    """Drop every component whose volume is below ``minimum_ml``; one of exactly that volume stays."""
    minimum = minimum_ml / grid.voxel_volume_ml * (1 - 1e-9)
    return _keep(mask, connectivity, lambda n_voxels: n_voxels >= minimum)


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


def _label(block: NDArray[Any], connectivity: Connectivity) -> tuple[NDArray[np.uint32], int]:
    """Number the components of a block."""
    # A last empty layer on each axis: without it cc3d refuses small blocks with a component in every second voxel.
    solid = np.pad(np.asarray(block, dtype=bool), (0, 1))
    labels, n = cc3d.connected_components(solid, connectivity=connectivity, return_N=True, out_dtype=np.uint32)
    return labels[:-1, :-1, :-1].astype(np.uint32, copy=False), int(n)


def _keep(
    mask: NDArray[Any], connectivity: Connectivity, choose: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Keep the components that ``choose`` picks by their numbers of voxels, touching only the box that holds them."""
    kept = np.zeros_like(mask, dtype=bool)
    box = bounding_box(mask)
    if box is None:
        return kept
    labels, n = _label(mask[box], connectivity)
    n_voxels = np.asarray(cc3d.statistics(labels)["voxel_counts"][1 : n + 1], dtype=np.int64)
    kept[box] = np.concatenate([[False], choose(n_voxels)])[labels]
    return kept
