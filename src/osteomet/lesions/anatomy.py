"""The vertebrae and sacrum of a bone map, each in its own box and with its own frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import FormatError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.vocabulary import COLUMN
from osteomet.core.volume import LabelMap
from osteomet.image.components import drop_small, label_components, largest_components
from osteomet.lesions.boxes import Box, find_boxes, nearest_labels, origin_of
from osteomet.lesions.frame import Frame, estimate_frame

UNDETERMINED = "vertebra"
SACRUM = "sacrum"
ELEMENTS = ("body", "posterior_left", "posterior_right", "spinous_process")
"""Parts of a vertebra that body, arch and mid-sagittal plane can tell apart; all are in `core.vocabulary.SUBSITES`."""

MIDLINE_MM = 5.0
"""Half width of the strip about the mid-sagittal plane in which the arch can only be the spinous process."""

_SMALLEST_BODY_ML = 0.5
_NEIGHBOUR_MM = 90.0


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One vertebra, or the sacrum.

    Parameters
    ----------
    name
        From the vocabulary; several levels are named ``vertebra`` where numbers could not be told.
    box
        Its block of the whole map.
    grid
        Grid of that block.
    mask, body, arch
        Its voxels, and those of its body (the largest piece) and of its posterior elements, in the block.
    centroid_xyz_mm
        Mean of its voxel centres, LPS mm.
    frame
        None without a body of 0.5 ml (sacrum, C1, a body outside the field of view).
    complete, body_complete
        Whether it, and its body, keep clear of the border of the field of view.
    """

    name: str
    box: Box
    grid: Grid
    mask: NDArray[np.bool_]
    body: NDArray[np.bool_]
    arch: NDArray[np.bool_]
    centroid_xyz_mm: NDArray[np.float64]
    frame: Frame | None
    complete: bool
    body_complete: bool

    def holds(self, ijk: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Tell which voxels of the whole map, shape (n, 3), belong to it."""
        index = ijk - origin_of(self.box)
        inside = np.asarray(((index >= 0) & (index < self.mask.shape)).all(axis=1))
        inside[inside] = self.mask[tuple(index[inside].T)]
        return inside

    def elements_at(self, ijk: NDArray[np.integer[Any]]) -> NDArray[np.int8]:
        """Element of each voxel, as index into `ELEMENTS`; −1 for one that is in none, or whose side is not known.

        ``ijk`` are indices of the whole map, shape (n, 3), inside ``mask``.

        Notes
        -----
        Sides are those of the mid-sagittal plane of the vertebra itself. The spinal canal is wider than twice
        `MIDLINE_MM`, so an arch voxel that near to the plane belongs to the spinous process or to the seam of the
        laminae; pedicles, facets and transverse processes lie outside. C1, which has no spinous process, has no frame.
        """
        index = ijk - origin_of(self.box)
        at = tuple(index.T)
        elements = np.where(self.body[at], 0, -1).astype(np.int8)
        if self.frame is not None:
            left_mm = self.frame.to_local_mm(self.grid.to_xyz_mm(index))[:, 0]
            side = np.select([left_mm > MIDLINE_MM, left_mm < -MIDLINE_MM], [1, 2], default=3)
            elements = np.where(self.arch[at], side, elements).astype(np.int8)
        return elements


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """Bones of a study, with the levels of the spine among them from head to foot."""

    bones: LabelMap
    levels: tuple[Level, ...]


def read_anatomy(bones: LabelMap, parts: LabelMap, *, field_of_view: Grid) -> Anatomy:
    """Find the levels of the spine in a bone map.

    Parameters
    ----------
    bones
        Bones, named by the vocabulary.
    parts
        ``body`` and ``posterior`` of the vertebrae, on the same grid.
    field_of_view
        Grid of the acquired image: what touches its border may go on outside. Pass ``bones.grid`` where it is that.

    Returns
    -------
    Levels are sorted by the z of their centroid; there are none where the map shows no vertebra and no sacrum.

    Raises
    ------
    GeometryError
        If the maps lie on different grids.
    FormatError
        If ``parts`` does not name ``body`` and ``posterior``.

    Notes
    -----
    Vertebrae of undetermined level share one label. They are told apart by their bodies (components over 6 neighbours,
    at least 0.5 ml); their other voxels go to the nearest body.
    """
    check_same_grid(bones.grid, parts.grid, names=("bones", "vertebra parts"))
    if not {"body", "posterior"} <= set(parts.labels):
        raise FormatError("the map of vertebra parts must name body and posterior", got=str(dict(parts.labels)))
    names = {label: name for name, label in bones.labels.items() if name in (*COLUMN, UNDETERMINED, SACRUM)}
    levels = [
        level
        for label, box in find_boxes(bones.array).items()
        if label in names
        for level in _levels_of(names[label], label, box, (bones, parts, field_of_view))
    ]
    levels.sort(key=lambda level: -level.centroid_xyz_mm[2])
    return Anatomy(bones, tuple(_with_frames(levels)))


def _levels_of(name: str, label: int, box: Box, maps: tuple[LabelMap, LabelMap, Grid]) -> Iterator[Level]:
    """Levels that one label stands for, without frames."""
    bones, parts, field_of_view = maps
    mask = bones.array[box] == label
    grid = bones.grid.crop(origin_of(box).tolist(), mask.shape)
    is_body = mask & (parts.array[box] == parts.labels["body"]) & (name != SACRUM)
    is_arch = mask & (parts.array[box] == parts.labels["posterior"]) & (name != SACRUM)
    for own in _separate(mask, is_body, grid) if name == UNDETERMINED else [mask]:
        body = largest_components(own & is_body, 1)
        yield Level(
            name=name,
            box=box,
            grid=grid,
            mask=own,
            body=body,
            arch=own & is_arch,
            centroid_xyz_mm=_centroid(own, grid),
            frame=None,
            complete=not _touches_border(own, grid, field_of_view),
            body_complete=not _touches_border(body, grid, field_of_view),
        )


def _separate(mask: NDArray[np.bool_], body: NDArray[np.bool_], grid: Grid) -> Iterator[NDArray[np.bool_]]:
    """Vertebrae of one label, told apart by their bodies."""
    bodies, n = label_components(drop_small(body, grid, _SMALLEST_BODY_ML, connectivity=6), connectivity=6)
    if n < 2:
        yield mask
        return
    territory = nearest_labels(bodies, grid.spacing_mm)
    yield from (mask & (territory == number) for number in range(1, n + 1))


def _with_frames(levels: list[Level]) -> Iterator[Level]:
    """Add frames, with the line through the neighbouring bodies as first guess of the superior axis."""
    seen = [np.count_nonzero(level.body) * level.grid.voxel_volume_ml >= _SMALLEST_BODY_ML for level in levels]
    spine = [_centroid(level.body, level.grid) for level, has_body in zip(levels, seen, strict=True) if has_body]
    position = 0
    for level, has_body in zip(levels, seen, strict=True):
        if not has_body:
            yield level
            continue
        here = spine[position]
        near = [c for c in spine[max(position - 1, 0) : position + 2] if np.linalg.norm(c - here) <= _NEIGHBOUR_MM]
        line = near[0] - near[-1]
        towards_head = line if line[2] > np.linalg.norm(line) / 2 else np.array([0.0, 0.0, 1.0])
        position += 1
        yield replace(level, frame=estimate_frame(level.mask, level.body, level.grid, towards_head=towards_head))


def _centroid(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    """Mean of the voxel centres, LPS mm."""
    return np.asarray(grid.to_xyz_mm(np.argwhere(mask)).mean(axis=0))


def _touches_border(mask: NDArray[np.bool_], grid: Grid, field_of_view: Grid) -> bool:
    """Tell whether a voxel lies within one voxel of the border of the field of view, or beyond it."""
    if not mask.any():
        return False
    index = field_of_view.to_ijk(grid.to_xyz_mm(np.argwhere(mask)))
    spacing = np.array(field_of_view.spacing_mm)
    to_border_mm = (np.minimum(index, np.array(field_of_view.shape) - 1 - index) + 0.5) * spacing
    # A voxel of another grid may stop short of the border by its own extent along that axis of the field of view.
    extent = np.abs(field_of_view.direction.T @ grid.affine[:3, :3]).sum(axis=1)
    return bool((to_border_mm < np.maximum(spacing / 2, extent) + 1e-6).any())
