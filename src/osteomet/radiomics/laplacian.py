"""Laplacian of a Gaussian by recursive filters, on the part of an image that a region needs.

The definition is that of ITK's ``LaplacianRecursiveGaussianImageFilter`` with normalisation across scales, which other
radiomics software uses too: Gaussians and their second derivatives are sums of two damped cosines (Deriche's fourth
order), so that a line costs the same whatever the width. Beyond the border of the image its outermost values go on.

References
----------
Farnebäck G., Westin C.-F. Improving Deriche-style recursive Gaussian filters. https://doi.org/10.1007/s10851-006-8464-z
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_FREQUENCIES = (0.6681, 2.0787)
_DAMPINGS = (-1.3932, -1.3732)
_GAUSSIAN = ((1.3530, -0.3531), (1.8151, 0.0902))
_CURVATURE = ((-1.3563, 0.3446), (5.2318, -2.2355))
"""Weights of the two cosines and of the two sines, for the Gaussian and for its second derivative."""
_REACH_SIGMAS = 12.0
"""Beyond this distance a voxel weighs less than 1e-7: the rest of the image is not needed."""
_LANES = 64
FEWEST_VOXELS = 4
"""Length of the shortest line that can be filtered."""


@dataclass(frozen=True, slots=True, eq=False)
class _Recursion:
    """Forward weights of x[i], x[i−1] …, backward weights of x[i+1] …, and those of the four results before."""

    forward: NDArray[np.float64]
    backward: NDArray[np.float64]
    feedback: NDArray[np.float64]


def reach_voxels(sigma_mm: float, spacing_mm: tuple[float, float, float]) -> list[int]:
    """How far from a region, along each axis, voxels bear on the filtered values inside it."""
    return [int(np.ceil(_REACH_SIGMAS * sigma_mm / s)) for s in spacing_mm]


def too_short(shape: tuple[int, ...], sigma_mm: float, spacing_mm: tuple[float, float, float]) -> str:
    """Why an image is too small for a width, empty where it is not."""
    for axis, (n, spacing) in enumerate(zip(shape, spacing_mm, strict=True)):
        needed = max(FEWEST_VOXELS, int(np.ceil(sigma_mm / spacing)) + 1)
        if n < needed:
            return f"the image has {n} voxels along axis {axis}, a Laplacian of {sigma_mm:g} mm needs {needed}"
    return ""


def laplacian_of_gaussian(
    array: NDArray[Any],
    spacing_mm: tuple[float, float, float],
    sigma_mm: float,
    box: tuple[slice, slice, slice],
) -> NDArray[np.float64]:
    """σ² times the Laplacian of the image smoothed by a Gaussian, in a box.

    Parameters
    ----------
    array
        Whole image, not `too_short`.
    box
        Part that is wanted.

    Returns
    -------
    Array of the shape of the box; 0 where the image is constant.
    """
    reach = reach_voxels(sigma_mm, spacing_mm)
    window = [slice(max(0, b.start - r), min(n, b.stop + r)) for b, r, n in zip(box, reach, array.shape, strict=True)]
    wanted = [slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, window, strict=True)]
    block = array[tuple(window)].astype(np.float64)
    smooth = [_smoothing(sigma_mm / s) for s in spacing_mm]
    curve = [_curvature(sigma_mm / s) for s in spacing_mm]
    once = _along_first(block, smooth[0], wanted[0])
    bent = _along_first(block, curve[0], wanted[0])
    twice = _along_first(once, smooth[1], wanted[1])
    bent = _along_first(bent, smooth[1], wanted[1]) + _along_first(once, curve[1], wanted[1])
    return _along_first(bent, smooth[2], wanted[2]) + _along_first(twice, curve[2], wanted[2])


def _along_first(block: NDArray[np.float64], recursion: _Recursion, wanted: slice) -> NDArray[np.float64]:
    """Filter along the first axis, keep what is wanted of it, and move it to the end."""
    n, *rest = block.shape
    lines = np.ascontiguousarray(block.reshape(n, -1))
    kept = _filter_lines(lines, recursion.forward, recursion.backward, recursion.feedback, wanted.start, wanted.stop)
    return np.ascontiguousarray(kept.T).reshape(*rest, -1)


def _smoothing(sigma: float) -> _Recursion:
    """Recursion for a Gaussian of a width in voxels that sums to 1."""
    feedback = _feedback(sigma)
    weights = _numerator(sigma, _GAUSSIAN)
    return _recursion(weights / (2 * weights.sum() / feedback.sum() - weights[0]), feedback)


def _curvature(sigma: float) -> _Recursion:
    """Recursion for σ² times the second derivative: it gives 0 for a line and 2 σ² for the square of the place."""
    feedback = _feedback(sigma)
    smooth, curve = _numerator(sigma, _GAUSSIAN), _numerator(sigma, _CURVATURE)
    steps = np.arange(5.0)
    sd, dd, ed = (float(feedback @ steps**power) for power in range(3))
    mixed = curve - (2 * curve.sum() - sd * curve[0]) / (2 * smooth.sum() - sd * smooth[0]) * smooth
    sn, dn, en = (float(mixed @ steps[:4] ** power) for power in range(3))
    response = (en * sd**2 - ed * sn * sd - 2 * dn * dd * sd + 2 * dd**2 * sn) / sd**3
    return _recursion(mixed * (sigma**2 / response), feedback)


def _recursion(forward: NDArray[np.float64], feedback: NDArray[np.float64]) -> _Recursion:
    """Add the backward weights that make the response symmetric."""
    return _Recursion(forward, np.append(forward[1:], 0.0) - feedback[1:] * forward[0], feedback[1:])


def _feedback(sigma: float) -> NDArray[np.float64]:
    """Weights of the results before, the current one with 1."""
    first, second = (
        [1.0, -2 * np.exp(d / sigma) * np.cos(w / sigma), np.exp(2 * d / sigma)]
        for w, d in zip(_FREQUENCIES, _DAMPINGS, strict=True)
    )
    return np.convolve(first, second)


def _numerator(sigma: float, weights: tuple[tuple[float, float], tuple[float, float]]) -> NDArray[np.float64]:
    """Forward weights of two damped cosines and sines, before scaling."""
    total = np.zeros(4)
    for k in range(2):
        damping, angle = np.exp(_DAMPINGS[k] / sigma), _FREQUENCIES[k] / sigma
        a, b = weights[0][k], weights[1][k]
        other_damping, other_angle = np.exp(_DAMPINGS[1 - k] / sigma), _FREQUENCIES[1 - k] / sigma
        own = [a, damping * (b * np.sin(angle) - a * np.cos(angle))]
        total += np.convolve(own, [1, -2 * other_damping * np.cos(other_angle), other_damping**2])
    return total


@njit(cache=True, nogil=True, fastmath={"contract"})
def _filter_lines(
    lines: NDArray[np.float64],
    forward: NDArray[np.float64],
    backward: NDArray[np.float64],
    feedback: NDArray[np.float64],
    start: int,
    stop: int,
) -> NDArray[np.float64]:
    """Filter every column of ``lines`` and keep the rows from start to stop; columns go in lanes that fit the cache."""
    n, n_columns = lines.shape
    kept = np.empty((stop - start, n_columns))
    steady_forward = forward.sum() / (1 + feedback.sum())
    steady_backward = backward.sum() / (1 + feedback.sum())
    padded = np.empty((n + 8, _LANES))
    result = np.empty((n + 8, _LANES))
    for lane in range(0, n_columns, _LANES):
        width = min(_LANES, n_columns - lane)
        for i in range(n + 8):
            source = min(max(i - 4, 0), n - 1)
            for c in range(width):
                padded[i, c] = lines[source, lane + c]
        for i in range(4):
            for c in range(width):
                result[i, c] = padded[i, c] * steady_forward
        for i in range(4, min(n, stop) + 4):
            for c in range(width):
                result[i, c] = (
                    forward[0] * padded[i, c]
                    + forward[1] * padded[i - 1, c]
                    + forward[2] * padded[i - 2, c]
                    + forward[3] * padded[i - 3, c]
                    - feedback[0] * result[i - 1, c]
                    - feedback[1] * result[i - 2, c]
                    - feedback[2] * result[i - 3, c]
                    - feedback[3] * result[i - 4, c]
                )
        for i in range(start, stop):
            for c in range(width):
                kept[i - start, lane + c] = result[i + 4, c]
        for i in range(n + 4, n + 8):
            for c in range(width):
                result[i, c] = padded[i, c] * steady_backward
        for i in range(n + 3, start + 3, -1):
            for c in range(width):
                result[i, c] = (
                    backward[0] * padded[i + 1, c]
                    + backward[1] * padded[i + 2, c]
                    + backward[2] * padded[i + 3, c]
                    + backward[3] * padded[i + 4, c]
                    - feedback[0] * result[i + 1, c]
                    - feedback[1] * result[i + 2, c]
                    - feedback[2] * result[i + 3, c]
                    - feedback[3] * result[i + 4, c]
                )
        for i in range(start, stop):
            for c in range(width):
                kept[i - start, lane + c] += result[i + 4, c]
    return kept
