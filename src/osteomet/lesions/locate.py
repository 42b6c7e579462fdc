"""Which bone a lesion belongs to, and which part of a vertebra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteomet.core.errors import GeometryError
from osteomet.core.volume import LabelMap
from osteomet.lesions.anatomy import ELEMENTS, Anatomy, Level
from osteomet.lesions.boxes import Box, find_boxes, grow_box, origin_of

REACH_MM = 10.0
"""A voxel outside bone belongs to the nearest bone no farther away than this."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a lesion sits.

    ``site`` is the name of the bone; ``subsite`` the part of a vertebra, None for other bones and where it cannot be
    told. ``inside_fraction``, 0–1, is the share of the lesion inside labelled bone: low for one with a large part in
    soft tissue, or for a bone so destroyed that it was not recognised.
    """

    site: str
    subsite: str | None
    inside_fraction: float


def locate_lesions(instances: NDArray[Any], anatomy: Anatomy) -> dict[int, Site | None]:
    """Find the site of every lesion of an instance map.

    Parameters
    ----------
    instances
        Lesions on the grid of ``anatomy.bones``, 0 is background; an empty map gives an empty dictionary.
    anatomy
        Bones and levels.

    Returns
    -------
    None for a lesion with no bone within `REACH_MM`: nothing that this program could call a bone metastasis.

    Raises
    ------
    GeometryError
        If instances and bones differ in shape.

    Notes
    -----
    Every voxel votes for the bone it lies in, or else for the nearest one within reach; the bone with most votes is the
    site (the lower label among equals). So a lesion that has destroyed most of its bone, or grown out of it, still gets
    that bone. Within a vertebra the nearest bone voxels vote likewise for its parts, and sides are those of the
    vertebra, not of the patient's axes (`anatomy.Level.elements_at`).
    """
    if instances.shape != anatomy.bones.grid.shape:
        raise GeometryError(
            "instances and bones differ in shape", got=f"{instances.shape} against {anatomy.bones.grid.shape}"
        )
    names = {label: name for name, label in anatomy.bones.labels.items()}
    sites: dict[int, Site | None] = {}
    for lesion, box in find_boxes(instances).items():
        anchors, inside_fraction = _anchors(instances[box] == lesion, box, anatomy.bones)
        if not len(anchors):
            sites[lesion] = None
            continue
        labels = anatomy.bones.array[tuple(anchors.T)]
        label = int(np.bincount(labels).argmax())
        subsite = _subsite(anchors[labels == label], [level for level in anatomy.levels if level.name == names[label]])
        sites[lesion] = Site(names[label], subsite, inside_fraction)
    return sites


def _anchors(mask: NDArray[np.bool_], box: Box, bones: LabelMap) -> tuple[NDArray[np.intp], float]:
    """Bone voxel nearest to each lesion voxel, shape (n, 3), where one is in reach; and the share of voxels in bone."""
    grown = grow_box(box, bones.grid.shape, margin_mm=REACH_MM, spacing_mm=bones.grid.spacing_mm)
    start = origin_of(grown)
    empty = bones.array[grown] == 0
    voxels = np.argwhere(mask) + origin_of(box) - start
    outside = empty[tuple(voxels.T)]
    if not outside.any():
        return voxels + start, 1.0
    if empty.all():
        return voxels[:0], 0.0
    distance, index = ndimage.distance_transform_edt(empty, sampling=bones.grid.spacing_mm, return_indices=True)
    in_reach = voxels[distance[tuple(voxels.T)] <= REACH_MM]
    return index[:, *in_reach.T].T + start, float(1 - outside.mean())


def _subsite(ijk: NDArray[np.intp], levels: list[Level]) -> str | None:
    """Part of a vertebra that holds most of the voxels."""
    votes = np.zeros(len(ELEMENTS), dtype=np.int64)
    for level in levels:
        elements = level.elements_at(ijk[level.holds(ijk)])
        votes += np.bincount(elements[elements >= 0], minlength=len(ELEMENTS))
    return ELEMENTS[int(votes.argmax())] if votes.any() else None
