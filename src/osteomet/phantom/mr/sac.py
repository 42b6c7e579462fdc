"""Compiled loop that stirs the fluid of the dural sac: roots of the cauda as strands along it, and streams."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.phantom.geometry.textures import lattice_value, noise

_CONUS_PLACE = 19.2
"""Below this place (L1) the sac holds roots instead of the cord."""
_EMPTY_PLACE = 25.0
"""By this place (S2) hardly a root is left."""
_STILL_PLACE = 22.5
"""Below this place (L4) fluid hardly moves."""
_MOST_MOVED = 0.75


@njit(cache=True, error_model="numpy")
def stir(
    points: NDArray[np.float32],
    tissues: tuple[int, int, int],
    sac: NDArray[np.float64],
    seed: int,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
) -> None:
    """Lay strands of roots and streams that a spin echo loses into pure fluid of the sac.

    ``tissues`` are fluid, root and streaming fluid, ``sac`` is that of `SoftTissue`. Of root and stream the larger
    share stays.
    """
    fluid, root, stream = tissues
    if sac.shape[0] < 2:
        return
    for i in range(first.shape[0]):
        for j in range(first.shape[1]):
            for k in range(first.shape[2]):
                if first[i, j, k] != fluid or share[i, j, k] > 0.02:
                    continue
                z = points[i, j, k, 2]
                row = min(max(np.searchsorted(sac[:, 0], z) - 1, 0), sac.shape[0] - 2)
                low, high = sac[row], sac[row + 1]
                t = min(1.0, max(0.0, (z - low[0]) / (high[0] - low[0])))
                left = points[i, j, k, 0] - (low[1] + t * (high[1] - low[1]))
                back = points[i, j, k, 1] - (low[2] + t * (high[2] - low[2]))
                half_width, half_depth = low[3] + t * (high[3] - low[3]), low[4] + t * (high[4] - low[4])
                place = low[5] + t * (high[5] - low[5])
                a, b = left / half_width, back / half_depth
                roots = _roots(left, back, z, a, b, place, seed)
                moved = _moved(a, b, z, place, seed)
                part = max(roots, moved)
                second[i, j, k] = root if roots > moved else stream
                share[i, j, k] = part if part > 0.02 else 0.0


@njit(cache=True, error_model="numpy", inline="always")
def _roots(left: float, back: float, z: float, a: float, b: float, place: float, seed: int) -> float:
    """Share of roots: single ones around the cord, a bed of them behind and at the sides below it, fewer downwards."""
    fine = noise(left / 1.7, back / 1.3, z / 50.0, seed + 8)
    coarse = noise(left / 3.4, back / 2.2, z / 60.0, seed + 9)
    below = min(1.0, max(0.0, (place - _CONUS_PLACE) / 1.2))
    left_over = np.sqrt(min(1.0, max(0.05, (_EMPTY_PLACE - place) / (_EMPTY_PLACE - _CONUS_PLACE))))
    bed = min(1.0, max(0.0, 0.45 + 1.1 * b + 0.3 * a * a + 0.4 * coarse))
    return float(below * left_over * bed * min(0.95, max(0.0, 0.55 + 0.5 * fine)) + 0.08 * max(0.0, fine - 0.5))


@njit(cache=True, error_model="numpy", inline="always")
def _moved(a: float, b: float, z: float, place: float, seed: int) -> float:
    """Share of streaming fluid, most behind the cord and in the chest, hardly any in the lower loins.

    Some patients have strong streams and some have none.
    """
    pulse = min(1.0, max(0.05, (_STILL_PLACE - place) / 8.0))
    eddy = noise(1.7 * a, 2.0 * b, z / 24.0, seed + 10) + 0.5 * noise(3.1 * a, 3.4 * b, z / 11.0, seed + 11)
    strong = 0.55 + 0.45 * lattice_value(0, 0, 0, seed + 12)
    return _MOST_MOVED * strong * pulse * min(1.0, max(0.0, 0.35 * eddy + 0.3 * b))
