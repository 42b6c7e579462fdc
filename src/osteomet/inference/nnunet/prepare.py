"""From the images of a case to what a network of nnU-Net sees: turned, cropped, normalised, resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from osteomet.core.grid import Grid
from osteomet.core.model import InputChannel, NnunetPart
from osteomet.core.volume import LabelMap, Volume
from osteomet.image.components import bounding_box
from osteomet.inference.nnunet.resampling import Spacing, Triple, resample, resample_labels, resampled_shape

_LEAST = 1e-8
"""Smallest number that an image is divided by."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How array axes are rearranged: axis ``order[n]`` becomes axis n, then those of ``flips`` are reversed."""

    order: Triple
    flips: tuple[int, ...]

    @classmethod
    def between(cls, grid: Grid, orientation: Literal["stored", "RAS"], axes: Triple) -> Turn:
        """Turn of an array [i, j, k] to the axes of a network (`osteomet.core.model.NnunetPart`)."""
        order: tuple[int, ...] = (0, 1, 2)
        flips = [False] * 3
        if orientation == "RAS":
            direction = grid.direction
            order = max(permutations(range(3)), key=lambda p: sum(abs(direction[n, p[n]]) for n in range(3)))
            # Columns are LPS: the first two must point against it to run to the right and the front.
            flips = [bool(direction[n, order[n]] * (1 if n == 2 else -1) < 0) for n in range(3)]
        a, b, c = (order[2 - axis] for axis in axes)
        return cls((a, b, c), tuple(n for n, axis in enumerate(axes) if flips[2 - axis]))

    def there(self, array: NDArray[Any]) -> NDArray[Any]:
        """Turn an array; a view."""
        return np.flip(array.transpose(self.order), self.flips)

    def back(self, array: NDArray[Any]) -> NDArray[Any]:
        """Undo `there`; a view."""
        return np.flip(array, self.flips).transpose(np.argsort(self.order))


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What a network sees, and what it takes to bring its answer back.

    Parameters
    ----------
    image
        Float32, shape (channels, a, b, c), on the grid of the network.
    turn
        From the array of the scan to the axes of the network.
    shape
        Of the turned array.
    box
        Part of the turned array that was kept.
    source_mm, target_mm
        Spacing along the axes of the network, before and after resampling.
    """

    image: NDArray[np.float32]
    turn: Turn
    shape: Triple
    box: tuple[slice, slice, slice]
    source_mm: Spacing
    target_mm: Spacing

    @property
    def box_shape(self) -> Triple:
        """Size of the part that was kept."""
        a, b, c = (side.stop - side.start for side in self.box)
        return a, b, c


def prepare_case(volumes: Sequence[Volume], part: NnunetPart, before: LabelMap | None = None) -> Prepared:
    """Prepare the images of a case, one for each channel, all on one grid.

    ``before`` is what the first stage of a cascade said, on the same grid.

    Notes
    -----
    The steps and their order are those of nnU-Net's default preprocessor: the box that holds every voxel which is not 0
    in all images is cut out, each image is normalised, and only then resampled, so that the zeros about a masked image
    stay what they are. An image of zeros alone is kept whole.
    """
    grid = volumes[0].grid
    turn = Turn.between(grid, part.orientation, part.axes)
    spacing = np.linalg.norm(grid.affine[:3, :3], axis=0)
    first, second, third = (float(spacing[axis]) for axis in turn.order)
    source_mm = (first, second, third)
    target_mm = (part.spacing_mm[0] or first, part.spacing_mm[1], part.spacing_mm[2])
    turned = [turn.there(volume.array) for volume in volumes]
    nonzero = _nonzero(turned)
    a, b, c = nonzero.shape
    box = bounding_box(nonzero) or (slice(0, a), slice(0, b), slice(0, c))
    inside = nonzero[box]
    shape = resampled_shape(inside.shape, source_mm, target_mm)
    n_labels = 0 if part.first is None else len(part.values) - 1
    image = np.empty((len(volumes) + n_labels, *shape), dtype=np.float32)
    for target, values, channel in zip(image[: len(volumes)], turned, part.channels, strict=True):
        scaled = normalise(values[box].astype(np.float32), inside, channel)
        target[...] = resample(scaled, shape, source_mm, target_mm, part.image_rule)
    if part.first is not None:
        assert before is not None
        said, rule = turn.there(before.array)[box], part.first.label_rule
        labels = resample_labels(said, shape, source_mm, target_mm, rule, n_labels=len(part.values))
        image[len(volumes) :] = [labels == label for label in part.values[1:]]
    return Prepared(image, turn, (a, b, c), box, source_mm, target_mm)


def normalise(values: NDArray[np.float32], inside: NDArray[np.bool_], channel: InputChannel) -> NDArray[np.float32]:
    """Scale an image in place, as `osteomet.core.model.InputChannel` says, and return it.

    Parameters
    ----------
    values
        Image, of any shape.
    inside
        Its nonzero region, holes filled, of the same shape.

    Examples
    --------
    >>> channel = InputChannel("T1", "ZScore", masked=True, statistics=None)
    >>> inside = np.array([False, True, True])
    >>> normalise(np.array([0, 2, 4], dtype=np.float32), inside, channel).tolist()
    [0.0, -1.0, 1.0]
    """
    if channel.scheme == "CT":
        assert channel.statistics is not None
        s = channel.statistics
        np.clip(values, s.low, s.high, out=values)
        values -= s.mean
        values /= max(s.std, _LEAST)
    elif channel.scheme == "ZScore":
        where = inside if channel.masked else np.ones_like(inside)
        chosen = values[where]
        values[where] = (chosen - chosen.mean()) / max(chosen.std(), _LEAST)
    elif channel.scheme == "RescaleTo01":
        values -= values.min()
        values /= max(values.max(), _LEAST)
    return values


def _nonzero(images: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Where any image is not 0, and what that encloses."""
    mask = images[0] != 0
    for image in images[1:]:
        mask |= image != 0
    return np.asarray(binary_fill_holes(mask))
