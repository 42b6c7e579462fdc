"""From the classes that a bone network tells apart to named bones and the parts of vertebrae."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from osteomet.core.errors import ModelError
from osteomet.core.findings import Abstention
from osteomet.core.grid import Grid
from osteomet.core.lesion import PointMm
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, present_labels
from osteomet.image.components import bounding_box, drop_small
from osteomet.image.distance import distance_to_mm
from osteomet.inference.arches import assign_arches
from osteomet.inference.cavities import fill_cavities
from osteomet.inference.numbering import Column, Numbering, number_vertebrae
from osteomet.inference.pelvis import SMALLEST_BONE_ML, component_centres, find_pelvis
from osteomet.inference.vertebrae import ANCHOR_ML, Bodies, find_bodies
from osteomet.lesions.boxes import nearest_labels

PARTS = {"body": 1, "posterior": 2}
"""Labels of the part map."""
CORES = ("core_cervical", "core_thoracic", "core_lumbar")
BONE_OUTPUTS = (
    "background", *CORES, "body_rim", "posterior", "sacrum",
    "hip_left", "hip_right", "femur_left", "femur_right", "rib", "sternum",
)  # fmt: skip
"""Classes that a bone network may tell apart; the last ones may be missing, the column may not."""
BONE_STRUCTURES = {
    f"{bone}_{side}": tuple(f"{structure}_{side}" for structure in structures)
    for bone, structures in (
        ("hip", ("ilium", "acetabulum", "ischium", "pubis")),
        ("femur", ("femoral_head", "femoral_neck")),
    )
    for side in ("left", "right")
}
"""Classes that a network may have in place of a whole bone, or beside the rest of it."""

_NOT_VERTEBRAL = BONE_OUTPUTS[6:]
_NEEDED = {"background", *CORES, "body_rim", "posterior"}
_RIM_REACH_MM = 15.0
_EDGE_VOXELS = 0.75
_RIB_TOUCH_MM = 6.0
_COLUMN_REACH_MM = 80.0


@dataclass(frozen=True, slots=True)
class Vertebra:
    """One vertebra that the field of view shows.

    ``confidence`` is the probability of the name, ``centroid_xyz_mm`` the centre of the body (LPS mm). ``complete`` and
    ``body_complete`` tell whether the edge of the field of view leaves all of it, or its body, uncut.
    """

    name: str
    confidence: float
    centroid_xyz_mm: PointMm
    complete: bool
    body_complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class Bones:
    """Bones of one scan on one grid.

    ``structures`` has the ids and names of the vocabulary; vertebral bone that no visible body explains is called
    ``vertebra``. ``parts`` tells body from posterior elements within vertebrae. ``vertebrae`` run from head to foot.
    """

    structures: LabelMap
    parts: LabelMap
    vertebrae: tuple[Vertebra, ...]
    abstentions: tuple[Abstention, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no bone at all."""
        return not self.structures.array.any()


def find_bones(classes: NDArray[np.uint8], outputs: Sequence[str], grid: Grid, *, field_of_view: Grid) -> Bones:
    """Make named bones of a map of classes.

    Parameters
    ----------
    classes
        Index into ``outputs`` of each voxel, shape (i, j, k).
    outputs
        Names of the classes, out of `BONE_OUTPUTS` and `BONE_STRUCTURES`.
    grid
        Where the classes lie.
    field_of_view
        Grid of the scan itself, whose box may be smaller than that of ``grid``.

    Returns
    -------
    Bones
        Without any where no class is called, or crumbs only.

    Raises
    ------
    ModelError
        If the classes are not those of a bone network.
    """
    masks = _masks(classes, outputs)
    cores = np.logical_or.reduce([masks[name] for name in CORES])
    not_vertebral = np.logical_or.reduce([masks[name] for name in _NOT_VERTEBRAL])
    bodies = find_bodies(cores, masks["posterior"], masks["sacrum"], not_vertebral, grid)
    others = {name: drop_small(masks[name], grid, SMALLEST_BONE_ML) for name in ("rib", "sternum")}
    others |= find_pelvis(masks, bodies, grid)
    owner, parts = _vertebral_bone(masks, bodies, others["sacrum"], grid)
    column = Column(
        votes=_votes(masks, bodies),
        spacing_mm=np.diff(bodies.place_mm),
        sacrum_mm=_distance_to_sacrum_mm(bodies, others["sacrum"], grid),
        rib_sides=_rib_sides(owner, bodies, others["rib"], grid) if "rib" in outputs else None,
    )
    numbering = number_vertebrae(column)
    vertebrae = _vertebrae(numbering, bodies, _room_to_edge_mm(owner, parts, grid, field_of_view), grid)
    structures = np.zeros(grid.shape, dtype=np.uint8)
    for name, mask in others.items():
        structures[mask] = STRUCTURES[name].id
    ids = [0, *(STRUCTURES[name].id for name in numbering.names), STRUCTURES["vertebra"].id]
    structures[owner > 0] = np.array(ids, dtype=np.uint8)[owner[owner > 0]]
    fill_cavities(structures, parts, grid)
    _divide_bones(structures, classes, outputs, grid)
    present = set(present_labels(structures))
    return Bones(
        structures=LabelMap(structures, grid, {n: s.id for n, s in STRUCTURES.items() if s.id in present}),
        parts=LabelMap(parts, grid, PARTS),
        vertebrae=vertebrae,
        abstentions=tuple(a for a in (numbering.abstention, _cut_abstention(vertebrae)) if a is not None),
    )


