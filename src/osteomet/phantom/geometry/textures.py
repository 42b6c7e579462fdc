"""Random fields that are functions of space: a point and a seed in, a value out, whatever grid asks.

Lattice noise needs no array of random numbers, so any crop, at any spacing, sees the same trabeculae as the whole.

References
----------
Perlin K. 1985, an image synthesizer: https://doi.org/10.1145/325165.325247
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_UNIT = 1 / 0.3698
"""One over the standard deviation of values uniform in −1 … 1 that a cubic blends along three axes."""


@njit(cache=True, error_model="numpy", inline="always")
def lattice_value(i: int, j: int, k: int, seed: int) -> float:
    """Uniform value in −1 … 1 of one lattice point."""
    h = np.uint32(i) * np.uint32(0x8DA6B343) ^ np.uint32(j) * np.uint32(0xD8163841)
    h = np.uint32(h ^ np.uint32(k) * np.uint32(0xCB1AB31F) ^ np.uint32(seed))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D))
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    return float(h) * (2.0 / 4294967296.0) - 1.0


@njit(cache=True, error_model="numpy", forceinline=True)
def noise(x: float, y: float, z: float, seed: int) -> float:
    """Smooth noise of unit variance whose grain is about one unit; mean 0."""
    xf, yf, zf = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(xf), int(yf), int(zf)
    u, v, w = x - xf, y - yf, z - zf
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    low = (lattice_value(i, j, k, seed) * (1 - u) + lattice_value(i + 1, j, k, seed) * u) * (1 - v)
    low += (lattice_value(i, j + 1, k, seed) * (1 - u) + lattice_value(i + 1, j + 1, k, seed) * u) * v
    high = (lattice_value(i, j, k + 1, seed) * (1 - u) + lattice_value(i + 1, j, k + 1, seed) * u) * (1 - v)
    high += (lattice_value(i, j + 1, k + 1, seed) * (1 - u) + lattice_value(i + 1, j + 1, k + 1, seed) * u) * v
    return (low * (1 - w) + high * w) * _UNIT


@njit(cache=True, error_model="numpy")
def noises(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    lengths: NDArray[np.float64],
    seed: int,
    out: NDArray[np.float64],
) -> None:
    """`noise` at many points with a grain of these extents along three axes, into ``out``."""
    a, b, c = 1.0 / lengths[0], 1.0 / lengths[1], 1.0 / lengths[2]
    for n in range(out.size):
        out[n] = noise(a * x[n], b * y[n], c * z[n], seed)


def seen_share(length_mm: NDArray[np.float64], spread_mm: float) -> float:
    """Share of the amplitude of a grain that survives averaging by a point spread.

    The grain, of extent ``length_mm`` along three axes, is taken for a Gaussian correlation with a standard deviation
    of 0.4 of its length, the point spread for a Gaussian of standard deviation ``spread_mm``.

    Examples
    --------
    >>> seen_share(np.array([2.0, 2.0, 2.0]), 0.0)
    1.0
    """
    correlation = 0.4 * np.asarray(length_mm)
    return float(np.prod(1 + 2 * (spread_mm / correlation) ** 2) ** -0.25)
