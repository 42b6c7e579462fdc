"""The frame of one vertebra: its own left, posterior and superior, whatever the curve of the spine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from osteomet.core.grid import Grid

COLUMN_STEP_MM = 0.5
"""Distance between the samples of a column, mm."""

_REFINEMENTS = 3
_STEP_MM = 1.0
_SMALLEST_CANAL_MM2 = 50.0
_REACH_MM = 80.0
_PHASE = 0.37  # of a step: keeps samples off the faces between voxels, where rounding errors would decide
_LARGEST_CORRECTION = np.cos(np.pi / 4)
_SHORTEST_ARM_MM = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Axes of a vertebra.

    Parameters
    ----------
    centre_xyz_mm
        Centroid of the body, shape (3,), LPS mm; local coordinates are 0 there.
    axes
        Unit vectors of the vertebra's left, posterior and superior as columns, shape (3, 3), LPS, right-handed.
    """

    centre_xyz_mm: NDArray[np.float64]
    axes: NDArray[np.float64]

    @classmethod
    def from_directions(cls, centre_xyz_mm: ArrayLike, *, superior: ArrayLike, posterior: ArrayLike) -> Frame:
        """Build a frame whose superior axis is as given, and whose posterior axis is the nearest perpendicular one."""
        up = np.asarray(superior, dtype=np.float64)
        up = up / np.linalg.norm(up)
        back = np.asarray(posterior, dtype=np.float64)
        back = back - (back @ up) * up
        back = back / np.linalg.norm(back)
        return cls(np.asarray(centre_xyz_mm, dtype=np.float64), np.stack([np.cross(back, up), back, up], axis=1))

    def to_local_mm(self, xyz_mm: ArrayLike) -> NDArray[np.float64]:
        """Map LPS mm, shape (..., 3), to mm left, posterior and superior of the centre of the body."""
        return np.asarray((np.asarray(xyz_mm, dtype=np.float64) - self.centre_xyz_mm) @ self.axes)

    def to_xyz_mm(self, local_mm: ArrayLike) -> NDArray[np.float64]:
        """Map mm left, posterior and superior of the centre, shape (..., 3), to LPS mm."""
        return np.asarray(np.asarray(local_mm, dtype=np.float64) @ self.axes.T + self.centre_xyz_mm)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A mask resampled into a frame: columns along its superior axis.

    ``solid`` has shape (n_left, n_posterior, n_superior); ``left_mm``, ``posterior_mm`` and ``superior_mm`` are the
    local coordinates of its samples, ``superior_mm`` in steps of `COLUMN_STEP_MM`.
    """

    solid: NDArray[np.bool_]
    left_mm: NDArray[np.float64]
    posterior_mm: NDArray[np.float64]
    superior_mm: NDArray[np.float64]


def sample_columns(mask: NDArray[np.bool_], grid: Grid, frame: Frame) -> Columns:
    """Look up a mask, by nearest voxel, every 1 mm across and every 0.5 mm along the superior axis of a frame.

    The samples cover the mask within 80 mm of the centre of the frame, more than any vertebra needs, so that a stray
    voxel far away costs nothing; beyond the array is outside.
    """
    local = frame.to_local_mm(grid.to_xyz_mm(np.argwhere(mask)))
    margin = max(grid.spacing_mm)
    low = np.maximum(local.min(axis=0) - margin, -_REACH_MM)
    high = np.minimum(local.max(axis=0) + margin, _REACH_MM)
    steps = (_STEP_MM, _STEP_MM, COLUMN_STEP_MM)
    ticks = [
        (np.arange(np.floor(a / s) - 1, np.ceil(b / s) + 1) + _PHASE) * s
        for a, b, s in zip(low, high, steps, strict=True)
    ]
    # Index is linear in the local coordinates, so three one-dimensional tables replace a product for each sample.
    inverse = np.linalg.inv(grid.affine[:3, :3]) @ frame.axes
    offset = grid.to_ijk(frame.centre_xyz_mm)
    index = []
    inside = np.ones([len(t) for t in ticks], dtype=bool)
    for axis in range(3):
        left, back, up = (inverse[axis, n] * ticks[n] for n in range(3))
        nearest = np.rint(offset[axis] + left[:, None, None] + back[None, :, None] + up[None, None, :]).astype(np.int32)
        inside &= (nearest >= 0) & (nearest < mask.shape[axis])
        index.append(np.clip(nearest, 0, mask.shape[axis] - 1))
    return Columns(mask[tuple(index)] & inside, *ticks)


def estimate_frame(
    mask: NDArray[np.bool_], body: NDArray[np.bool_], grid: Grid, *, towards_head: ArrayLike
) -> Frame | None:
    """Estimate the frame of a vertebra from its shape.

    Parameters
    ----------
    mask, body
        Voxels of the vertebra and of its body, on ``grid``.
    towards_head
        First guess of the superior axis, such as the line between the neighbouring bodies.

    Returns
    -------
    None where there is no body.

    Notes
    -----
    Superior is the mean of the normals of both endplates, fitted to the inner half of the body and refined from the
    first guess: it belongs to the vertebra alone, so it holds in scoliosis, at L5 and at the end of the field of view.
    Endplates that would turn it by more than 45° are too badly damaged to say anything, and the first guess stays.
    Posterior runs from the centroid of the body to the middle of the vertebral canal, the largest hole in the outline
    of the vertebra seen along its superior axis; so the mid-sagittal plane turns with the vertebra. Where the ring of
    the arch is not closed it runs to the centroid of the arch, and without an arch to the patient's back.
    """
    if not body.any():
        return None
    centre = grid.to_xyz_mm(np.argwhere(body)).mean(axis=0)
    guess = np.asarray(towards_head, dtype=np.float64)
    posterior = _arch_direction(mask & ~body, grid, centre=centre, superior=guess)
    first = frame = Frame.from_directions(centre, superior=guess, posterior=posterior)
    for _ in range(_REFINEMENTS):
        superior = frame.axes @ _endplate_normal(sample_columns(body, grid, frame))
        frame = Frame.from_directions(centre, superior=superior, posterior=posterior)
        if frame.axes[:, 2] @ first.axes[:, 2] < _LARGEST_CORRECTION:
            frame = first
            break
    canal = _canal_direction(sample_columns(mask, grid, frame))
    if canal is None:
        return frame
    return Frame.from_directions(centre, superior=frame.axes[:, 2], posterior=frame.axes @ canal)


def _arch_direction(
    arch: NDArray[np.bool_], grid: Grid, *, centre: NDArray[np.float64], superior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Direction from the body to its arch, or to the patient's back where there is no arch clearly beside the axis."""
    if arch.any():
        direction = np.asarray(grid.to_xyz_mm(np.argwhere(arch)).mean(axis=0) - centre)
        arm_mm = np.linalg.norm(np.cross(direction, superior)) / np.linalg.norm(superior)
        if arm_mm >= _SHORTEST_ARM_MM:
            return direction
    return np.array([0.0, 1.0, 0.0])


