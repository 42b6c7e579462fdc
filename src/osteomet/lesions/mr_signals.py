"""Signals of lesions on MR beside those of muscle, disc and healthy marrow in the same image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Volume
from osteomet.image.distance import distance_to_mm
from osteomet.lesions.anatomy import Anatomy, Level

NEAR_MM = 60.0
"""Tissue this near to a lesion is what it is held against, as coils are brighter on one side than on the other."""
OUTSIDE_MM = 3.0
"""Lesion farther than this from bone is outside of it; less is the border."""
_FEWEST_VOXELS = 8
_FROM_LESIONS_MM, _INSIDE_MM, _FROM_BONE_MM = 5.0, 2.0, 3.0
_DISC_RADIUS_MM, _MUSCLE_RADIUS_MM = 4.0, 5.0
_MUSCLE_AT = ((0.3, 0.8, 0.0), (-0.3, 0.8, 0.0))
"""Muscle beside a vertebra: left, posterior and superior of its body, in parts of how far its arch reaches."""
_TIP_PERCENT = 95.0
_LONGEST_GAP_MM = 60.0


@dataclass(frozen=True, slots=True)
class Signals:
    """Median signal of a lesion and of what it is held against, a.u.; None where there is too little of it."""

    lesion: float
    muscle: float | None
    disc: float | None
    marrow: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Standards:
    """Where muscle, disc and healthy marrow are; boolean, on one grid, all False where unknown."""

    grid: Grid
    muscle: NDArray[np.bool_]
    disc: NDArray[np.bool_]
    marrow: NDArray[np.bool_]


def measure_signals(
    images: Mapping[SequenceRole, Volume], lesion: NDArray[np.bool_], standards: Standards
) -> dict[SequenceRole, Signals]:
    """Measure one lesion on every sequence.

    Parameters
    ----------
    images
        By role, on the grid of ``standards``; all that are there.
    lesion
        Its voxels.
    standards
        Tissues to hold it against. Those of their voxels within `NEAR_MM` of the lesion count, or all where that is
        fewer than eight; fewer than eight at all are unknown.

    Raises
    ------
    InputError
        If the lesion has no voxel.
    GeometryError
        If an image lies on another grid.
    """
    if not lesion.any():
        raise InputError("a lesion without voxels cannot be measured")
    for role, image in images.items():
        check_same_grid(image.grid, standards.grid, names=(str(role), "the maps of tissue"))
    near = _within_mm(lesion, standards.grid)
    places = {name: _near(getattr(standards, name), near) for name in ("muscle", "disc", "marrow")}
    return {
        role: Signals(
            lesion=float(np.median(image.array[lesion])),
            **{name: _median(image.array, place) for name, place in places.items()},
        )
        for role, image in images.items()
    }


def find_standards(anatomy: Anatomy, lesions: NDArray[np.bool_]) -> Standards:
    """Find muscle, disc and healthy marrow from the bones alone.

    Parameters
    ----------
    anatomy
        Bones and levels on the grid of the images.
    lesions
        Voxels of all lesions; marrow keeps 5 mm away from them.

    Notes
    -----
    Disc is a ball of 4 mm halfway between two neighbouring bodies. Muscle is a ball of 5 mm on either side of the
    spinous process, 3 mm clear of bone: where the arch reaches 75 mm behind the middle of the body, 60 mm behind it and
    22 mm beside. Marrow is bone of the levels, 2 mm inside its surface.
    """
    grid, bone = anatomy.bones.grid, anatomy.bones.array > 0
    levels = [level for level in anatomy.levels if level.frame is not None]
    clear = distance_to_mm(bone, grid.spacing_mm) > _FROM_BONE_MM
    muscle, disc = (np.zeros(grid.shape, dtype=np.bool_) for _ in range(2))
    for level in levels:
        for place in _beside_arch(level):
            _mark_ball(muscle, grid, place, _MUSCLE_RADIUS_MM)
    for upper, lower in pairwise(levels):
        place = _between(upper, lower, bone, grid)
        if place is not None:
            _mark_ball(disc, grid, place, _DISC_RADIUS_MM)
    inside = distance_to_mm(~bone, grid.spacing_mm) > _INSIDE_MM
    healthy = distance_to_mm(lesions, grid.spacing_mm) > _FROM_LESIONS_MM
    column = np.zeros(grid.shape, dtype=np.bool_)
    for level in anatomy.levels:
        column[level.box] |= level.mask
    return Standards(grid, muscle & clear & ~lesions, disc & ~bone & ~lesions, column & inside & healthy)


def outside_bone_ml(instances: NDArray[Any], bones: NDArray[np.bool_], grid: Grid) -> dict[int, float | None]:
    """Volume of each lesion of an instance map farther than `OUTSIDE_MM` from bone, ml; None if no bone is outlined."""
    labels = np.unique(instances[instances > 0]).tolist()
    if not bones.any():
        return dict.fromkeys(labels)
    far = instances[distance_to_mm(bones, grid.spacing_mm) > OUTSIDE_MM]
    return {label: float(np.count_nonzero(far == label) * grid.voxel_volume_ml) for label in labels}


def _beside_arch(level: Level) -> NDArray[np.float64]:
    """Places in muscle on either side, shape (2, 3), LPS mm; none where no arch is seen."""
    assert level.frame is not None
    if not level.arch.any():
        return np.zeros((0, 3))
    behind_mm = level.frame.to_local_mm(level.grid.to_xyz_mm(np.argwhere(level.arch)))[:, 1]
    return level.frame.to_xyz_mm(np.array(_MUSCLE_AT) * float(np.percentile(behind_mm, _TIP_PERCENT)))


def _between(upper: Level, lower: Level, bone: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64] | None:
    """Middle of the stretch without bone on the line from one body to the next; None where there is none."""
    assert upper.frame is not None
    assert lower.frame is not None
    start, end = upper.frame.centre_xyz_mm, lower.frame.centre_xyz_mm
    if np.linalg.norm(end - start) > _LONGEST_GAP_MM:
        return None
    points = start + np.linspace(0, 1, 101)[:, None] * (end - start)
    index = np.clip(np.rint(grid.to_ijk(points)).astype(int), 0, np.array(grid.shape) - 1)
    free = ~bone[tuple(index.T)]
    return np.asarray(points[free].mean(axis=0)) if free.any() else None


def _mark_ball(mask: NDArray[np.bool_], grid: Grid, centre_xyz_mm: NDArray[np.float64], radius_mm: float) -> None:
    """Set the voxels of a ball."""
    reach = np.ceil(radius_mm / np.array(grid.spacing_mm)).astype(int) + 1
    centre = np.rint(grid.to_ijk(centre_xyz_mm)).astype(int)
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, grid.shape)
    if (low >= high).any():
        return
    block = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    index = np.moveaxis(np.indices([s.stop - s.start for s in block]), 0, -1) + low
    mask[block] |= np.linalg.norm(grid.to_xyz_mm(index) - centre_xyz_mm, axis=-1) <= radius_mm


def _within_mm(lesion: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Voxels within `NEAR_MM` of the centre of a lesion."""
    near = np.zeros(grid.shape, dtype=np.bool_)
    _mark_ball(near, grid, grid.to_xyz_mm(np.argwhere(lesion).mean(axis=0)), NEAR_MM)
    return near


def _near(tissue: NDArray[np.bool_], near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of a tissue is near, or all of it where that is too little."""
    close = tissue & near
    return close if np.count_nonzero(close) >= _FEWEST_VOXELS else tissue


def _median(array: NDArray[Any], place: NDArray[np.bool_]) -> float | None:
    """Median over a tissue, None where there is too little of it."""
    return float(np.median(array[place])) if np.count_nonzero(place) >= _FEWEST_VOXELS else None
