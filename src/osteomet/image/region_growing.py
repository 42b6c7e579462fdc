"""Seeded region growing of an enhancing lesion from an outline on one sagittal slice.

References
----------
Wang H. et al. 2024 (`wangh2024`), section 2.3 and figure 1: the steps, without their numbers.
Adams R., Bischof L. 1994. Seeded region growing. https://doi.org/10.1109/34.295913
Otsu N. 1979. A threshold selection method from gray-level histograms. https://doi.org/10.1109/TSMC.1979.4310076
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label
from skimage.filters import threshold_multiotsu

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Volume

_LEFT_RIGHT, _HEAD_FEET = 0, 2
_EIGHT = np.ones((3, 3), dtype=np.uint8)
_ALL = np.ones((3, 3, 3), dtype=np.uint8)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GrowingSettings:
    """How a lesion grows out of its outline.

    Parameters
    ----------
    search_factor
        Area of the square that is searched in a slice, in squares over the longer side of the outline there.
    smooth_mm
        Standard deviation of the Gaussian that takes the noise off before the slice is divided.
    n_classes
        Classes of enhancement; connected pixels of one class are a partition.
    least_touch
        Share of the outline in a slice that must lie in a partition for it to be kept.
    least_share
        Enhancement that a voxel needs to be lesion in the end, as a share of that of the brightest one.
    """

    search_factor: float = 5.0
    smooth_mm: float = 1.0
    n_classes: int = 3
    least_touch: float = 0.2
    least_share: float = 0.5


def sagittal_outline(lesion: LabelMap, *, thickness_mm: float) -> Mask:
    """Section of a lesion where it is largest on a sagittal slice so thick; all False where there is no lesion."""
    inside = lesion.array > 0
    axis = _axis(lesion.grid, _LEFT_RIGHT)
    area = np.count_nonzero(inside, axis=tuple({0, 1, 2} - {axis}))
    middle, half = int(area.argmax()), thickness_mm / lesion.grid.spacing_mm[axis] / 2
    place = np.arange(len(area)) - middle
    shape = [1, 1, 1]
    shape[axis] = len(area)
    return np.asarray(inside & (np.abs(place) <= half).reshape(shape))


def grow_region(enhancement: Volume, outline: Mask, settings: GrowingSettings = GrowingSettings()) -> Mask:
    """Segment the lesion that an outline lies in.

    In each axial slice that the outline reaches a square around it is divided into partitions of alike enhancement,
    and those that the outline lies in are kept. Partitions of all slices are fused, and within them the lesion grows
    from its brightest voxel to all connected ones that enhance enough.

    Parameters
    ----------
    enhancement
        How much each voxel enhances (`osteomet.image.dynamic.strongest_enhancement`).
    outline
        Where the lesion was drawn on one sagittal slice, shape of the grid.

    Returns
    -------
    Mask, shape of the grid; all False for an empty outline.

    Raises
    ------
    InputError
        If the outline has another shape.
    """
    if outline.shape != enhancement.grid.shape:
        raise InputError(
            "an outline and its image differ in shape", expected=str(enhancement.grid.shape), got=str(outline.shape)
        )
    axis = _axis(enhancement.grid, _HEAD_FEET)
    spacing = np.delete(np.array(enhancement.grid.spacing_mm), axis)
    slices, drawn = np.moveaxis(enhancement.array, axis, 0).astype(np.float32), np.moveaxis(outline, axis, 0)
    smooth = gaussian_filter(slices, (0.0, *(settings.smooth_mm / spacing)))
    kept = np.stack([_partitions(s, d, spacing, settings) for s, d in zip(smooth, drawn, strict=True)])
    return np.moveaxis(_grown(smooth, kept, drawn, settings.least_share), 0, axis)


def _partitions(image: NDArray[Any], drawn: Mask, spacing: NDArray[np.float64], settings: GrowingSettings) -> Mask:
    """Partitions of one slice that the outline lies in."""
    kept = np.zeros(image.shape, dtype=bool)
    if not drawn.any():
        return kept
    places = np.argwhere(drawn)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    half_mm = np.sqrt(settings.search_factor) * float(((high - low) * spacing).max()) / 2
    reach = np.ceil(half_mm / spacing).astype(int)
    middle = (low + high) // 2
    window = tuple(slice(max(0, m - r), m + r + 1) for m, r in zip(middle, reach, strict=True))
    part, mine = image[window], drawn[window]
    classes = np.digitize(part, _limits(part, settings.n_classes))
    for number in np.unique(classes[mine]):
        parts, n = label(classes == number, _EIGHT)
        touched = np.bincount(parts[mine], minlength=n + 1) >= settings.least_touch * np.count_nonzero(mine)
        touched[0] = False
        kept[window] |= touched[parts]
    return kept


def _limits(values: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Otsu's limits between classes; where there are no more values than classes, each value is a class."""
    found = np.unique(values)
    if len(found) <= n_classes:
        return found[1:]
    return np.asarray(threshold_multiotsu(values, n_classes))  # type: ignore[no-untyped-call]


def _grown(image: NDArray[Any], kept: Mask, drawn: Mask, least_share: float) -> Mask:
    """Voxels of the fused partitions that enhance enough, and hang together with the brightest one of the outline."""
    seeds = kept & drawn
    if not seeds.any():
        return np.zeros(kept.shape, dtype=bool)
    start = np.unravel_index(int(np.where(seeds, image, -np.inf).argmax()), image.shape)
    parts, _ = label(kept & (image >= least_share * image[start]), _ALL)
    return np.asarray(parts == parts[start])


def _axis(grid: Grid, patient_axis: int) -> int:
    """Array axis nearest to an axis of the patient."""
    return int(np.abs(grid.direction[patient_axis]).argmax())
