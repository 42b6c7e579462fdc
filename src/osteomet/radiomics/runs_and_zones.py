"""Runs of one grey level along a line (GLRLM) and connected zones of one grey level (GLSZM).

References
----------
Galloway M. M. Texture analysis using gray level run lengths. https://doi.org/10.1016/S0146-664X(75)80008-6
Thibault G. et al. Advanced statistical matrices for texture characterization: application to cell classification.
https://doi.org/10.1109/TBME.2013.2284600
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.radiomics.names import GLRLM_FEATURES, GLSZM_FEATURES
from osteomet.radiomics.region import LevelRegion, flat_offsets
from osteomet.radiomics.settings import Aggregation
from osteomet.radiomics.size_features import gather_entries, size_figures


def zone_features(region: LevelRegion, steps: NDArray[np.int64]) -> dict[str, float]:
    """Features of the zones of a region; voxels touch along ``steps`` (shape (n, 3)) and against them."""
    offsets = flat_offsets(steps, region.levels.shape)
    sizes = _zone_sizes(region.levels.ravel(), region.order, offsets)
    entries = gather_entries(region.present, sizes, region.starts)
    return dict(zip(GLSZM_FEATURES, size_figures(entries, region.n_voxels).tolist(), strict=True))


def run_features(region: LevelRegion, steps: NDArray[np.int64], aggregation: Aggregation) -> dict[str, float]:
    """Features of the runs of a region, averaged over directions or of the runs of all directions together.

    A direction along which no two voxels of the region lie on a line says nothing and is left out; where none is left,
    all features are NaN.
    """
    flat = region.levels.ravel()
    used = steps[[_has_line(region, step) for step in steps]]
    lengths = [_run_lengths(flat, region.order, offset) for offset in flat_offsets(used, region.levels.shape)]
    if not lengths:
        figures = np.full(len(GLRLM_FEATURES), np.nan)
    elif aggregation == "averaged":
        entries = [gather_entries(region.present, length, region.starts) for length in lengths]
        figures = np.mean([size_figures(e, region.n_voxels) for e in entries], axis=0)
    else:
        sizes = np.stack(lengths, axis=1).ravel()
        entries_of_all = gather_entries(region.present, sizes, region.starts * len(lengths))
        figures = size_figures(entries_of_all, region.n_voxels * len(lengths))
    return dict(zip(GLRLM_FEATURES, figures.tolist(), strict=True))


def _has_line(region: LevelRegion, step: NDArray[np.int64]) -> bool:
    """Whether a line along the step holds two voxels of the region."""
    (offset,) = flat_offsets(step[None], region.levels.shape)
    if _has_pair(region.levels.ravel(), region.order, offset):
        return True
    ijk = np.stack(np.unravel_index(region.order, region.levels.shape), axis=1)
    axis = int(np.flatnonzero(step)[0])
    feet = ijk - step * (ijk[:, [axis]] * step[axis])
    return len(np.unique(feet, axis=0)) < len(feet)


@njit(cache=True, nogil=True)
def _has_pair(flat: NDArray[np.int32], order: NDArray[np.int64], offset: int) -> bool:
    """Whether two voxels of the region are neighbours along a step."""
    for voxel in order:  # noqa: SIM110 - numba compiles no generator
        if flat[voxel + offset] > 0:
            return True
    return False


@njit(cache=True, nogil=True)
def _run_lengths(flat: NDArray[np.int32], order: NDArray[np.int64], offset: int) -> NDArray[np.int64]:
    """Length of the run that begins at each voxel, 0 at a voxel where none begins."""
    lengths = np.zeros(len(order), dtype=np.int64)
    for k in range(len(order)):
        voxel = order[k]
        level = flat[voxel]
        if flat[voxel - offset] != level:
            length = 1
            while flat[voxel + length * offset] == level:
                length += 1
            lengths[k] = length
    return lengths


@njit(cache=True, nogil=True)
def _zone_sizes(flat: NDArray[np.int32], order: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Size of the zone of each voxel at the first of its voxels in order, 0 at the others."""
    sizes = np.zeros(len(order), dtype=np.int64)
    seen = np.zeros(len(flat), dtype=np.bool_)
    stack = np.empty(len(order), dtype=np.int64)
    for k in range(len(order)):
        if seen[order[k]]:
            continue
        level = flat[order[k]]
        seen[order[k]] = True
        stack[0] = order[k]
        top, size = 1, 0
        while top > 0:
            top -= 1
            voxel = stack[top]
            size += 1
            for offset in offsets:
                for other in (voxel + offset, voxel - offset):
                    if flat[other] == level and not seen[other]:
                        seen[other] = True
                        stack[top] = other
                        top += 1
        sizes[k] = size
    return sizes
