"""How the slices of a random MR exam lie: what part of the patient a sequence shows, and its voxels about a patch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.mr.geometry import Orientation, Stack, acquisition_grid

Box = NDArray[np.float64]
"""Low and high corner, LPS mm, shape (2, 3)."""

PREVIEW_MM = 8.0
"""Voxel edge of the picture of a whole field of view that its gain is taken from."""
_ORIENTATIONS = {Orientation.SAGITTAL: 0.55, Orientation.AXIAL: 0.3, Orientation.CORONAL: 0.15}
_SLICE_AXIS = {Orientation.SAGITTAL: 0, Orientation.CORONAL: 1, Orientation.AXIAL: 2}
_HALF_DEPTH_MM = {
    Orientation.SAGITTAL: (25.0, 45.0),
    Orientation.CORONAL: (30.0, 80.0),
    Orientation.AXIAL: (35.0, 150.0),
}
_HALF_PLANE_MM = (80.0, 170.0)
_OFF_CENTRE = 0.6
_SLICE_MM, _GAP_SHARE = (2.0, 6.0), (0.0, 0.25)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Plane of the slices of a sequence, and the box of the patient that it shows."""

    orientation: Orientation
    box_mm: Box


def draw_view(grid: Grid, rng: np.random.Generator) -> View:
    """Draw what a sequence shows of the patient: sagittal stacks are narrow, axial ones end above and below.

    The middle of the grid lies inside, a fifth of the box or more from its border.
    """
    orientation = list(_ORIENTATIONS)[int(rng.choice(len(_ORIENTATIONS), p=list(_ORIENTATIONS.values())))]
    half = rng.uniform(*_HALF_PLANE_MM, 3)
    half[_SLICE_AXIS[orientation]] = rng.uniform(*_HALF_DEPTH_MM[orientation])
    centre = _middle(grid) + rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 3) * half
    return View(orientation, np.array([centre - half, centre + half]))


def draw_stack(view: View, grid: Grid, pixel_mm: tuple[float, float], rng: np.random.Generator) -> Stack:
    """Plan the part of a sequence that shows a patch: slices of its thickness and gap, a little tilted.

    ``pixel_mm`` gives the limits of the pixel edge.
    """
    corners = grid.to_xyz_mm(np.array(list(product(*((-0.5, n - 0.5) for n in grid.shape)))))
    low = np.maximum(corners.min(axis=0), view.box_mm[0])
    high = np.minimum(corners.max(axis=0), view.box_mm[1])
    slice_mm = float(rng.uniform(*_SLICE_MM))
    gap_mm = slice_mm * float(rng.uniform(*_GAP_SHARE))
    return acquisition_grid([low, high], view.orientation, slice_mm, gap_mm, float(rng.uniform(*pixel_mm)), rng)


def preview_grid(view: View) -> Grid:
    """Coarse grid over all that a sequence shows, two voxels or more along each axis."""
    low, high = view.box_mm
    shape = np.maximum(np.ceil((high - low) / PREVIEW_MM), 2).astype(int)
    origin = (low + high - PREVIEW_MM * (shape - 1)) / 2
    return Grid.from_spacing(shape.tolist(), (PREVIEW_MM,) * 3, origin_mm=origin.tolist())


def _middle(grid: Grid) -> NDArray[np.float64]:
    """Centre of a grid, LPS mm."""
    return grid.to_xyz_mm((np.array(grid.shape) - 1) / 2)
