"""Linear resampling between grids whose axes are parallel, one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

_SLAB_VOXELS = 1 << 23
_STRETCH = 1024
_EDGE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class AxisWeights:
    """How each sample of a target axis is made from neighbouring samples of a source axis.

    Target sample ``t`` is the sum of ``taps[t, n] * source[start[t] + n]``. Taps, shape (n_target, n_taps), sum to 1;
    they are all 0 where ``inside`` is False: there the centre lies beyond the box that the source voxels fill.
    """

    start: NDArray[np.int64]
    taps: NDArray[np.float32]
    inside: NDArray[np.bool_]

    def band(self, rows: slice) -> slice:
        """Range of source samples that these target rows use."""
        return slice(int(self.start[rows].min()), int(self.start[rows].max()) + self.taps.shape[1])


def axis_weights(centres: NDArray[np.float64], n_source: int, sigma: float) -> AxisWeights:
    """Weights that smooth with a Gaussian of ``sigma`` source voxels, then interpolate linearly.

    Parameters
    ----------
    centres
        Target voxel centres in source index units, shape (n_target,).
    n_source
        Number of source samples.
    sigma
        Standard deviation in source voxels, 0 for plain interpolation.

    Notes
    -----
    The kernel is the discrete Gaussian ``exp(-t) I_n(t)`` with ``t = sigma²`` [1]_: its variance is exactly ``t``
    however small, which a sampled Gaussian does not achieve. It is symmetric, so a linear ramp stays linear; the taps
    that remain at a border are scaled to sum to 1, so a constant stays constant. Centres in the half voxel between the
    outer source centres and the edge of the box take the value at the border.

    References
    ----------
    .. [1] Lindeberg T. Scale-space for discrete signals. IEEE TPAMI 1990. https://doi.org/10.1109/34.49051
    """
    centres = np.round(centres, 9)
    inside = (centres >= -0.5 - _EDGE_TOLERANCE) & (centres <= n_source - 0.5 + _EDGE_TOLERANCE)
    clamped = np.clip(centres, 0, n_source - 1)
    base = np.floor(clamped).astype(np.int64)
    radius = kernel_radius(sigma)
    n_taps = min(2 * radius + 2, n_source)
    start = np.clip(base - radius, 0, n_source - n_taps)
    offset = start[:, None] + np.arange(n_taps) - base[:, None]
    fraction = (clamped - base)[:, None]
    taps = (1 - fraction) * _gaussian(offset, sigma) + fraction * _gaussian(offset - 1, sigma)
    return AxisWeights(start, (taps * inside[:, None]).astype(np.float32), inside)


def _gaussian(offset: NDArray[np.int64], sigma: float) -> NDArray[np.float64]:
    """Discrete Gaussian at these offsets from its centre, each row scaled to sum to 1 (or left at 0)."""
    taps = ive(np.abs(offset), sigma**2)
    return np.asarray(taps / np.maximum(taps.sum(axis=1, keepdims=True), 1e-30))


def kernel_radius(sigma: float) -> int:
    """Reach of the discrete Gaussian, voxels; all that lies beyond weighs less than 1e-5."""
    return int(np.ceil(4 * sigma + 3)) if sigma > 0 else 0


def apply_weights(array: NDArray[Any], weights: Sequence[AxisWeights], *, outside: float) -> NDArray[np.float32]:
    """Resample along each array axis; target samples outside on any axis get the value ``outside``.

    Works in slabs along the slowest axis in memory and turns only the part of a slab that the target needs into
    float32. Beside the result, which keeps the memory order of the input, it takes a few slabs.
    """
    order = np.argsort([-abs(stride) for stride in array.strides], kind="stable")
    source = array.transpose(order)
    slow, middle, fast = (weights[axis] for axis in order)
    out = np.empty((len(slow.start), len(middle.start), len(fast.start)), dtype=np.float32)
    across = (middle.band(slice(None)), fast.band(slice(None)))
    step = _rows_a_slab(slow, across)
    for first in range(0, len(out), step):
        rows = slice(first, first + step)
        band = slow.band(rows)
        slab = np.asarray(source[band, *across], dtype=np.float32, order="C")
        mixed = np.empty((1, len(out[rows]), slab[0].size), dtype=np.float32)
        _mix(slab.reshape(1, len(slab), -1), slow.start[rows] - band.start, slow.taps[rows], mixed)
        mixed = mixed.reshape(-1, *slab.shape[1:])
        narrow = np.empty((len(mixed), len(middle.start), slab.shape[2]), dtype=np.float32)
        _mix(mixed, middle.start - across[0].start, middle.taps, narrow)
        _mix_last(narrow, fast.start - across[1].start, fast.taps, out[rows])
    for axis, along in enumerate((slow, middle, fast)):
        np.moveaxis(out, axis, 0)[~along.inside] = outside
    return out.transpose(np.argsort(order))


def _rows_a_slab(slow: AxisWeights, across: tuple[slice, slice]) -> int:
    """Target rows whose source slab holds about ``_SLAB_VOXELS``, at least one."""
    band = slow.band(slice(None))
    voxels_a_row = (band.stop - band.start) / len(slow.start)
    for s in across:
        voxels_a_row *= s.stop - s.start
    return max(1, int(_SLAB_VOXELS / voxels_a_row))


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _mix(
    source: NDArray[np.float32], start: NDArray[np.int64], taps: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Weighted sums along axis 1, in stretches of the last axis that stay in the first-level cache."""
    for a in range(out.shape[0]):
        for low in range(0, out.shape[2], _STRETCH):
            for row in range(out.shape[1]):
                sums = out[a, row, low : low + _STRETCH]
                sums[:] = 0
                for n in range(taps.shape[1]):
                    weight = taps[row, n]
                    values = source[a, start[row] + n, low : low + _STRETCH]
                    for c in range(len(sums)):
                        sums[c] += weight * values[c]


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _mix_last(
    source: NDArray[np.float32], start: NDArray[np.int64], taps: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Weighted sums along the last axis."""
    for a in range(out.shape[0]):
        for b in range(out.shape[1]):
            for row in range(out.shape[2]):
                total = np.float32(0)
                for n in range(taps.shape[1]):
                    total += taps[row, n] * source[a, b, start[row] + n]
                out[a, b, row] = total
