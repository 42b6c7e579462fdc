"""Grey level dependence (GLDM) and neighbourhood grey tone difference (NGTDM).

References
----------
Sun C., Wee W. G. Neighboring gray level dependence matrix for texture classification.
https://doi.org/10.1016/0734-189X(83)90032-4
Amadasun M., King R. Textural features corresponding to textural properties. https://doi.org/10.1109/21.44046
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.radiomics.names import GLDM_FEATURES, NGTDM_FEATURES
from osteomet.radiomics.region import LevelRegion, flat_offsets
from osteomet.radiomics.size_features import gather_entries, size_figures

_UNUSED = (3, 6)
"""Figures that say nothing new: the uniformity of levels, which first order has, and entries a voxel, which is 1."""


def neighbourhood_features(region: LevelRegion, steps: NDArray[np.int64]) -> tuple[dict[str, float], dict[str, float]]:
    """Features of GLDM and of NGTDM.

    Parameters
    ----------
    region
        A region of one or more voxels.
    steps
        One of each pair of opposite steps to neighbours, shape (n, 3).

    Returns
    -------
    Feature by name. A voxel depends on itself and on every neighbour of its own level. Of NGTDM only voxels that have a
    neighbour in the region count; where there is none, all its features are NaN, and where the region has one level
    only, all but the complexity, which is 0.
    """
    offsets = flat_offsets(steps, region.levels.shape)
    flat = region.levels.ravel()
    dependence, difference = _neighbours(flat, region.order, offsets)
    entries = gather_entries(region.present, dependence, region.starts)
    figures = np.delete(size_figures(entries, region.n_voxels), _UNUSED)
    dependent = dict(zip(GLDM_FEATURES, figures.tolist(), strict=True))
    tone = _tone_features(region.present, region.starts, difference)
    tone[~np.isfinite(tone)] = np.nan
    return dependent, dict(zip(NGTDM_FEATURES, tone.tolist(), strict=True))


@njit(cache=True, nogil=True)
def _neighbours(
    flat: NDArray[np.int32], order: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each voxel in order: itself and its neighbours of its level; its difference from the mean of its neighbours.

    A voxel without a neighbour has the difference −1.
    """
    dependence = np.empty(len(order), dtype=np.int64)
    difference = np.empty(len(order))
    for k in range(len(order)):
        voxel = order[k]
        level = flat[voxel]
        same, n, total = 1, 0, 0
        for offset in offsets:
            for other in (flat[voxel + offset], flat[voxel - offset]):
                if other > 0:
                    n += 1
                    total += other
                    if other == level:
                        same += 1
        dependence[k] = same
        difference[k] = abs(level - total / n) if n > 0 else -1.0
    return dependence, difference


@njit(cache=True, nogil=True, error_model="numpy")
def _tone_features(
    present: NDArray[np.int64], starts: NDArray[np.int64], difference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Busyness, coarseness, complexity, contrast and strength."""
    count = np.zeros(len(present))
    total = np.zeros(len(present))
    for k in range(len(present)):
        for voxel in range(starts[k], starts[k + 1]):
            if difference[voxel] >= 0:
                count[k] += 1
                total[k] += difference[voxel]
    valid = count > 0
    n = count.sum()
    if n == 0:
        return np.full(5, np.nan)
    level, p, s = present[valid].astype(np.float64), count[valid] / n, total[valid]
    weighted = (p * s).sum()
    contrast, busyness, complexity, strength = 0.0, 0.0, 0.0, 0.0
    for i in range(len(level)):
        for j in range(i):
            apart = level[i] - level[j]
            contrast += 2 * p[i] * p[j] * apart**2
            busyness += 2 * abs(level[i] * p[i] - level[j] * p[j])
            complexity += 2 * apart * (p[i] * s[i] + p[j] * s[j]) / (p[i] + p[j])
            strength += 2 * (p[i] + p[j]) * apart**2
    n_levels = float(len(level))
    contrast *= s.sum() / n / (n_levels * (n_levels - 1))
    return np.array([weighted / busyness, 1 / weighted, complexity / n, contrast, strength / s.sum()])
