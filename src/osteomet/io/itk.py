"""Images through SimpleITK: between its objects and ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError, OutputError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Volume
from osteomet.io.stored import COMPRESSION_LEVEL, check_single_image, damaged


def read_itk(path: Path, *, image_io: str) -> tuple[NDArray[Any], Grid]:
    """Read one 3D image with the named ITK reader.

    Returns
    -------
    array
        Shape (i, j, k), or (i, j, k, components) where a voxel holds several numbers.
    grid
        Its grid; ITK works in LPS mm and voxel centres as we do.
    """
    try:
        image: Any = sitk.ReadImage(str(path), imageIO=image_io)
    except RuntimeError as error:
        reason = _reason(error, path)
        if "spacing" in reason or "direction" in reason:
            raise GeometryError(
                "the header states a geometry that no image can have",
                got=reason,
                remedy="export the image again with its true geometry",
            ) from error
        raise damaged(image_io.removesuffix("IO"), reason=reason) from error
    shape = check_single_image(image.GetSize())
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image)
    return array.transpose(2, 1, 0, *range(3, array.ndim)), Grid(shape, affine)


def to_itk(image: Volume | LabelMap) -> Any:
    """SimpleITK image of the same voxels in the same place."""
    affine = image.grid.affine[:3, :3]
    spacing = np.linalg.norm(affine, axis=0)
    result: Any = sitk.GetImageFromArray(image.array.T)
    result.SetSpacing(spacing.tolist())
    result.SetDirection((affine / spacing).ravel().tolist())
    result.SetOrigin(image.grid.origin_mm)
    return result


def write_itk(image: Any, path: Path) -> None:
    """Write a SimpleITK image by suffix, compressed."""
    try:
        sitk.WriteImage(image, str(path), True, COMPRESSION_LEVEL)
    except RuntimeError as error:
        raise OutputError(
            "the file could not be written",
            expected="space and permission to write",
            got=_reason(error, path),
            remedy="free space, or write elsewhere",
        ) from error


def _reason(error: Exception, path: Path) -> str:
    """Reason as ITK gives it, on one line, without where in ITK and in which folder."""
    text = str(error).rpartition("ERROR:")[2].replace(str(path), path.name)
    return " ".join(re.sub(r"\w+\(0x\w+\):", "", text).split())
