"""Resampling between grids whose axes are not parallel, by SimpleITK, block by block."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from osteomet.image.index_map import IndexMap, clipped, size_of, split, widened
from osteomet.image.separable import apply_weights, axis_weights, kernel_radius

_BLOCK_SIDES = (128, 128, 128)
sitk: Any = SimpleITK  # most of its calls carry no types


def resample_oblique(
    array: NDArray[Any],
    to_source: IndexMap,
    shape: tuple[int, int, int],
    *,
    method: Literal["linear", "nearest"],
    outside: float,
) -> NDArray[Any]:
    """Resample an array to a target of the given shape.

    ``linear`` smooths first along every source axis that gets coarser and returns float32; ``nearest`` keeps the type.
    Memory beside the result is bounded, for only the part of the source that one block of the target needs is smoothed
    and copied.
    """
    sigmas = to_source.sigmas() if method == "linear" else (0.0, 0.0, 0.0)
    margin = [2 * kernel_radius(sigma) + 1 for sigma in sigmas]
    dtype = np.float32 if method == "linear" else array.dtype
    out = np.full(shape, outside, dtype=dtype, order="F" if array.flags.f_contiguous else "C")
    for block in split(shape, _BLOCK_SIDES):
        needed = clipped(widened(to_source.reach(block), margin), array.shape)
        if 0 not in size_of(needed):
            part = _smooth(array[needed], sigmas) if any(sigmas) else array[needed]
            to_part = to_source.in_target(block).in_source(needed)
            out[block] = _resample_block(part, to_part, size_of(block), linear=method == "linear", outside=outside)
    return out


def _smooth(array: NDArray[Any], sigmas: tuple[float, float, float]) -> NDArray[np.float32]:
    """Discrete Gaussian on the same voxels."""
    weights = [
        axis_weights(np.arange(n, dtype=np.float64), n, sigma) for n, sigma in zip(array.shape, sigmas, strict=True)
    ]
    return apply_weights(array, weights, outside=0)


def _resample_block(
    array: NDArray[Any], to_source: IndexMap, shape: tuple[int, int, int], *, linear: bool, outside: float
) -> NDArray[Any]:
    """Resample in index space. SimpleITK's arrays run k, j, i; its images i, j, k."""
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(shape)
    resampler.SetTransform(sitk.AffineTransform(to_source.matrix.ravel().tolist(), to_source.offset.tolist()))
    resampler.SetInterpolator(sitk.sitkLinear if linear else sitk.sitkNearestNeighbor)
    resampler.SetOutputPixelType(sitk.sitkFloat32 if linear else sitk.sitkUnknown)
    resampler.SetDefaultPixelValue(outside)
    image = resampler.Execute(sitk.GetImageFromArray(array.transpose(2, 1, 0)))
    return np.asarray(sitk.GetArrayFromImage(image)).transpose(2, 1, 0)
