"""Rigid registration of two images of one patient."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import Volume

sitk: Any = SimpleITK  # most of its calls carry no types
_BINS = 32
_SHARE = 0.3
_ITERATIONS = 120
_FEWEST_VOXELS = 8


def register_rigid(fixed: Volume, moving: Volume) -> NDArray[np.float64]:
    """Find the motion between two images by mutual information, from no motion.

    Parameters
    ----------
    fixed, moving
        Images that overlap, of like or unlike contrast, at least eight voxels along each axis.

    Returns
    -------
    Matrix (4, 4) that takes a point of ``fixed`` to its place in ``moving``, LPS mm.

    Raises
    ------
    InputError
        If an image is too small or constant.

    Notes
    -----
    A regular third of the voxels is looked at, on half the resolution first. Motions of up to about a tenth of the
    image are found; the result is the same on every run. Where a part of the picture enhances, the optimum is drawn
    aside by up to a quarter of a voxel: smaller motions cannot be told from none.
    """
    for name, volume in (("fixed", fixed), ("moving", moving)):
        if min(volume.grid.shape) < _FEWEST_VOXELS or volume.array.min() == volume.array.max():
            raise InputError(
                f"the {name} image cannot be registered",
                expected=f"{_FEWEST_VOXELS} voxels or more along each axis, of more than one value",
                got=volume.grid.describe(),
            )
    target, source = _to_itk(fixed), _to_itk(moving)
    start = sitk.CenteredTransformInitializer(
        target, source, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    start.SetTranslation((0.0, 0.0, 0.0))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SHARE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, _ITERATIONS, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1.0, 0.0])
    method.SetInitialTransform(start, inPlace=True)
    method.SetNumberOfThreads(1)
    method.Execute(target, source)
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(start.GetMatrix(), (3, 3))
    matrix[:3, 3] = start.TransformPoint((0.0, 0.0, 0.0))
    return matrix


def move_to(volume: Volume, motion: NDArray[np.float64], grid: Grid) -> Volume:
    """Image on a grid whose points ``motion`` takes to places in ``volume``; linear, 0 beyond its edge."""
    transform = sitk.AffineTransform(motion[:3, :3].ravel().tolist(), motion[:3, 3].tolist())
    like = _to_itk(Volume(np.zeros(grid.shape, dtype=np.float32), grid, volume.modality, volume.unit))
    moved = sitk.Resample(_to_itk(volume), like, transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    return Volume(np.ascontiguousarray(sitk.GetArrayFromImage(moved).T), grid, volume.modality, volume.unit)


def _to_itk(volume: Volume) -> Any:
    """SimpleITK image of float32 in the same place."""
    image = sitk.GetImageFromArray(volume.array.T.astype(np.float32))
    image.SetSpacing(volume.grid.spacing_mm)
    image.SetDirection(volume.grid.direction.ravel().tolist())
    image.SetOrigin(volume.grid.origin_mm)
    return image
