"""Compiled loops of the MR simulation: mixing tissues in a voxel, moving signal along a line."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def mix(
    index_a: NDArray[np.uint8],
    index_b: NDArray[np.uint8],
    share_b: NDArray[np.float32],
    marrow_fat: NDArray[np.float32],
    pure_water: NDArray[np.float32],
    pure_fat: NDArray[np.float32],
    fat_fraction: NDArray[np.float32],
    marrow: NDArray[np.int64],
    water: NDArray[np.float32],
    fat: NDArray[np.float32],
) -> None:
    """Fill the water and the fat signal of every voxel (flat arrays) from its two tissues.

    ``marrow`` holds the indices of mixed, red and yellow marrow: mixed marrow takes the fat fraction of the voxel, and
    its water and fat lie between those of red and yellow marrow.
    """
    mixed, red, yellow = marrow
    low, high = fat_fraction[red], fat_fraction[yellow]
    whole_water, whole_fat = (np.float32(1.0) - fat_fraction) * pure_water, fat_fraction * pure_fat
    for n in range(index_a.size):
        a, b, share = index_a[n], index_b[n], share_b[n]
        water_a, fat_a, water_b, fat_b = whole_water[a], whole_fat[a], whole_water[b], whole_fat[b]
        if a == mixed or b == mixed:
            part = marrow_fat[n]
            y = min(np.float32(1.0), max(np.float32(0.0), (part - low) / (high - low)))
            w = (np.float32(1.0) - part) * (pure_water[red] + y * (pure_water[yellow] - pure_water[red]))
            f = part * (pure_fat[red] + y * (pure_fat[yellow] - pure_fat[red]))
            if a == mixed:
                water_a, fat_a = w, f
            if b == mixed:
                water_b, fat_b = w, f
        water[n] = water_a + share * (water_b - water_a)
        fat[n] = fat_a + share * (fat_b - fat_a)


@njit(cache=True)
def push(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    shift_px: NDArray[np.float32],
    first_out: NDArray[np.float32],
    second_out: NDArray[np.float32],
) -> None:
    """Move the signal of each pixel of two pictures along the last axis (of three, in any order in memory).

    Planes are copied to where lines are contiguous, one at a time, for a plane fits into the cache of a core.
    """
    n_planes, n_lines, n = shift_px.shape
    given, moved = np.empty((3, n_lines, n), dtype=np.float32), np.empty((2, n_lines, n), dtype=np.float32)
    for plane in range(n_planes):
        for i in range(n):
            for line in range(n_lines):
                given[0, line, i] = first[plane, line, i]
                given[1, line, i] = second[plane, line, i]
                given[2, line, i] = shift_px[plane, line, i]
        moved[:] = 0.0
        for line in range(n_lines):
            _push_line(given[0, line], given[1, line], given[2, line], moved[0, line], moved[1, line])
        for i in range(n):
            for line in range(n_lines):
                first_out[plane, line, i] = moved[0, line, i]
                second_out[plane, line, i] = moved[1, line, i]


@njit(cache=True)
def _push_line(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    shift_px: NDArray[np.float32],
    first_out: NDArray[np.float32],
    second_out: NDArray[np.float32],
) -> None:
    """Move the signal of each pixel of a line of two pictures, keeping its sum.

    A pixel is a segment whose ends move by the mean shift of the two pixels that meet there; its signal spreads evenly
    over where the segment comes to lie. Where the field folds space, segments overlap and signal piles up. Beyond its
    ends a line goes on with its outer pixel, so that no dark rim moves in.
    """
    n = shift_px.size
    reach = np.float32(0.0)
    for i in range(n):
        reach = max(reach, abs(shift_px[i]))
    pad = int(reach) + 1
    end = -pad - 0.5 + shift_px[0]
    for i in range(-pad, n + pad):
        c = min(max(i, 0), n - 1)
        after = min(max(i + 1, 0), n - 1)
        a = end
        end = i + 0.5 + 0.5 * (shift_px[c] + shift_px[after])
        b = max(a, end)
        a = min(a, end)
        if b <= -0.5 or a >= n - 0.5:
            continue
        share = np.float32(1.0 / max(b - a, 1e-6))
        low = max(int(np.floor(a + 0.5)), 0)
        high = min(int(np.floor(b + 0.5)), n - 1)
        for target in range(low, high + 1):
            part = np.float32(min(b, target + 0.5) - max(a, target - 0.5)) * share
            first_out[target] += part * first[c]
            second_out[target] += part * second[c]


@njit(cache=True)
def steepness(field: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Sum of the squared differences of a field to the next voxel along each axis."""
    n_i, n_j, n_k = field.shape
    for i in range(n_i):
        for j in range(n_j):
            for k in range(n_k):
                here = field[i, j, k]
                di = field[min(i + 1, n_i - 1), j, k] - here
                dj = field[i, min(j + 1, n_j - 1), k] - here
                dk = field[i, j, min(k + 1, n_k - 1)] - here
                out[i, j, k] = di * di + dj * dj + dk * dk


@njit(cache=True)
def magnitude(real: NDArray[np.float32], imaginary: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Length of a complex number, flat arrays."""
    for n in range(real.size):
        out[n] = np.sqrt(real[n] * real[n] + imaginary[n] * imaginary[n])
