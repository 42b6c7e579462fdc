"""What a network sees of a scan: the same in training and in inference."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from osteomet.core.classifier import ScaledChannel
from osteomet.core.grid import Grid
from osteomet.core.model import IntensityWindow
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Volume
from osteomet.image.intensity import relative_signal, window
from osteomet.image.resample import covered_by, resample_volume

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


@dataclass(frozen=True, slots=True, eq=False)
class SequenceImage:
    """One MR sequence on the grid of a network, shape (i, j, k).

    ``signal`` is in units of the gain of the whole image (`osteomet.image.intensity.signal_gain`), ``covered`` tells
    which voxels the sequence shows.
    """

    signal: NDArray[np.floating[Any]]
    covered: NDArray[np.bool_]

    @classmethod
    def on_grid(cls, volume: Volume, grid: Grid, gain: float) -> Self:
        """Resample a sequence that lies in its place in the patient."""
        signal = resample_volume(volume, grid, outside=0.0).array / np.float32(gain)
        return cls(signal, covered_by(volume.grid, grid))


def sequence_inputs(
    images: Sequence[SequenceImage | None], shape: tuple[int, int, int], bones: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Stack for each input its image and where it was taken, then, if given, the bones.

    Parameters
    ----------
    images
        One for each input; None where the study lacks it.
    shape
        Of the grid.
    bones
        As for `network_inputs`.

    Returns
    -------
    Float32, shape (channels, i, j, k). A missing sequence, and any beyond its field of view, is `OUTSIDE` in both of
    its channels: an image without signal that says that it is none.

    Examples
    --------
    >>> image = SequenceImage(np.array([[[0.0, 3.0, 1.0]]]), np.array([[[True, True, False]]]))
    >>> sequence_inputs([None, image], (1, 1, 3), None)[:, 0, 0].tolist()
    [[-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0], [-1.0, 0.5, -1.0], [1.0, 1.0, -1.0]]
    """
    inputs = np.full((2 * len(images) + (bones is not None), *shape), OUTSIDE, dtype=np.float32)
    for place, image in enumerate(images):
        if image is not None:
            inputs[2 * place] = np.where(image.covered, relative_signal(image.signal, 1.0), OUTSIDE)
            inputs[2 * place + 1] = np.where(image.covered, 1.0, OUTSIDE)
    if bones is not None:
        inputs[-1] = np.where(bones, 1.0, OUTSIDE)
    return inputs


def fill_inputs(
    sequences: Sequence[Sequence[SequenceRole]], present: Collection[SequenceRole]
) -> tuple[SequenceRole | None, ...]:
    """Role that fills each input: the first of its roles that a study has, None where it has none.

    Examples
    --------
    >>> wanted = [(SequenceRole.T2, SequenceRole.STIR), (SequenceRole.T1,)]
    >>> [role and role.value for role in fill_inputs(wanted, {SequenceRole.STIR})]
    ['STIR', None]
    """
    return tuple(next((role for role in roles if role in present), None) for roles in sequences)
