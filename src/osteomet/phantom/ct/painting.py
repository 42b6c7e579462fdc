"""Soft tissue on a grid: shapes laid over one another in order, then the grain of each tissue."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.geometry.kernels import distance
from osteomet.phantom.geometry.lofts import LOFT, section
from osteomet.phantom.geometry.shapes import Warp, blocks_of
from osteomet.phantom.geometry.textures import noise, seen_share
from osteomet.phantom.soft_tissue.assembly import SoftTissue

_BLOCK = 4
"""Voxels along an edge of the blocks that are filled or passed over at once."""
_FLAT_MM = 2.0
"""Blocks are so small against a loft that distances between their corners are linear to a quarter of this over 2³, mm:
the square of the diagonal is less than this times the half size of the loft."""
_SLACK = 0.65
"""Half the diagonal of a block, and a third more, since first-order distances of slanted shapes are too long."""

_GRAINS: dict[str, tuple[float, tuple[float, float, float]]] = {
    "subcutaneous_fat": (9.0, (2.5, 2.5, 4.0)),
    "epidural_fat": (6.0, (2.0, 2.0, 3.0)),
    "liver": (7.0, (4.0, 4.0, 4.0)),
    "kidney": (9.0, (4.0, 4.0, 4.0)),
    "annulus": (9.0, (2.5, 2.5, 1.5)),
    "nucleus_hydrated": (6.0, (4.0, 4.0, 2.0)),
    "bowel_wall": (8.0, (3.0, 3.0, 3.0)),
    "bowel_content": (30.0, (4.0, 4.0, 4.0)),
    "lung": (38.0, (3.0, 3.0, 3.0)),
    "skin": (12.0, (2.0, 2.0, 2.0)),
    "lymph_node": (5.0, (3.0, 3.0, 3.0)),
}
"""Standard deviation in HU and extent in mm of the grain of a tissue. Muscle has streaks of fat instead."""
_STREAK_MM = ((2.2, 2.2, 16.0), (6.0, 6.0, 34.0))


def paint_soft_tissue(
    tissue: SoftTissue, points: NDArray[np.float32], grid: Grid, warp: Warp, *, spread_mm: float
) -> NDArray[np.float32]:
    """Image soft tissue in HU; edges are blended by a point spread of standard deviation ``spread_mm``."""
    # A ramp of half width s spreads as a Gaussian of s over the root of three.
    softness = spread_mm * np.sqrt(3)
    image = np.full(grid.shape, -1000.0, dtype=np.float32)
    seen = np.zeros(grid.shape, dtype=np.uint8)
    names = ("air", *dict.fromkeys(tissue.tissues))
    codes = np.array([names.index(name) for name in tissue.tissues], dtype=np.uint8)
    shapes = tissue.shapes
    _paint(
        points, shapes.kinds, shapes.parameters, blocks_of(shapes, grid, warp, softness), (tissue.values_hu, codes),
        (softness, _SLACK), image, seen,
    )  # fmt: skip
    amplitudes, lengths = np.zeros(len(names)), np.ones((len(names), 3))
    for code, name in enumerate(names):
        if name in _GRAINS:
            amplitude, length = _GRAINS[name]
            amplitudes[code], lengths[code] = amplitude * seen_share(np.array(length), spread_mm), length
    muscle = names.index("muscle") if "muscle" in names else 255
    _grain(
        points, seen, (amplitudes, lengths), (muscle, tissue.streaks, tissue.fat_hu, np.array(_STREAK_MM)),
        tissue.seed % 2**31, image,
    )  # fmt: skip
    return image


@njit(cache=True, error_model="numpy")
def _paint(
    points: NDArray[np.float32],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    reach: NDArray[np.int64],
    paints: tuple[NDArray[np.float64], NDArray[np.uint8]],
    widths: tuple[float, float],
    image: NDArray[np.float32],
    tissue: NDArray[np.uint8],
) -> None:
    """Blend each primitive over what is there; blocks far outside are passed over, those deep inside filled."""
    values, codes = paints
    softness, slack = widths
    p, corners = np.empty(3), np.empty((2, 2, 2))
    for n in range(kinds.shape[0]):
        (i0, j0, k0), (i1, j1, k1) = reach[n, 0], reach[n, 1]
        kind, q, value, code = kinds[n], parameters[n], np.float32(values[n]), codes[n]
        for i in range(i0, i1, _BLOCK):
            for j in range(j0, j1, _BLOCK):
                for k in range(k0, k1, _BLOCK):
                    it, jt, kt = min(i + _BLOCK, i1), min(j + _BLOCK, j1), min(k + _BLOCK, k1)
                    extent = 0.0
                    for axis in range(3):
                        low, high = points[i, j, k, axis], points[it - 1, jt - 1, kt - 1, axis]
                        p[axis] = 0.5 * (low + high)
                        extent += (high - low) ** 2
                    radius = slack * np.sqrt(extent)
                    if kind == LOFT and not q[0] - radius <= p[2] < q[1] + radius:
                        continue
                    d = section(p, q) if kind == LOFT else distance(kind, p, q)
                    if d > softness + radius:
                        continue
                    _at_corners(points, kind, q, (i, j, k), (it - 1, jt - 1, kt - 1), p, corners)
                    deepest, is_loft = corners.max(), kind == LOFT
                    if deepest < -softness and not is_loft:
                        image[i:it, j:jt, k:kt] = value
                        tissue[i:it, j:jt, k:kt] = code
                        continue
                    is_inside = deepest < -softness
                    is_flat = is_loft and (is_inside or extent < _FLAT_MM * _narrowest(q))
                    step_i, step_j, step_k = (
                        1.0 / max(1, it - 1 - i),
                        1.0 / max(1, jt - 1 - j),
                        1.0 / max(1, kt - 1 - k),
                    )
                    for a in range(i, it):
                        for b in range(j, jt):
                            for c in range(k, kt):
                                if is_loft and not q[0] <= points[a, b, c, 2] < q[1]:
                                    continue
                                if is_inside:
                                    image[a, b, c] = value
                                    tissue[a, b, c] = code
                                    continue
                                if is_flat:
                                    d = _between(corners, (a - i) * step_i, (b - j) * step_j, (c - k) * step_k)
                                else:
                                    for axis in range(3):
                                        p[axis] = points[a, b, c, axis]
                                    d = distance(kind, p, q)
                                if d < softness:
                                    share = min(1.0, 0.5 - 0.5 * d / softness)
                                    image[a, b, c] += share * (value - image[a, b, c])
                                    if share > 0.5:
                                        tissue[a, b, c] = code


@njit(cache=True, error_model="numpy")
def _at_corners(
    points: NDArray[np.float32],
    kind: int,
    q: NDArray[np.float64],
    first: tuple[int, int, int],
    last: tuple[int, int, int],
    p: NDArray[np.float64],
    corners: NDArray[np.float64],
) -> None:
    """Distance at the eight corners of a block, shape (2, 2, 2); of a loft, as if it had no ends."""
    for a in range(2):
        for b in range(2):
            for c in range(2):
                for axis in range(3):
                    p[axis] = points[
                        last[0] if a else first[0], last[1] if b else first[1], last[2] if c else first[2], axis
                    ]
                corners[a, b, c] = section(p, q) if kind == LOFT else distance(kind, p, q)


@njit(cache=True, error_model="numpy")
def _narrowest(q: NDArray[np.float64]) -> float:
    """Least half size of a segment of a loft, a bound of how sharply its surface bends."""
    return min(min(q[4], q[5]), min(q[9], q[10]))


@njit(cache=True, error_model="numpy")
def _between(corners: NDArray[np.float64], u: float, v: float, w: float) -> float:
    """Distance within a block whose corners tell it, at shares of its edges."""
    low = (corners[0, 0, 0] * (1 - w) + corners[0, 0, 1] * w) * (1 - v)
    low += (corners[0, 1, 0] * (1 - w) + corners[0, 1, 1] * w) * v
    high = (corners[1, 0, 0] * (1 - w) + corners[1, 0, 1] * w) * (1 - v)
    high += (corners[1, 1, 0] * (1 - w) + corners[1, 1, 1] * w) * v
    return low * (1 - u) + high * u


@njit(cache=True, error_model="numpy")
def _grain(
    points: NDArray[np.float32],
    tissue: NDArray[np.uint8],
    grains: tuple[NDArray[np.float64], NDArray[np.float64]],
    muscle: tuple[int, float, float, NDArray[np.float64]],
    seed: int,
    image: NDArray[np.float32],
) -> None:
    """Add the grain of each tissue, and streaks of fat to muscle."""
    amplitudes, lengths = grains
    muscle_code, streaks, fat_hu, streak_mm = muscle
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            for k in range(image.shape[2]):
                code = tissue[i, j, k]
                x, y, z = points[i, j, k, 0], points[i, j, k, 1], points[i, j, k, 2]
                if code == muscle_code:
                    fine = noise(x / streak_mm[0, 0], y / streak_mm[0, 1], z / streak_mm[0, 2], seed + 1)
                    broad = noise(x / streak_mm[1, 0], y / streak_mm[1, 1], z / streak_mm[1, 2], seed + 2)
                    excess = 0.55 * fine + 0.85 * broad - 1.9 + 2.2 * streaks
                    share = min(0.8, max(0.0, 0.38 * excess))
                    image[i, j, k] += 3.0 * fine + share * (fat_hu - image[i, j, k])
                elif amplitudes[code] > 0:
                    grain = noise(x / lengths[code, 0], y / lengths[code, 1], z / lengths[code, 2], seed + code)
                    image[i, j, k] += amplitudes[code] * grain
