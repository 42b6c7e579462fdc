"""Curved planar reformation: the spine resampled along its canal, so that it stands upright."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from osteomet.core.exam_map import Straighten
from osteomet.core.grid import Grid
from osteomet.core.volume import Volume
from osteomet.image.centreline import Centreline
from osteomet.image.index_map import IndexMap
from osteomet.image.resample import sample_linear

_STEP_MM = 1.0


def straight_grid(line: Centreline, view: Grid, step: Straighten) -> Grid:
    """Grid of the map in straight coordinates, axes (planes, columns, rows): left, posterior, superior.

    Its middle row lies at the middle of what the field of view ``view`` shows of the line, in whole steps of the
    line's own middle, so that two sequences of one patient get the same lattice.
    """
    middle = line.knots_mm[line.middle]
    reach = np.arange(-line.length_mm / 2, line.length_mm / 2, _STEP_MM)
    ijk = view.to_ijk(line.to_source_xyz_mm(middle + reach[:, None] * [0.0, 0.0, 1.0]))
    shown = reach[((ijk > -0.5) & (ijk < np.array(view.shape) - 0.5)).all(axis=1)]
    centre = (shown[0] + shown[-1]) / 2 if len(shown) else 0.0
    first = np.array(
        [
            -step.plane_spacing_mm * (step.planes - 1) / 2,
            -step.front_mm,
            round(centre / step.spacing_mm) * step.spacing_mm - step.spacing_mm * (step.rows - 1) / 2,
        ]
    )
    spacing = (step.plane_spacing_mm, step.spacing_mm, step.spacing_mm)
    return Grid.from_spacing((step.planes, step.columns, step.rows), spacing, origin_mm=middle + first)


def straighten_volume(volume: Volume, line: Centreline, grid: Grid, *, outside: float) -> Volume:
    """Resample an image of the patient onto a grid of straight coordinates.

    Parameters
    ----------
    volume
        The image.
    line
        Line along the spine.
    grid
        Where the result lies, in straight coordinates (`Centreline`).
    outside
        Value where the image shows nothing, or where planes across a bend of the line overlap.

    Returns
    -------
    Image on ``grid``, float32.

    Notes
    -----
    Where the target is coarser than the image, the image is smoothed first as in `resample_volume`, for a target
    along the patient's axes: a spine tilts by less than what that would matter for. A constant stays constant.
    """
    sigmas = IndexMap.between(volume.grid, grid).sigmas()
    smooth = gaussian_filter(volume.array.astype(np.float32), sigmas, mode="nearest")
    ijk, is_shown = _look_up(line, grid, volume.grid)
    values = np.where(is_shown, sample_linear(smooth, ijk), np.float32(outside))
    return Volume(values.astype(np.float32), grid, volume.modality, volume.unit)


def shown_in(line: Centreline, grid: Grid, view: Grid) -> NDArray[np.bool_]:
    """Which voxels of a grid of straight coordinates a field of view shows, once each."""
    return _look_up(line, grid, view)[1]


def _look_up(line: Centreline, grid: Grid, source: Grid) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Index into the source of each voxel of a straight grid, and whether the source shows it."""
    straight = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    ijk = source.to_ijk(line.to_source_xyz_mm(straight))
    inside = ((ijk >= -0.5) & (ijk <= np.array(source.shape) - 0.5)).all(axis=-1)
    return ijk, inside & (line.stretch(straight) > 0)