def _endplate_normal(columns: Columns) -> NDArray[np.float64]:
    """Mean of the unit normals of the upper and lower endplate, local, pointing up."""
    filled = np.asarray(columns.solid.any(axis=2))
    width_mm, depth_mm = np.ptp(columns.left_mm[filled.any(axis=1)]), np.ptp(columns.posterior_mm[filled.any(axis=0)])
    inner = (np.abs(columns.left_mm)[:, None] <= width_mm / 4) & (np.abs(columns.posterior_mm) <= depth_mm / 4) & filled
    left, back = np.nonzero(inner)
    if len(left) < 3:
        return np.array([0.0, 0.0, 1.0])
    design = np.stack([columns.left_mm[left], columns.posterior_mm[back], np.ones(len(left))], axis=1)
    lowest = columns.superior_mm[columns.solid[left, back].argmax(axis=1)]
    highest = columns.superior_mm[::-1][columns.solid[left, back, ::-1].argmax(axis=1)]
    normal = np.zeros(3)
    for height in (lowest, highest):
        slope_left, slope_back, _ = np.linalg.lstsq(design, height, rcond=None)[0]
        plane = np.array([-slope_left, -slope_back, 1.0])
        normal += plane / np.linalg.norm(plane)
    return normal


def _canal_direction(columns: Columns) -> NDArray[np.float64] | None:
    """Direction from the centre of the body to that of the canal, local, or None where no ring is closed behind it."""
    outline = np.asarray(columns.solid.any(axis=2))
    holes, n_holes = ndimage.label(ndimage.binary_fill_holes(outline) & ~outline)
    if not n_holes:
        return None
    areas = np.bincount(holes.ravel())[1:]
    canal = int(areas.argmax()) + 1
    left, back = ndimage.center_of_mass(holes == canal)
    direction = np.array([columns.left_mm[0] + left * _STEP_MM, columns.posterior_mm[0] + back * _STEP_MM, 0.0])
    return direction if areas[canal - 1] * _STEP_MM**2 >= _SMALLEST_CANAL_MM2 and direction[1] > 0 else None
