"""Lofts: one cross-section blended into the next along the body, for all that is long: muscles, vessels, the skin."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LOFT = 10
"""Kind of a primitive that is one segment of a loft; apart from those that `kernels` counts."""
BEYOND_MM = 1000.0
"""Added to the distance above or below a segment, where nothing is known of the distance within its slice."""


@njit(cache=True, error_model="numpy")
def loft(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """One segment of a loft, first-order distance within its slice; far beyond its two heights.

    The ends are cut sharply, so that segments that share a knot join without a seam.
    """
    if p[2] < q[0] or p[2] >= q[1]:
        return max(q[0] - p[2], p[2] - q[1]) + BEYOND_MM
    return section(p, q)


@njit(cache=True, error_model="numpy")
def section(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Distance within the slice of p; above and below the segment its end sections go on.

    A section lies between an ellipse and a super-ellipse of exponent 4; neither needs a power function.
    """
    f = min(1.0, max(0.0, (p[2] - q[0]) / (q[1] - q[0])))
    x, y = p[0] - q[2] - f * (q[7] - q[2]), p[1] - q[3] - f * (q[8] - q[3])
    a, b, turn = q[4] + f * (q[9] - q[4]), q[5] + f * (q[10] - q[5]), q[6] + f * (q[11] - q[6])
    if turn != 0.0:
        c, s = np.cos(turn), np.sin(turn)
        x, y = c * x + s * y, c * y - s * x
    u, v = abs(x) / a, abs(y) / b
    if u + v < 1e-6:
        return -min(a, b)
    u2, v2 = u * u, v * v
    r = np.sqrt(u2 + v2)
    slope_u, slope_v = u / (a * r), v / (b * r)
    if q[12] > 0.0:
        r4 = np.sqrt(np.sqrt(u2 * u2 + v2 * v2))
        cube = r4 * r4 * r4
        slope_u += q[12] * (u * u2 / (a * cube) - slope_u)
        slope_v += q[12] * (v * v2 / (b * cube) - slope_v)
        r += q[12] * (r4 - r)
    return (r - 1.0) / np.sqrt(slope_u * slope_u + slope_v * slope_v)
