"""Cubes about a lesion, for networks that say what it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.resample import resample_volume


def cube_grid(region: NDArray[np.bool_], grid: Grid, *, side: int, edge_mm: float) -> Grid:
    """Grid of a cube about the middle of a lesion, whose axes run to the patient's left, posterior and superior.

    Parameters
    ----------
    region
        Voxels of the lesion.
    grid
        Where they lie.
    side, edge_mm
        Voxels along each edge of the cube, and the edge of a voxel.

    Raises
    ------
    InputError
        If the lesion has no voxel.

    Examples
    --------
    >>> region = np.zeros((6, 6, 3), dtype=bool)
    >>> region[2:4, 2, 1] = True
    >>> cube_grid(region, Grid.from_spacing((6, 6, 3), (1.0, 1.0, 4.0)), side=4, edge_mm=2.0).describe()
    '4×4×4 voxels of (2, 2, 2) mm from (-0.5, -1, 1) mm'
    """
    if not region.any():
        raise InputError("a lesion without voxels has no cube", expected="a mask with one voxel or more")
    centre = grid.to_xyz_mm(np.argwhere(region)).mean(axis=0)
    origin = centre - edge_mm * (side - 1) / 2
    return Grid.from_spacing(
        (side,) * 3,
        (edge_mm,) * 3,
        origin_mm=origin.tolist(),
        frame_of_reference_uid=grid.frame_of_reference_uid,
    )


def cut_cube(images: Sequence[Volume], region: NDArray[np.bool_], *, side: int, edge_mm: float) -> NDArray[np.float32]:
    """Cut a cube about a lesion out of its images.

    Parameters
    ----------
    images
        On one grid, that of the lesion; 0 beyond it.
    region
        Voxels of the lesion.
    side, edge_mm
        As for `cube_grid`.

    Returns
    -------
    Float32, shape (n_images + 1, side, side, side): the images, then the share of each voxel that is lesion.
    """
    grid = images[0].grid
    cube = cube_grid(region, grid, side=side, edge_mm=edge_mm)
    mask = Volume(region.astype(np.float32), grid, Modality.MR, Unit.ONE)
    return np.stack([resample_volume(image, cube, outside=0.0).array for image in (*images, mask)]).astype(np.float32)
