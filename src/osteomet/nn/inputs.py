"""What a network sees of a scan: the same in training and in inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.classifier import ScaledChannel
from osteomet.core.model import IntensityWindow
from osteomet.image.intensity import window

OUTSIDE = -1.0
"""Value of every input channel beyond the image."""
_MOST_DEVIATIONS = 5.0


def network_inputs(
    values: NDArray[Any], windows: Sequence[IntensityWindow], bones: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Stack the image through each window and, if given, the bones.

    A wide window tells bone from metal, a narrow one lysis from marrow: a few hundredths of the wide one apart.

    Parameters
    ----------
    values
        Image (HU on CT), shape (i, j, k).
    windows
        Each gives a channel of −1 … 1.
    bones
        Voxels of bone, shape (i, j, k): a channel of 1 in bone, −1 elsewhere. None: the network does not see them.

    Returns
    -------
    Float32, shape (channels, i, j, k).

    Examples
    --------
    >>> windows = [IntensityWindow(-1000, 1000), IntensityWindow(0, 100)]
    >>> network_inputs(np.array([[[0, 500]]]), windows, np.array([[[True, False]]]))[:, 0, 0].tolist()
    [[0.0, 0.5], [-1.0, 1.0], [1.0, -1.0]]
    """
    inputs = np.empty((len(windows) + (bones is not None), *values.shape), dtype=np.float32)
    for channel, one in zip(inputs, windows, strict=False):
        channel[...] = window(values, one.low, one.high)
    if bones is not None:
        inputs[-1] = np.where(bones, 1.0, OUTSIDE)
    return inputs


def cube_inputs(cubes: NDArray[np.float32], channels: Sequence[ScaledChannel]) -> NDArray[np.float32]:
    """Standardise cubes for a classifier; values beyond five standard deviations become five.

    Parameters
    ----------
    cubes
        Shape (n, channels + 1, i, j, k); the last input is the mask of the lesion and stays as it is.
    channels
        Mean and standard deviation of each of the others.

    Examples
    --------
    >>> cube = np.array([3.0, 100.0, 1.0], dtype=np.float32).reshape(1, 3, 1, 1, 1)
    >>> cube_inputs(cube, [ScaledChannel("peak", 1.0, 4.0), ScaledChannel("area", 0.0, 1.0)]).ravel().tolist()
    [0.5, 5.0, 1.0]
    """
    centre = np.array([channel.centre for channel in channels], dtype=np.float32)[:, None, None, None]
    scale = np.array([channel.scale for channel in channels], dtype=np.float32)[:, None, None, None]
    inputs = cubes.copy()
    inputs[:, :-1] = np.clip((cubes[:, :-1] - centre) / scale, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    return inputs
