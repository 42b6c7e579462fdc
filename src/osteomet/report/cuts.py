"""Pictures of a volume along patient axes, whatever the orientation of its grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Volume
from osteomet.image.resample import sample_linear


class View(StrEnum):
    """The three standard planes."""

    AXIAL = "axial"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"


@dataclass(frozen=True, slots=True)
class _Frame:
    """LPS axes of a picture: their signs on screen, and the letters at its left, right, top and bottom."""

    across: int
    down: int
    through: int
    signs: tuple[int, int]
    letters: tuple[str, str, str, str]


_FRAMES = {
    View.AXIAL: _Frame(0, 1, 2, (1, 1), ("R", "L", "A", "P")),
    View.SAGITTAL: _Frame(1, 2, 0, (1, -1), ("A", "P", "H", "F")),
    View.CORONAL: _Frame(0, 2, 1, (1, -1), ("R", "L", "H", "F")),
}


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Depth of a cut as a function of the coordinate that runs down the picture, both LPS mm.

    Linear between the knots (``at_mm`` ascending) and constant beyond them; a single knot makes a flat cut.
    """

    at_mm: NDArray[np.float64]
    depth_mm: NDArray[np.float64]

    @classmethod
    def flat(cls, depth_mm: float) -> Self:
        """Make a course of one depth everywhere."""
        return cls(np.zeros(1), np.array([depth_mm], dtype=np.float64))

    def __call__(self, at_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Depth at each coordinate, mm."""
        return np.asarray(np.interp(at_mm, self.at_mm, self.depth_mm), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A raster of points in the patient: rows down the picture, columns across it, square pixels.

    Axial and coronal pictures have the patient's right on their left; sagittal ones have anterior on their left. Axial
    pictures have anterior on top, the others the head.

    Parameters
    ----------
    view
        Which patient axes run across and down.
    corner_mm
        LPS coordinates, across and down, of the centre of the first pixel.
    shape
        Rows and columns.
    pixel_mm
        Side of a pixel.
    course
        Coordinate through the picture for each coordinate down it.
    """

    view: View
    corner_mm: tuple[float, float]
    shape: tuple[int, int]
    pixel_mm: float
    course: Course

    @classmethod
    def over(cls, view: View, box_mm: ArrayLike, course: Course, *, pixel_mm: float) -> Self:
        """Cover the two in-plane sides of an LPS box, shape (2, 3) lowest and highest corner, with whole pixels."""
        low, high = np.asarray(box_mm, dtype=np.float64)
        frame = _FRAMES[view]
        corner, shape = [], []
        for axis, sign in zip((frame.across, frame.down), frame.signs, strict=True):
            n = max(1, round((high[axis] - low[axis]) / pixel_mm))
            corner.append(float((low[axis] + high[axis]) / 2 - sign * (n - 1) / 2 * pixel_mm))
            shape.append(n)
        return cls(view, (corner[0], corner[1]), (shape[1], shape[0]), pixel_mm, course)

    @classmethod
    def around(cls, view: View, centre_xyz_mm: Sequence[float], *, field_mm: float, pixel_mm: float) -> Self:
        """Flat square cut through a point."""
        centre = np.asarray(centre_xyz_mm, dtype=np.float64)
        depth_mm = float(centre[_FRAMES[view].through])
        box_mm = np.stack([centre - field_mm / 2, centre + field_mm / 2])
        return cls.over(view, box_mm, Course.flat(depth_mm), pixel_mm=pixel_mm)

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Orientation letters at the left, right, top and bottom of the picture."""
        return _FRAMES[self.view].letters

    def points_xyz_mm(self) -> NDArray[np.float64]:
        """Pixel centres, shape (rows, columns, 3), LPS mm."""
        frame = _FRAMES[self.view]
        n_rows, n_columns = self.shape
        down = self.corner_mm[1] + frame.signs[1] * self.pixel_mm * np.arange(n_rows)
        points = np.empty((n_rows, n_columns, 3))
        points[..., frame.across] = self.corner_mm[0] + frame.signs[0] * self.pixel_mm * np.arange(n_columns)
        points[..., frame.down] = down[:, None]
        points[..., frame.through] = self.course(np.asarray(down, dtype=np.float64))[:, None]
        return points

    def to_column_row(self, xyz_mm: ArrayLike) -> NDArray[np.float64]:
        """Project LPS points, shape (..., 3), to fractional (column, row), 0 at the centre of the first pixel."""
        points = np.asarray(xyz_mm, dtype=np.float64)
        frame = _FRAMES[self.view]
        column = (points[..., frame.across] - self.corner_mm[0]) * frame.signs[0] / self.pixel_mm
        row = (points[..., frame.down] - self.corner_mm[1]) * frame.signs[1] / self.pixel_mm
        return np.stack([column, row], axis=-1)

    def crop(self, first: tuple[int, int], shape: tuple[int, int]) -> Cut:
        """Part of the picture that begins at a row and column."""
        frame = _FRAMES[self.view]
        across = self.corner_mm[0] + frame.signs[0] * self.pixel_mm * first[1]
        down = self.corner_mm[1] + frame.signs[1] * self.pixel_mm * first[0]
        return replace(self, corner_mm=(across, down), shape=shape)

    def distance_mm(self, xyz_mm: Sequence[float]) -> float:
        """Signed distance of a point from the cut along the axis through it, positive to left, posterior or head."""
        frame = _FRAMES[self.view]
        return float(xyz_mm[frame.through] - self.course(np.array(xyz_mm[frame.down])))


@dataclass(frozen=True, slots=True)
class GreyWindow:
    """Values shown as black and as white, and the words that say so."""

    low: float
    high: float
    text: str


_MR_PERCENTILES = (1.0, 99.5)
_SAMPLES_FOR_PERCENTILES = 1_000_000
_BONE_WINDOW_HU = (-300.0, 900.0)


def grey_window(volume: Volume) -> GreyWindow:
    """Choose the display window: a bone window for CT, percentiles of the positive values for other modalities.

    The percentiles come from about a million voxels on a regular sub-lattice, so that a large volume costs nothing.
    """
    if volume.modality is Modality.CT:
        low, high = _BONE_WINDOW_HU
        return GreyWindow(low, high, f"Bone window, level {(low + high) / 2:.0f} HU, width {high - low:.0f} HU")
    step = max(1, round((volume.array.size / _SAMPLES_FOR_PERCENTILES) ** (1 / 3)))
    values = volume.array[::step, ::step, ::step]
    positive = values[values > 0]
    low, high = (float(v) for v in np.percentile(positive if positive.size else values, _MR_PERCENTILES))
    first, last = _MR_PERCENTILES
    words = f"Window {low:.4g} to {high:.4g} {volume.unit}, percentiles {first:g} and {last:g} of the positive values"
    return GreyWindow(low, max(high, low + 1e-6), words)


def render_grey(volume: Volume, cut: Cut, window: GreyWindow) -> NDArray[np.uint8]:
    """Sample the cut trilinearly and window it; points outside the scan are black.

    The scan reaches half a voxel beyond the outer voxel centres, as the acquisition does.
    """
    ijk = volume.grid.to_ijk(cut.points_xyz_mm())
    last = np.array(volume.grid.shape) - 1
    values = sample_linear(volume.array, np.clip(ijk, 0, last))
    grey = np.interp(values, (window.low, window.high), (0, 255))
    grey[~_within(ijk, volume.grid)] = 0
    return np.round(grey).astype(np.uint8)


def sample_nearest(array: NDArray[Any], grid: Grid, cut: Cut) -> NDArray[Any]:
    """Labels at the pixel centres of a cut, shape (rows, columns), 0 outside the grid."""
    ijk = grid.to_ijk(cut.points_xyz_mm())
    i, j, k = np.moveaxis(np.clip(np.rint(ijk), 0, np.array(grid.shape) - 1).astype(np.intp), -1, 0)
    return np.where(_within(ijk, grid), array[i, j, k], 0)


def _within(ijk: NDArray[np.float64], grid: Grid) -> NDArray[np.bool_]:
    """Tell which indices lie inside the box that the voxels fill."""
    return np.asarray(((ijk >= -0.5) & (ijk <= np.array(grid.shape) - 0.5)).all(axis=-1))
