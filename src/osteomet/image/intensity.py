"""Intensity scalings that networks and recipes use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.exposure import equalize_adapthist

from osteomet.core.errors import InputError, UsageError


def window(array: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Clip to ``low`` … ``high`` (image unit, HU on CT) and scale linearly to −1 … 1.

    Absolute values are kept: the same HU gives the same result in every scan.

    Raises
    ------
    UsageError
        If ``high`` is not above ``low``.

    Examples
    --------
    >>> window(np.array([-2000, -1000, 0, 500, 1000, 3000]), -1000, 1000).tolist()
    [-1.0, -1.0, 0.0, 0.5, 1.0, 1.0]
    """
    if not high > low:
        raise UsageError("an intensity window needs a high end above its low end", got=f"{low} … {high}")
    scaled = np.array(array, dtype=np.float32)
    np.clip(scaled, low, high, out=scaled)
    scaled -= (low + high) / 2
    scaled /= (high - low) / 2
    return scaled


def to_0_255(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale so that the smallest value becomes 0 and the largest 255, rounded to integers.

    A constant array becomes 0 everywhere.

    References
    ----------
    The min–max scaling of Kim et al. 2024 (`kim2024`).

    Examples
    --------
    >>> to_0_255(np.array([100.0, 120.0, 300.0])).tolist()
    [0, 26, 255]
    """
    low, high = float(array.min()), float(array.max())
    if low == high:
        return np.zeros(array.shape, dtype=np.uint8)
    scaled = np.array(array, dtype=np.float32)
    scaled -= low
    scaled *= 255 / (high - low)
    np.rint(scaled, out=scaled)
    return scaled.astype(np.uint8)


def z_score(array: NDArray[Any], mask: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """Subtract the mean and divide by the standard deviation (of the population: divided by n).

    Parameters
    ----------
    array
        Image values, any shape.
    mask
        Voxels whose mean and standard deviation are taken, same shape; all voxels by default. Every voxel is scaled.

    Returns
    -------
    float32 array of the same shape; 0 everywhere when the voxels that count are all alike.

    Raises
    ------
    InputError
        If the mask is empty.

    References
    ----------
    The z-score of Liu et al. 2021 (https://doi.org/10.3389/fonc.2021.773299).

    Examples
    --------
    >>> z_score(np.array([1.0, 3.0])).tolist()
    [-1.0, 1.0]
    """
    sample = array if mask is None else array[mask]
    if not sample.size:
        raise InputError("a z-score needs at least one voxel to take mean and spread from", got="an empty mask")
    mean, deviation = float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64))
    if deviation == 0:
        return np.zeros(array.shape, dtype=np.float32)
    scaled = np.array(array, dtype=np.float32)
    scaled -= mean
    scaled /= deviation
    return scaled


def clahe(array: NDArray[np.uint8], *, n_tiles: int = 8, clip_limit: float = 0.01) -> NDArray[np.uint8]:
    """Contrast-limited adaptive histogram equalisation of each slice along the last axis.

    Parameters
    ----------
    array
        Values 0–255 as from `to_0_255`, shape (i, j, k).
    n_tiles
        Tiles along each in-plane axis; each has its own histogram of 256 bins, and neighbouring ones are blended.
    clip_limit
        Largest share of a tile's pixels that a bin may hold; what exceeds it is spread over all bins. 1 clips nothing.

    Returns
    -------
    Values of the same shape. Every slice spans 0–255; a constant slice stays as it is.

    Notes
    -----
    By scikit-image, slice by slice on purpose: given a stack, it takes three or four slices for the channels of a
    colour picture, and with tiles one slice thick it applies the histogram of the neighbouring slice. Where it spreads
    what was cut it may hand out up to one pixel too many to each bin, so a tile should hold several hundred pixels
    (784 for a slice of 224 × 224), or its brightest values saturate. Eight tiles and a limit of 0.01 are its defaults;
    Kim et al. 2024 (`kim2024`) state neither.

    References
    ----------
    Zuiderveld K. Contrast limited adaptive histogram equalization. Graphics Gems IV, 1994.
    https://doi.org/10.1016/B978-0-12-336156-1.50061-6
    """
    tile = tuple(max(1, -(-n // n_tiles)) for n in array.shape[:2])
    out = array.copy()
    for k in range(array.shape[2]):
        if array[:, :, k].min() < array[:, :, k].max():
            equalised = equalize_adapthist(array[:, :, k], kernel_size=tile, clip_limit=clip_limit, nbins=256)
            out[:, :, k] = np.rint(equalised * 255)
    return out


def signal_gain(array: NDArray[Any]) -> float:
    """Median signal of the body on MR, the unit in which `relative_signal` counts.

    Body is what exceeds a tenth of the 99th percentile: more than the noise of air, less than most tissue.

    Parameters
    ----------
    array
        A whole MR image, any shape; 0 is no signal.

    Raises
    ------
    InputError
        If hardly any voxel has a signal.

    Notes
    -----
    MR has no unit but a true zero, so a scanner's scaling is one factor, and a landmark of the histogram finds it: the
    median is the one of Nyúl et al. that neither air nor a bright rim of fat below the coil moves much.

    References
    ----------
    Nyúl L.G., Udupa J.K. On standardizing the MR image intensity scale.
    https://doi.org/10.1002/(SICI)1522-2594(199912)42:6<1072::AID-MRM11>3.0.CO;2-M

    Examples
    --------
    >>> signal_gain(np.array([0.0, 1.0, 100.0, 200.0, 300.0]))
    200.0
    """
    bright = float(np.percentile(array, 99))
    if bright <= 0:
        raise InputError(
            "an MR image shows no signal",
            expected="more than 1 % of its voxels above 0",
            got=f"99th percentile {bright:g}",
        )
    return float(np.median(array[array > bright / 10]))


def relative_signal(array: NDArray[Any], gain: float) -> NDArray[np.float32]:
    """Map a signal on MR to −1 (none) … 1: ``(s − g) / (s + g)`` with the gain ``g``, at which it is 0.

    Parameters
    ----------
    array
        Signal; what lies below 0 counts as 0.
    gain
        Positive, from `signal_gain` of the whole image.

    Notes
    -----
    This is the hyperbolic tangent of half the logarithm of ``s / g``: a wrong gain, or the fading of a surface coil, is
    nearly a shift, and nothing is clipped at the bright end, where fat, fluid and enhancement lie.

    Examples
    --------
    >>> relative_signal(np.array([-5.0, 0.0, 100.0, 300.0]), 100.0).tolist()
    [-1.0, -1.0, 0.0, 0.5]
    """
    signal = np.maximum(np.asarray(array, dtype=np.float32), 0)
    return np.asarray((signal - np.float32(gain)) / (signal + np.float32(gain)))
