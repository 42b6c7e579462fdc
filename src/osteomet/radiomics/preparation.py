"""What happens to image and region before features: normalisation, resampling, leaving out of outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.volume import Volume
from osteomet.image.components import bounding_box
from osteomet.radiomics.settings import RadiomicsSettings

sitk: Any = SimpleITK  # most of its calls carry no types
Box = tuple[slice, slice, slice]
_MARGIN_VOXELS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Image and region on one lattice.

    ``array`` is the whole image. ``mask`` is the region in the smallest block that holds it, ``counted`` the part of it
    whose intensities count, in its block ``box`` of the image.
    """

    array: NDArray[Any]
    mask: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    box: Box
    spacing_mm: tuple[float, float, float]


def prepare(volume: Volume, mask: NDArray[np.bool_], settings: RadiomicsSettings) -> Prepared:
    """Normalise, resample and clean as the settings say, in this order.

    Raises
    ------
    InputError
        If the mask is empty, the image is constant and is to be normalised, or no voxel is left.
    """
    array: NDArray[Any] = volume.array
    if settings.normalise_scale is not None:
        array = _normalise(array, settings.normalise_scale)
    spacing = volume.grid.spacing_mm
    if settings.spacing_mm is not None:
        array, mask, spacing = _resample(array, mask, spacing, settings.spacing_mm)
    box = _box_of(mask)
    counted = mask[box]
    if settings.within_sigmas is not None:
        counted = _without_outliers(array[box], counted, settings.within_sigmas)
    inner = _box_of(counted)
    i, j, k = (slice(b.start + c.start, b.start + c.stop) for b, c in zip(box, inner, strict=True))
    return Prepared(array, mask[box], counted[inner], (i, j, k), spacing)


def _box_of(mask: NDArray[np.bool_]) -> Box:
    """Smallest block that holds a mask."""
    box = bounding_box(mask)
    if box is None:
        raise InputError("a region without voxels has no features")
    return box


def _normalise(array: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """Image of mean 0 and the given standard deviation."""
    values = array.astype(np.float64)
    deviation = float(values.std(ddof=1)) if values.size > 1 else 0.0
    if deviation == 0:
        raise InputError(
            "a constant image cannot be normalised",
            got=f"the value {values.flat[0]:g} everywhere",
            remedy="leave out normalise_scale",
        )
    return np.asarray((values - values.mean()) / deviation * scale, dtype=np.float32)


def _without_outliers(array: NDArray[Any], mask: NDArray[np.bool_], n_sigmas: float) -> NDArray[np.bool_]:
    """Voxels of the region whose value lies within so many standard deviations of its mean."""
    values = array[mask].astype(np.float64)
    kept = np.abs(values - values.mean()) <= n_sigmas * values.std()
    if not kept.any():
        raise InputError(
            "within_sigmas leaves no voxel of the region", got=f"{n_sigmas:g}", remedy="choose a larger one"
        )
    counted = np.zeros_like(mask)
    counted[mask] = kept
    return counted


def _resample(
    array: NDArray[Any],
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    wanted_mm: tuple[float, float, float],
) -> tuple[NDArray[Any], NDArray[np.bool_], tuple[float, float, float]]:
    """Image by cubic B-splines and region by nearest neighbour, around the region only.

    The new lattice begins at the corner of the image and covers the region with a margin of five voxels. An axis along
    which the region is one voxel wide keeps its spacing. An image of whole numbers stays one: its values are cut off
    towards zero. All of this is what PyRadiomics does.
    """
    box = _box_of(mask)
    old = np.array(spacing_mm)
    low, high = np.array([b.start for b in box]), np.array([b.stop for b in box])
    new = np.where(high - low > 1, wanted_mm, old)
    if np.allclose(old, new):
        return array, mask, spacing_mm
    ratio = old / new
    first = np.maximum(np.floor((low - 0.5) * ratio - _MARGIN_VOXELS), 0)
    last = np.minimum(np.ceil((high - 0.5) * ratio + _MARGIN_VOXELS), np.ceil(array.shape * ratio) - 1)
    lattice = sitk.ResampleImageFilter()
    lattice.SetOutputSpacing(new.tolist())
    lattice.SetOutputOrigin(((new - old) / 2 + first * new).tolist())
    lattice.SetSize([int(n) for n in last - first + 1])
    image, region = _to_itk(array, old), _to_itk(mask.astype(np.uint8), old)
    lattice.SetInterpolator(sitk.sitkBSpline)
    resampled = sitk.GetArrayFromImage(lattice.Execute(image)).T
    lattice.SetInterpolator(sitk.sitkNearestNeighbor)
    kept = sitk.GetArrayFromImage(lattice.Execute(region)).T > 0
    if not kept.any():
        raise InputError(
            "spacing_mm leaves no voxel of the region", got=str(wanted_mm), remedy="choose a smaller spacing"
        )
    i, j, k = (float(s) for s in new)
    return resampled, kept, (i, j, k)


def _to_itk(array: NDArray[Any], spacing: NDArray[np.float64]) -> Any:
    """SimpleITK image with axes along x, y and z."""
    image = sitk.GetImageFromArray(array.T)
    image.SetSpacing(spacing.tolist())
    return image
