"""One level of the undecimated wavelet transform, on the part of an image that a region needs.

The image is taken to repeat beyond its borders, after a first slice has been appended along axes of odd length; signs
and shifts of the filters are those of PyWavelets, which PyRadiomics uses.

References
----------
Daubechies I. Ten lectures on wavelets. https://doi.org/10.1137/1.9781611970104
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_R2, _R3, _R7 = np.sqrt([2.0, 3.0, 7.0])
_LOW_PASS: Mapping[str, NDArray[np.float64]] = MappingProxyType(
    {
        "haar": np.array([1, 1]) / _R2,
        "db2": np.array([1 - _R3, 3 - _R3, 3 + _R3, 1 + _R3]) / (4 * _R2),
        "coif1": np.array([_R7 - 3, 1 - _R7, 14 - 2 * _R7, 14 + 2 * _R7, 5 + _R7, 1 - _R7]) / (16 * _R2),
    }
)
"""Low-pass filter of each wavelet, whose weights sum to √2."""


def wavelet_bands_of(
    array: NDArray[Any], wavelet: str, box: tuple[slice, slice, slice]
) -> dict[str, NDArray[np.float64]]:
    """The eight bands in a box, by their passes (L or H) along the three axes.

    Parameters
    ----------
    array
        Whole image.
    wavelet
        One of ``haar``, ``db2`` and ``coif1``.
    box
        Part that is wanted.

    Returns
    -------
    Arrays of the shape of the box. In a constant image ``LLL`` is √8 times its value and the others are 0.
    """
    low = _LOW_PASS[wavelet]
    high = low[::-1] * (-1.0) ** (np.arange(len(low)) + 1)
    block = array
    for axis, wanted in enumerate(box):
        block = np.take(block, _sources(wanted, len(low), array.shape[axis]), axis=axis)
    bands = {"": block.astype(np.float64)}
    for axis in range(3):
        bands = {
            name + passed: _convolve(band, weights, axis)
            for name, band in bands.items()
            for passed, weights in (("L", low), ("H", high))
        }
    return bands


def _sources(wanted: slice, n_weights: int, n: int) -> NDArray[np.int64]:
    """Index of every voxel that bears on the wanted part of an axis of n voxels."""
    half = n_weights // 2
    index = np.arange(wanted.start - half + 1, wanted.stop + half) % (n + n % 2)
    return np.where(index == n, 0, index)


def _convolve(block: NDArray[np.float64], weights: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Weighted sums of neighbours along an axis, where all of them are there."""
    n = block.shape[axis] - len(weights) + 1
    total = np.zeros([n if a == axis else size for a, size in enumerate(block.shape)])
    for k, weight in enumerate(weights[::-1]):
        total += weight * block[tuple(slice(k, k + n) if a == axis else slice(None) for a in range(3))]
    return total
