"""Linear resampling between grids whose axes are parallel, as one banded matrix per axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

_BLOCK_ROWS = 16
_EDGE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class AxisWeights:
    """How the samples of one target axis are made from those of one source axis.

    ``matrix`` has shape (n_target, n_source), float32; rows sum to 1, or to 0 where ``inside`` is False because the
    target centre lies more than half a source voxel beyond the outer source centres.
    """

    matrix: NDArray[np.float32]
    inside: NDArray[np.bool_]

    def band(self, rows: slice) -> slice:
        """Smallest range of source samples that these target rows use; empty where they use none."""
        used = np.flatnonzero(self.matrix[rows].any(axis=0))
        return slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)


def axis_weights(centres: NDArray[np.float64], n_source: int, sigma: float) -> AxisWeights:
    """Weights that smooth with a discrete Gaussian of ``sigma`` source voxels, then interpolate linearly.

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
    The kernel is the discrete Gaussian ``exp(-t) I_n(t)``, ``t = sigma²`` [1]_, whose variance is exactly ``t`` however
    small ``t`` is, which a sampled Gaussian does not achieve. It is symmetric, so a linear ramp stays linear; near the
    border the weights that remain are scaled to sum to 1, so a constant stays constant. Centres up to half a voxel
    beyond the outer source centres, inside the source's box, take the value at the border.

    References
    ----------
    .. [1] Lindeberg T. Scale-space for discrete signals. IEEE TPAMI 1990. https://doi.org/10.1109/34.49051
    """
    centres = np.round(centres, 9)
    inside = (centres >= -0.5 - _EDGE_TOLERANCE) & (centres <= n_source - 0.5 + _EDGE_TOLERANCE)
    clamped = np.clip(centres, 0, n_source - 1)
    base = np.floor(clamped).astype(np.int64)
    fraction = (clamped - base)[:, None]
    radius = kernel_radius(sigma)
    offsets = np.arange(-radius, radius + 2)
    gaussian = ive(np.abs(offsets), sigma**2)
    shifted = ive(np.abs(offsets - 1), sigma**2)
    taps = (1 - fraction) * gaussian + fraction * shifted
    columns = base[:, None] + offsets
    taps *= (columns >= 0) & (columns < n_source) & inside[:, None]
    total = taps.sum(axis=1, keepdims=True)
    taps /= np.where(total > 0, total, 1)
    matrix = np.zeros((len(centres), n_source), dtype=np.float32)
    rows, picks = np.nonzero(taps)
    matrix[rows, columns[rows, picks]] = taps[rows, picks]
    return AxisWeights(matrix, inside)


def kernel_radius(sigma: float) -> int:
    """Reach of the discrete Gaussian in voxels; what lies beyond weighs less than 1e-5."""
    return int(np.ceil(4 * sigma + 2)) if sigma > 0 else 0


def apply_weights(array: NDArray[Any], weights: Sequence[AxisWeights], *, outside: float) -> NDArray[np.float32]:
    """Apply one matrix per array axis; target samples outside on any axis get the value ``outside``.

    Works through the array in slabs along its slowest axis in memory, and turns only the part of a slab that the target
    needs into float32. Beside the result, which has the memory order of the input, it takes a few slabs.
    """
    order = np.argsort([-abs(stride) for stride in array.strides], kind="stable")
    source = array.transpose(order)
    slow, middle, fast = (weights[axis] for axis in order)
    out = np.empty((len(slow.matrix), len(middle.matrix), len(fast.matrix)), dtype=np.float32)
    middle_band, fast_band = middle.band(slice(None)), fast.band(slice(None))
    for start in range(0, len(out), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        band = slow.band(rows)
        slab = np.asarray(source[band, middle_band, fast_band], dtype=np.float32, order="C")
        mixed = slow.matrix[rows, band] @ slab.reshape(len(slab), -1)
        mixed = _mix_middle(middle, middle_band, mixed.reshape(-1, *slab.shape[1:]))
        _mix_fast(fast, fast_band, mixed, out=out[rows])
    for axis, axis_weight in enumerate((slow, middle, fast)):
        np.moveaxis(out, axis, 0)[~axis_weight.inside] = outside
    return out.transpose(np.argsort(order))


def _mix_middle(weights: AxisWeights, crop: slice, array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply weights along axis 1 of an array that holds the source samples ``crop`` only, block by block."""
    out = np.zeros((array.shape[0], len(weights.matrix), array.shape[2]), dtype=np.float32)
    for start in range(0, out.shape[1], 2 * _BLOCK_ROWS):
        rows = slice(start, start + 2 * _BLOCK_ROWS)
        band = weights.band(rows)
        local = slice(band.start - crop.start, band.stop - crop.start)
        np.matmul(weights.matrix[rows, band], array[:, local], out=out[:, rows])
    return out


def _mix_fast(weights: AxisWeights, crop: slice, array: NDArray[np.float32], *, out: NDArray[np.float32]) -> None:
    """Apply weights along the last axis of an array that holds the source samples ``crop`` only, block by block."""
    for start in range(0, out.shape[2], 4 * _BLOCK_ROWS):
        rows = slice(start, start + 4 * _BLOCK_ROWS)
        band = weights.band(rows)
        local = slice(band.start - crop.start, band.stop - crop.start)
        np.matmul(array[:, :, local], weights.matrix[rows, band].T, out=out[:, :, rows])
