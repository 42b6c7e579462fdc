"""The vertebral canal in a map of bones: where each vertebra closes round it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteomet.core.errors import GeometryError, InputError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import COLUMN
from osteomet.core.volume import LabelMap
from osteomet.image.centreline import Centreline

_SMALLEST_CANAL_MM2 = 50.0
_REACH_MM = (45.0, 80.0, 30.0)
_STEP_MM = (1.0, 1.0, 2.0)
_DISC = np.hypot(*np.mgrid[-4:5, -4:5]) <= 4
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Canal:
    """Middle of the canal at each vertebra that closes round it, head to foot: names, and points (n, 3), LPS mm."""

    levels: tuple[str, ...]
    points_mm: NDArray[np.float64]

    def nearest_level(self, xyz_mm: NDArray[np.float64]) -> str:
        """Name of the vertebra whose part of the canal lies nearest in height."""
        return self.levels[int(np.abs(self.points_mm[:, 2] - xyz_mm[2]).argmin())]


def find_canal(bones: LabelMap) -> Canal:
    """Find the canal of every vertebra of a bone map.

    Parameters
    ----------
    bones
        Vertebrae by the names of the vocabulary, ``C1`` to ``L6``; other bones are passed over.

    Raises
    ------
    InputError
        If fewer than two vertebrae close round a canal.

    Notes
    -----
    A vertebra is looked up by nearest voxel on a lattice of 1 mm, seen along the line through its neighbours; the
    largest hole in its outline is the canal, and its middle is taken at the height of the vertebra's centre. Where
    there is none, gaps of up to 8 mm are closed first: on slices 5 mm apart thin laminae are not always connected. A
    ring that is open still, at the edge of the image or without arches, gives no point: its neighbours must do.
    """
    present = bones.present()
    names = [name for name in COLUMN if name in present]
    indices = [np.argwhere(bones.array == present[name]) for name in names]
    points = [bones.grid.to_xyz_mm(index) for index in indices]
    centres = np.array([xyz.mean(axis=0) for xyz in points]).reshape(-1, 3)
    found: dict[str, NDArray[np.float64]] = {}
    for number, name in enumerate(names):
        axes = _axes(centres, number)
        middle = _ring_middle(bones, present[name], centres[number], axes)
        if middle is not None:
            found[name] = middle
    if len(found) < 2:
        raise InputError(
            "no vertebral canal was found in the bone map",
            expected="two vertebrae or more, labelled with their arches, that close round it",
            got=f"{_listed(names)}, of which {_listed(list(found))} close",
            remedy="pass a bone map with whole vertebrae of the part of the spine that the exam shows",
        )
    return Canal(tuple(found), np.array(list(found.values())))


def centreline_of(canal: Canal, view: Grid) -> Centreline:
    """Line through the canal, for an image that must show at least two of its points.

    Raises
    ------
    GeometryError
        If the field of view ``view`` lies elsewhere.
    """
    ijk = view.to_ijk(canal.points_mm)
    n_shown = int(((ijk > -0.5) & (ijk < np.array(view.shape) - 0.5)).all(axis=1).sum())
    if n_shown < 2:
        raise GeometryError(
            "the image and the bone map show different places",
            expected="an image that holds the canal at two vertebrae or more",
            got=f"{n_shown} of {len(canal.levels)}; the image has {view.describe()}",
            remedy="pass the bone map of this exam, in the coordinates of its scanner",
        )
    return Centreline.through(canal.points_mm)


def _axes(centres: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Left, posterior and superior of a vertebra as columns: superior along the line through its neighbours."""
    below, above = centres[min(number + 1, len(centres) - 1)], centres[max(number - 1, 0)]
    up = above - below if len(centres) > 1 else _UP
    up = up / np.linalg.norm(up)
    back = np.array([0.0, 1.0, 0.0]) - up[1] * up
    back = back / np.linalg.norm(back)
    return np.stack([np.cross(back, up), back, up], axis=1)


def _ring_middle(
    bones: LabelMap, label: int, centre: NDArray[np.float64], axes: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Middle of the largest hole of a vertebra seen along its superior axis, LPS mm; None where it has none."""
    ticks = [np.arange(-reach, reach + step, step) for reach, step in zip(_REACH_MM, _STEP_MM, strict=True)]
    lattice = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1)
    ijk = np.rint(bones.grid.to_ijk(lattice @ axes.T + centre)).astype(int)
    inside = np.asarray(((ijk >= 0) & (ijk < bones.array.shape)).all(axis=-1))
    at = np.where(inside[..., None], ijk, 0)
    outline = (inside & (bones.array[at[..., 0], at[..., 1], at[..., 2]] == label)).any(axis=2)
    hole = _largest_hole(outline)
    if hole is None:
        hole = _largest_hole(ndimage.binary_closing(outline, _DISC))
    if hole is None:
        return None
    left, back = ndimage.center_of_mass(hole)
    local = np.array([ticks[0][0] + left * _STEP_MM[0], ticks[1][0] + back * _STEP_MM[1], 0.0])
    return np.asarray(axes @ local + centre)


def _largest_hole(outline: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Largest hole of an outline, if it is as large as a canal."""
    holes, n_holes = ndimage.label(ndimage.binary_fill_holes(outline) & ~outline)
    areas = np.bincount(holes.ravel(), minlength=2)[1:]
    if not n_holes or areas.max() * _STEP_MM[0] * _STEP_MM[1] < _SMALLEST_CANAL_MM2:
        return None
    return np.asarray(holes == areas.argmax() + 1)


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