def _masks(classes: NDArray[np.uint8], outputs: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Mask of each class of a bone network, empty where this network does not know it."""
    known = {*BONE_OUTPUTS, *(name for structures in BONE_STRUCTURES.values() for name in structures)}
    if not set(outputs) <= known or not set(outputs) >= _NEEDED:
        raise ModelError(
            "the bone network has other outputs than osteomet can use",
            expected=f"{sorted(_NEEDED)} and any of {sorted(known - _NEEDED)}",
            got=str(list(outputs)),
            remedy="use a model made for this version",
        )
    index = {name: number for number, name in enumerate(outputs)}
    return {
        name: np.isin(classes, [index[x] for x in (name, *BONE_STRUCTURES.get(name, ())) if x in index])
        for name in BONE_OUTPUTS
    }


def _divide_bones(
    structures: NDArray[np.uint8], classes: NDArray[np.uint8], outputs: Sequence[str], grid: Grid
) -> None:
    """Name the structures of hip bones and femora, in place, where the network tells them apart.

    The side is that of the bone, which is known better than that of a voxel; a voxel that the bone has gained takes
    the structure nearest to it.
    """
    other = {"left": "right", "right": "left"}
    for bone, names in BONE_STRUCTURES.items():
        box = bounding_box(structures == STRUCTURES[bone].id)
        if box is None or not set(names) & set(outputs):
            continue
        stem, side = bone.rsplit("_", 1)
        block, called = structures[box], classes[box]
        inside = block == STRUCTURES[bone].id
        fine = np.zeros_like(block)
        for name in (*names, f"{stem}_{side}"):
            pair = (name, f"{name.rsplit('_', 1)[0]}_{other[side]}")
            fine[inside & np.isin(called, [outputs.index(x) for x in pair if x in outputs])] = STRUCTURES[name].id
        if fine.any():
            block[inside] = nearest_labels(fine, grid.spacing_mm)[inside]


def _vertebral_bone(
    masks: dict[str, NDArray[np.bool_]], bodies: Bodies, sacrum: NDArray[np.bool_], grid: Grid
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Tell the vertebra of each voxel by number, one more than their count where none is near, and its part."""
    owner = np.zeros(grid.shape, dtype=np.uint8)
    for number, voxels in enumerate(bodies.voxels, start=1):
        owner[tuple(voxels.T)] = number
    is_body, is_arch = np.logical_or.reduce([masks[name] for name in (*CORES, "body_rim")]), masks["posterior"]
    if bodies.curve is not None:
        _grow(owner, is_body, _RIM_REACH_MM, grid)
        owner += assign_arches(is_arch, owner, bodies.curve, grid)
    unknown = drop_small((is_body | is_arch) & (owner == 0), grid, SMALLEST_BONE_ML)
    owner[_near_column(unknown, bodies, sacrum, grid)] = len(bodies.voxels) + 1
    parts = np.where(owner > 0, np.where(is_arch, PARTS["posterior"], PARTS["body"]), 0).astype(np.uint8)
    return owner, parts


def _near_column(mask: NDArray[np.bool_], bodies: Bodies, sacrum: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Keep components that can be part of the column: near its course and not below the middle of the sacrum."""
    if not mask.any():
        return mask
    labels, centres_mm = component_centres(mask, grid)
    keep = np.ones(len(centres_mm), dtype=np.bool_)
    if bodies.curve is not None:
        keep &= bodies.curve.project(centres_mm)[1] <= _COLUMN_REACH_MM
    if sacrum.sum() * grid.voxel_volume_ml >= ANCHOR_ML:
        keep &= centres_mm[:, 2] > grid.to_xyz_mm(np.argwhere(sacrum))[:, 2].mean()
    return np.asarray(np.concatenate([[False], keep])[labels])


def _grow(owner: NDArray[np.uint8], into: NDArray[np.bool_], reach_mm: float, grid: Grid) -> None:
    """Give voxels of a mask that has owners inside to the nearest of them."""
    box = bounding_box(into)
    assert box is not None
    block = owner[box]
    distance, nearest = distance_transform_edt(block == 0, sampling=grid.spacing_mm, return_indices=True)
    near = into[box] & (distance <= reach_mm)
    block[near] = block[tuple(nearest[:, near])]


def _votes(masks: dict[str, NDArray[np.bool_]], bodies: Bodies) -> NDArray[np.float64]:
    """Share of the voxels of each core in each of the three regions, shape (n, 3)."""
    shares = [[masks[name][tuple(voxels.T)].mean() for name in CORES] for voxels in bodies.voxels]
    return np.array(shares, dtype=np.float64).reshape(-1, len(CORES))


def _distance_to_sacrum_mm(bodies: Bodies, sacrum: NDArray[np.bool_], grid: Grid) -> float | None:
    """From the centre of the last body to the nearest voxel of the sacrum, mm; None unless both are there for sure."""
    if not bodies.voxels or sacrum.sum() * grid.voxel_volume_ml < ANCHOR_ML:
        return None
    centre = grid.to_xyz_mm(bodies.voxels[-1]).mean(axis=0)
    return float(np.linalg.norm(grid.to_xyz_mm(np.argwhere(sacrum)) - centre, axis=1).min())


def _rib_sides(owner: NDArray[np.uint8], bodies: Bodies, ribs: NDArray[np.bool_], grid: Grid) -> NDArray[np.int64]:
    """On how many sides a rib touches each vertebra."""
    touching = np.argwhere((owner > 0) & (distance_to_mm(ribs, grid.spacing_mm) <= _RIB_TOUCH_MM))
    number = owner[tuple(touching.T)]
    x_mm = grid.to_xyz_mm(touching)[:, 0]
    sides = []
    for n, voxels in enumerate(bodies.voxels, start=1):
        from_middle_mm = x_mm[number == n] - grid.to_xyz_mm(voxels).mean(axis=0)[0]
        sides.append(int((from_middle_mm > 0).any()) + int((from_middle_mm < 0).any()))
    return np.array(sides, dtype=np.int64)


def _vertebrae(numbering: Numbering, bodies: Bodies, room_mm: NDArray[np.float64], grid: Grid) -> tuple[Vertebra, ...]:
    """Put together what is known of each vertebra."""
    clear = (room_mm > _EDGE_VOXELS * max(grid.spacing_mm)).tolist()
    found = []
    for number, (name, confidence) in enumerate(zip(numbering.names, numbering.confidences, strict=True)):
        x, y, z = (float(v) for v in grid.to_xyz_mm(bodies.voxels[number]).mean(axis=0))
        body, arch = (part[number + 1] for part in clear)
        found.append(Vertebra(name, confidence, (x, y, z), complete=body and arch, body_complete=body))
    return tuple(found)


def _room_to_edge_mm(
    owner: NDArray[np.uint8], parts: NDArray[np.uint8], grid: Grid, field_of_view: Grid
) -> NDArray[np.float64]:
    """Smallest distance of a voxel centre to the edge of the field of view, shape (2 parts, number of the vertebra)."""
    index = np.argwhere(owner)
    ijk = field_of_view.to_ijk(grid.to_xyz_mm(index))
    to_edge_mm = np.minimum(ijk + 0.5, np.array(field_of_view.shape) - 0.5 - ijk) * field_of_view.spacing_mm
    room_mm = np.full((len(PARTS), int(owner.max()) + 1), np.inf)
    where = tuple(index.T)
    np.minimum.at(room_mm, (parts[where].astype(int) - 1, owner[where].astype(int)), to_edge_mm.min(axis=1))
    return room_mm


def _cut_abstention(vertebrae: Sequence[Vertebra]) -> Abstention | None:
    """Name the vertebrae whose bodies the field of view cuts."""
    cut = [vertebra.name for vertebra in vertebrae if not vertebra.body_complete]
    if not cut:
        return None
    what = f"the edge of the field of view cuts {' and '.join(cut)}: heights and volumes there are not whole"
    return Abstention("field_of_view_cropped", what)
