"""How strong and how coarse the noise of an image is, and more of the same kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

_FEWEST = 200
_COARSEST = 0.95
_OUTLIER = 4.0


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation in the unit of the image, and the grain along each axis in voxels.

    A grain of s voxels is that of white noise behind a Gaussian filter of standard deviation s; 0 is white.
    """

    deviation: float
    grain: tuple[float, float, float]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Noise of this kind."""
        white = rng.standard_normal(shape, dtype=np.float32)
        smooth = gaussian_filter(white, self.grain, mode="wrap", truncate=3.0)
        # What the filter leaves of the variance of white noise, from its answer to a single voxel along each axis.
        gain = np.prod([_rest(sigma, n) for sigma, n in zip(self.grain, shape, strict=True)])
        return np.asarray(smooth * np.float32(self.deviation / np.sqrt(gain)), dtype=np.float32)


def _rest(sigma: float, n: int) -> float:
    """Sum of the squared weights of the filter along an axis of ``n`` voxels."""
    line = np.zeros(n)
    line[0] = 1.0
    return float((gaussian_filter(line, sigma, mode="wrap", truncate=3.0) ** 2).sum())


def estimate_noise(array: NDArray[Any], mask: NDArray[np.bool_]) -> Noise | None:
    """Estimate the noise of an image where ``mask`` says that nothing but noise should vary.

    Returns
    -------
    None where fewer than 200 pairs of voxels lie inside the mask.

    Notes
    -----
    Differences of neighbours, one and two voxels apart, do not see what varies slowly. With the autocorrelation
    ``exp(−h²/4s²)`` of filtered white noise their variances have the ratio ``1 / ((1 + ρ)(1 + ρ²))``, where ρ is the
    correlation of neighbours: the ratio gives the grain, then each of them the deviation. The median over the axes is
    taken, and differences beyond four deviations, which are edges, are left out.
    """
    deviations, grain = [], []
    table = np.linspace(_COARSEST, 0.0, 96)
    for axis in range(3):
        one, two = (_variance(array, mask, axis, step) for step in (1, 2))
        if one is None or two is None:
            grain.append(0.0)
            continue
        ratio = one / max(two, 1e-12)
        rho = float(np.interp(ratio, 1 / ((1 + table) * (1 + table**2)), table))
        grain.append(float(np.sqrt(-0.25 / np.log(rho))) if rho > 0.02 else 0.0)
        deviations.append(float(np.sqrt(one / (2 * (1 - rho)))))
    if not deviations:
        return None
    return Noise(float(np.median(deviations)), (grain[0], grain[1], grain[2]))


def _variance(array: NDArray[Any], mask: NDArray[np.bool_], axis: int, step: int) -> float | None:
    """Variance of differences of voxels ``step`` apart, without outliers."""
    if array.shape[axis] <= step:
        return None
    ahead = [slice(None)] * 3
    behind = [slice(None)] * 3
    ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
    both = mask[tuple(ahead)] & mask[tuple(behind)]
    if np.count_nonzero(both) < _FEWEST:
        return None
    difference = array[tuple(ahead)][both].astype(np.float64) - array[tuple(behind)][both]
    difference -= np.median(difference)
    limit = _OUTLIER * float(np.median(np.abs(difference))) / 0.6745
    return float(np.mean(difference[np.abs(difference) <= max(limit, 1e-9)] ** 2))
