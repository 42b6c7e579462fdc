"""Grey levels of a region, laid out for the texture kernels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.radiomics.settings import RadiomicsSettings

_MOST_LEVELS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class LevelRegion:
    """A region whose voxels hold grey levels.

    ``levels`` is a block of int32 around the region with an empty margin as wide as the largest distance: 0 outside,
    1 … n inside. ``order`` lists the flat indices of its voxels by level; those of the k-th level that occurs,
    ``present[k]``, are ``order[starts[k] : starts[k + 1]]``.
    """

    levels: NDArray[np.int32]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    present: NDArray[np.int64]

    @property
    def n_voxels(self) -> int:
        """Number of voxels of the region."""
        return len(self.order)

    @property
    def n_levels(self) -> int:
        """Highest level, the first being 1."""
        return int(self.present[-1])


def find_levels(values: NDArray[np.float64], settings: RadiomicsSettings) -> NDArray[np.int32]:
    """Grey level, from 1, of each value of a region.

    With a width W the level is ⌊x / W⌋ − ⌊min / W⌋ + 1: borders of levels lie at multiples of W whatever the region.
    With a count the range from the lowest to the highest value is divided evenly; one value alone is level 1.

    Raises
    ------
    InputError
        If the width gives more than a million levels.
    """
    low, high = float(values.min()), float(values.max())
    if settings.bin_count is not None:
        if low == high:
            return np.ones(len(values), dtype=np.int32)
        edges = np.linspace(low, high, settings.bin_count + 1)
        return np.searchsorted(edges[:-1], values, side="right").astype(np.int32)
    width = settings.bin_width or np.nan
    if (high - low) / width > _MOST_LEVELS:
        raise InputError(
            "bin_width gives too many grey levels",
            expected=f"at most {_MOST_LEVELS}",
            got=f"{(high - low) / width:.3g}: values from {low:g} to {high:g}, width {width:g}",
            remedy="choose a larger bin_width, a bin_count, or normalise_scale",
        )
    return (np.floor((values - (low - low % width)) / width) + 1).astype(np.int32)


def lay_out(mask: NDArray[np.bool_], levels: NDArray[np.int32], *, margin: int) -> LevelRegion:
    """Put the levels of the voxels of ``mask``, in the order of `numpy.argwhere`, into a block with an empty margin."""
    block = np.zeros([n + 2 * margin for n in mask.shape], dtype=np.int32)
    inner = tuple(slice(margin, margin + n) for n in mask.shape)
    block[inner][mask] = levels
    order, starts, present = _sort_by_level(block.ravel(), int(levels.max()), len(levels))
    return LevelRegion(block, order, starts, present)


def directions(distances: tuple[int, ...], *, in_plane: bool) -> NDArray[np.int64]:
    """One of each pair of opposite steps to neighbours at the given Chebyshev distances, shape (n, 3).

    Examples
    --------
    >>> [len(directions((1,), in_plane=flat)) for flat in (False, True)], len(directions((1, 2), in_plane=False))
    ([13, 4], 62)
    """
    reach = max(distances)
    steps = [
        step
        for step in product(range(-reach, reach + 1), repeat=3)
        if max(abs(s) for s in step) in distances and step > (0, 0, 0) and not (in_plane and step[2])
    ]
    return np.array(steps, dtype=np.int64)


def flat_offsets(steps: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Distance in a raveled block of the given shape for each step."""
    strides = np.array([shape[1] * shape[2], shape[2], 1], dtype=np.int64)
    return np.asarray(steps @ strides)


@njit(cache=True, nogil=True)
def _sort_by_level(
    flat: NDArray[np.int32], highest: int, n_voxels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Flat indices of the voxels by level, where each level that occurs begins, and these levels."""
    count = np.zeros(highest + 2, dtype=np.int64)
    for level in flat:
        if level > 0:
            count[level + 1] += 1
    n_present = 0
    for level in range(1, highest + 1):
        if count[level + 1] > 0:
            n_present += 1
    present = np.empty(n_present, dtype=np.int64)
    starts = np.empty(n_present + 1, dtype=np.int64)
    k = 0
    for level in range(1, highest + 1):
        n = count[level + 1]
        count[level + 1] += count[level]
        if n > 0:
            present[k] = level
            starts[k] = count[level]
            k += 1
    starts[n_present] = n_voxels
    order = np.empty(n_voxels, dtype=np.int64)
    for index in range(flat.size):
        level = flat[index]
        if level > 0:
            order[count[level]] = index
            count[level] += 1
    return order, starts, present
