"""From the positions of single slices to one regular grid, or the reason why there is none.

Slices are sorted along their normal, the cross product of the row and column directions, so that array axes (i, j, k)
are always a right-handed set: i along a row, j down a column, k along the normal. File names, instance numbers and
slice locations take no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import SeriesError
from osteomet.core.grid import Grid
from osteomet.io.dicom_frames import Frame, Plane

Array = NDArray[np.float64]

SAME_PLACE_MM = 0.01
"""Slices closer than this lie at one position. Positions are written with two decimals and more; slices that are truly
apart never lie so close."""

JITTER_MM = 0.1
"""A slice may lie this far from its place on the regular grid. Some scanners round table positions to 0.1 mm, which
moves a slice by 0.05 mm; nothing that is measured in millimetres suffers from it."""

JITTER_OF_SPACING = 0.1
"""... but never by more than this part of the slice spacing."""

ORIENTATION_TOLERANCE = 1e-3
"""Largest difference of a direction cosine between slices of one stack: 0.06 degrees, 0.25 mm at the edge of a 500 mm
field."""

NO_TILT_PX = 0.5
"""A drift within the plane of up to half a pixel from the first slice to the last comes from direction cosines written
with few digits. It is spread to both ends, so that no slice lies further than a quarter of a pixel from its place,
which is better than to blur the image by resampling."""

MAX_TILT_DEGREE = 40.0
"""CT gantries tilt by up to 30 degrees."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the slices of a series go.

    ``slice_index[n]`` is the index k of frame n, the same for duplicates. ``drift_px`` is how far each slice lies
    from the one before it along (i, j), in voxels: zero unless the gantry was tilted. ``grid`` is the regular grid
    after such a drift has been taken out.
    """

    grid: Grid
    slice_index: tuple[int, ...]
    drift_px: tuple[float, float]
    notes: tuple[str, ...]


def _plane(frame: Frame) -> Plane:
    """Geometry of a frame that must have one."""
    if frame.plane is None:
        raise SeriesError("a slice does not say where it lies", got=frame.describe(), remedy="export the series again")
    return frame.plane


def _normal(frame: Frame) -> Array:
    """Row direction × column direction, shape (3,)."""
    plane = _plane(frame)
    return np.cross(np.array(plane.row), np.array(plane.column))


def _positions(frames: Sequence[Frame]) -> Array:
    return np.array([_plane(frame).position_mm for frame in frames], dtype=np.float64)


def is_parallel(frame: Frame, other: Frame) -> bool:
    """Tell whether rows and columns of both point the same way, within `ORIENTATION_TOLERANCE`."""
    a, b = _plane(frame), _plane(other)
    return bool(np.abs(np.array([a.row, a.column]) - np.array([b.row, b.column])).max() <= ORIENTATION_TOLERANCE)


def slice_offsets_mm(frames: Sequence[Frame]) -> Array:
    """Distance of each slice from the patient origin along the normal of the first, shape (n,), mm."""
    return np.asarray(_positions(frames) @ _normal(frames[0]))


def distinct_offsets_mm(frames: Sequence[Frame]) -> Array:
    """Offsets of slices at different positions, ascending, mm."""
    offsets = np.sort(slice_offsets_mm(frames))
    return offsets[np.diff(offsets, prepend=-np.inf) > SAME_PLACE_MM]


def head_foot_extent_mm(frames: Sequence[Frame]) -> float:
    """How much of the patient from head to foot the slices show: extent of their box along LPS z, mm."""
    ends = []
    for plane in map(_plane, frames):
        steps = [(n - 1) * spacing for n, spacing in zip(plane.shape, plane.spacing_mm, strict=True)]
        along = [step * axis[2] for step, axis in zip(steps, (plane.row, plane.column), strict=True)]
        ends.append(plane.position_mm[2] + sum(min(z, 0.0) for z in along))
        ends.append(plane.position_mm[2] + sum(max(z, 0.0) for z in along))
    return max(ends) - min(ends)


def arrange(frames: Sequence[Frame]) -> Stack:
    """Sort slices of one orientation, matrix and pixel spacing onto a regular grid.

    Parameters
    ----------
    frames
        At least two slices at different positions; order is of no importance.

    Returns
    -------
    Stack
        Grid in LPS mm and the slice index of each frame. Several frames at one position share an index; whether they
        are equal can only be told from their pixels.

    Raises
    ------
    SeriesError
        If a slice is missing (named by the positions of its neighbours), spacing changes, slices are shifted within
        their plane, or there are fewer than two positions.

    Notes
    -----
    Origin and step are fitted by least squares to all slices, so that rounded table positions average out. Each
    slice must lie within `JITTER_MM` and `JITTER_OF_SPACING` of its place.

    With a tilted gantry the slices are parallel but each starts a little further along its own plane, so that the
    lattice is sheared (from `NO_TILT_PX` on). Their planes are already those of a perpendicular grid: only shifts
    within the plane are needed, and the grid is made large enough to keep every voxel.
    """
    offsets = slice_offsets_mm(frames)
    order = np.argsort(offsets, kind="stable")
    new_place = np.diff(offsets[order], prepend=-np.inf) > SAME_PLACE_MM
    slice_index = np.empty(len(frames), dtype=int)
    slice_index[order] = np.cumsum(new_place) - 1
    ordered = [frames[n] for n in order[new_place]]
    if len(ordered) < 2:
        raise SeriesError("the series has a single slice position and makes no volume", got=ordered[0].describe())
    _check_one_place_per_index(frames, slice_index, ordered)
    _check_even_steps(ordered)
    origin, step = _fit_line(ordered)
    tilt = _tilt_degree(step, ordered[0])
    grid, drift = _perpendicular_grid(ordered[0], origin, step, len(ordered))
    notes = (f"gantry tilt of {tilt:.1f}°: slices shifted within their planes onto a perpendicular grid",)
    return Stack(grid, tuple(int(k) for k in slice_index), drift, notes if drift != (0.0, 0.0) else ())


def _check_one_place_per_index(frames: Sequence[Frame], slice_index: NDArray[np.int_], ordered: list[Frame]) -> None:
    """Slices of one level must also lie on top of each other."""
    apart = np.linalg.norm(_positions(frames) - _positions(ordered)[slice_index], axis=1)
    worst = int(np.argmax(apart))
    if apart[worst] > JITTER_MM:
        raise SeriesError(
            "two slices lie side by side in one plane",
            got=f"{frames[worst].describe()} and {ordered[slice_index[worst]].describe()}",
            remedy="pass one stack only",
        )


def _check_even_steps(ordered: list[Frame]) -> None:
    """Find gaps and changes of spacing; jitter is allowed for."""
    offsets = slice_offsets_mm(ordered)
    steps = np.diff(offsets)
    smallest = float(steps[steps <= steps.min() + 2 * JITTER_MM].mean())
    tolerance = 2 * min(JITTER_MM, JITTER_OF_SPACING * smallest)
    multiples = np.rint(steps / smallest).astype(int)
    gaps = np.flatnonzero(multiples > 1)
    is_multiple = np.abs(steps - multiples * smallest) <= tolerance + 0.01 * steps
    if not is_multiple.all() or gaps.size > steps.size / 2:
        _refuse_mixed_spacing(ordered, steps)
    if gaps.size:
        _refuse_gap(ordered, steps, smallest, gaps)


def _refuse_gap(ordered: list[Frame], steps: Array, spacing_mm: float, gaps: NDArray[np.intp]) -> NoReturn:
    first = int(gaps[0])
    n_missing = int(np.rint(steps[gaps] / spacing_mm).sum()) - gaps.size
    raise SeriesError(
        f"the series misses {n_missing} slice{'s' if n_missing > 1 else ''}",
        expected=f"a slice every {spacing_mm:.4g} mm",
        got=f"{steps[first]:.4g} mm between {ordered[first].describe()} and {ordered[first + 1].describe()}"
        + (f", and {gaps.size - 1} more gaps" if gaps.size > 1 else ""),
        remedy="fetch the complete series again",
    )


def _refuse_mixed_spacing(ordered: list[Frame], steps: Array) -> NoReturn:
    change = int(np.argmax(np.abs(np.diff(steps)))) if steps.size > 1 else 0
    raise SeriesError(
        "the slices are not evenly spaced",
        expected="one spacing throughout",
        got=f"{steps.min():.4g} to {steps.max():.4g} mm; from {steps[change]:.4g} to {steps[change + 1]:.4g} mm at "
        f"{ordered[change + 1].describe()}",
        remedy="pass the parts of even spacing as folders of their own, or a reconstruction of even spacing",
    )


def _fit_line(ordered: list[Frame]) -> tuple[Array, Array]:
    """Origin and step of evenly spaced slices, mm; every slice must lie near its place."""
    positions = _positions(ordered)
    k = np.arange(len(ordered), dtype=np.float64)
    centred = k - k.mean()
    step = centred @ positions / (centred @ centred)
    origin = positions.mean(axis=0) - k.mean() * step
    away = positions - (origin + k[:, None] * step)
    worst = int(np.argmax(np.linalg.norm(away, axis=1)))
    if np.linalg.norm(away[worst]) > min(JITTER_MM, JITTER_OF_SPACING * float(np.linalg.norm(step))):
        if np.abs(away @ _normal(ordered[0])).max() > JITTER_MM / 2:
            _refuse_mixed_spacing(ordered, np.diff(slice_offsets_mm(ordered)))
        raise SeriesError(
            "a slice is shifted within its plane against the others",
            expected=f"every slice within {JITTER_MM} mm of a straight line",
            got=f"{ordered[worst].describe()}, {np.linalg.norm(away[worst]):.3g} mm away",
            remedy="pass a reconstruction with one field of view",
        )
    return origin, step


def _perpendicular_grid(frame: Frame, origin: Array, step: Array, n_slices: int) -> tuple[Grid, tuple[float, float]]:
    """Grid whose third axis is the normal, enlarged in plane by the drift of the slices, and the drift in voxels."""
    plane = _plane(frame)
    spacing = np.array(plane.spacing_mm)
    axes = np.array([plane.row, plane.column]).T
    normal = _normal(frame)
    drift = axes.T @ step / spacing
    total = drift * (n_slices - 1)
    start = origin + axes @ (np.minimum(total, 0.0) * spacing)
    if np.abs(total).max() <= NO_TILT_PX:
        start = origin + axes @ (total / 2 * spacing)
        drift, total = np.zeros(2), np.zeros(2)
    extra = np.ceil(np.abs(total) - 1e-6).astype(int)
    affine = np.eye(4)
    affine[:3, :2] = axes * spacing
    affine[:3, 2] = normal * (step @ normal)
    affine[:3, 3] = start
    shape = (plane.shape[0] + int(extra[0]), plane.shape[1] + int(extra[1]), n_slices)
    return Grid(shape, affine, frame.identity.frame_of_reference_uid), (float(drift[0]), float(drift[1]))


def _tilt_degree(step: Array, frame: Frame) -> float:
    """Angle between the line through the slices and their normal, degrees; refused beyond what gantries do."""
    tilt = float(np.degrees(np.arccos(np.clip(step @ _normal(frame) / np.linalg.norm(step), -1, 1))))
    if tilt > MAX_TILT_DEGREE:
        raise SeriesError(
            "the slices drift sideways more than any gantry tilts",
            expected=f"at most {MAX_TILT_DEGREE:.0f}° between slice normal and the line of slices",
            got=f"{tilt:.0f}° in the stack of {frame.describe()}",
            remedy="pass a reconstruction with one field of view",
        )
    return tilt
