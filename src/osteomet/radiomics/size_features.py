"""Figures that runs, zones and dependences share: each is a size (length, area, number of neighbours) at a grey level.

The matrix of how often each size occurs at each level is kept as a list of its non-zero entries, so that neither wide
ranges of levels nor huge zones cost memory.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

N_FIGURES = 16
"""Figures of `size_figures`: emphasis of small and large sizes; non-uniformity of levels, and normalised; the same of
sizes; number of entries for each voxel; variance of levels and of sizes; entropy; emphasis of low and high levels; of
small sizes at low and at high levels; of large sizes at low and at high levels."""


@njit(cache=True, nogil=True, error_model="numpy")
def size_figures(entries: NDArray[np.int64], n_voxels: int) -> NDArray[np.float64]:
    """Figures of a list of (level, size, how often), each pair of level and size standing once.

    Parameters
    ----------
    entries
        Shape (n, 3), sorted by level.
    n_voxels
        Number of voxels of the region.

    Returns
    -------
    Shape (16,), all NaN for an empty list.
    """
    figures = np.zeros(N_FIGURES)
    n = 0.0
    largest = 0
    for k in range(len(entries)):
        n += entries[k, 2]
        largest = max(largest, entries[k, 1])
    if n == 0:
        return np.full(N_FIGURES, np.nan)
    of_size = np.zeros(largest + 1)
    at_level = 0.0
    mean_level = 0.0
    mean_size = 0.0
    for k in range(len(entries)):
        level, size, count = float(entries[k, 0]), float(entries[k, 1]), float(entries[k, 2])
        p = count / n
        figures[0] += p / size**2
        figures[1] += p * size**2
        figures[9] -= p * np.log2(p)
        figures[10] += p / level**2
        figures[11] += p * level**2
        figures[12] += p / (level**2 * size**2)
        figures[13] += p * level**2 / size**2
        figures[14] += p * size**2 / level**2
        figures[15] += p * level**2 * size**2
        mean_level += p * level
        mean_size += p * size
        of_size[entries[k, 1]] += count
        at_level += count
        if k + 1 == len(entries) or entries[k + 1, 0] != entries[k, 0]:
            figures[2] += at_level**2 / n
            at_level = 0.0
    for size in range(1, largest + 1):
        figures[4] += of_size[size] ** 2 / n
        figures[8] += of_size[size] / n * (size - mean_size) ** 2
    for k in range(len(entries)):
        figures[7] += entries[k, 2] / n * (entries[k, 0] - mean_level) ** 2
    figures[3] = figures[2] / n
    figures[5] = figures[4] / n
    figures[6] = n / n_voxels
    return figures


@njit(cache=True, nogil=True)
def gather_entries(levels: NDArray[np.int64], sizes: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Entries of single events: those of the k-th level stand in ``sizes[starts[k] : starts[k + 1]]``, 0 for none."""
    largest = 0
    for size in sizes:
        largest = max(largest, size)
    count = np.zeros(largest + 1, dtype=np.int64)
    entries = np.empty((len(sizes), 3), dtype=np.int64)
    seen = np.empty(largest + 1, dtype=np.int64)
    n = 0
    for k in range(len(levels)):
        n_seen = 0
        for event in range(starts[k], starts[k + 1]):
            size = sizes[event]
            if size > 0:
                if count[size] == 0:
                    seen[n_seen] = size
                    n_seen += 1
                count[size] += 1
        for s in range(n_seen):
            entries[n, 0], entries[n, 1], entries[n, 2] = levels[k], seen[s], count[seen[s]]
            count[seen[s]] = 0
            n += 1
    return entries[:n].copy()
