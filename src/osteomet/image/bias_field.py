"""Slow changes of brightness across an MR image, estimated and divided out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK

from osteomet.core.volume import Volume

sitk: Any = SimpleITK  # most of its calls carry no types

_FEWEST_VOXELS = 4
_BINS = 128


def correct_bias(volume: Volume, *, iterations: Sequence[int], shrink: int) -> Volume:
    """Divide an image by the smooth field that N4 finds in what is brighter than air.

    Parameters
    ----------
    volume
        MR image, 0 and above.
    iterations
        Rounds at each level of the field's splines, coarse to fine.
    shrink
        How many voxels along each axis become one while the field is sought; fewer along a short axis.

    Returns
    -------
    Image on the same grid, float32, with the mean that it had. An image of one value stays as it is.

    References
    ----------
    Tustison N.J. et al. N4ITK: improved N3 bias correction. https://doi.org/10.1109/TMI.2010.2046908
    Otsu N. A threshold selection method from gray-level histograms. https://doi.org/10.1109/TSMC.1979.4310076
    """
    low, high = float(volume.array.min()), float(volume.array.max())
    if low == high:
        return volume
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T, dtype=np.float32) - min(low, 0.0))
    image.SetSpacing(volume.grid.spacing_mm)
    body = sitk.OtsuThreshold(image, 0, 1, _BINS)
    factors = [max(1, min(shrink, n // _FEWEST_VOXELS)) for n in volume.grid.shape]
    method = sitk.N4BiasFieldCorrectionImageFilter()
    method.SetMaximumNumberOfIterations(list(iterations))
    method.Execute(sitk.Shrink(image, factors), sitk.Shrink(body, factors))
    field = sitk.GetArrayFromImage(sitk.Exp(method.GetLogBiasFieldAsImage(image))).T
    corrected = volume.array / np.maximum(field, np.finfo(np.float32).tiny)
    scale = volume.array.mean(dtype=np.float64) / corrected.mean(dtype=np.float64)
    return volume.with_array((corrected * scale).astype(np.float32))
