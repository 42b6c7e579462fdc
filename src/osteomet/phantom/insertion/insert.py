"""Metastases put into a real scan: the scan's own noise, texture and blur stay, and the truth is known.

A lesion is a shape on a lattice finer than the scan. On that lattice it says, point by point, which share of the old
signal is kept and what is added; both are averaged over the voxels of the scan and blurred like the scan before they
are applied. Where old signal goes its noise goes with it, so noise of the same deviation and grain is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, gaussian_filter

from osteomet.core.errors import InputError, UsageError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.vocabulary import STRUCTURES, LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Volume
from osteomet.image.components import bounding_box
from osteomet.image.distance import distance_inside_mm, distance_to_mm
from osteomet.phantom.geometry.shapes import STILL, warped_points
from osteomet.phantom.insertion.signal import Change, Surroundings, change_signal, describe_surroundings
from osteomet.phantom.lesions.deposits import Deposit
from osteomet.phantom.lesions.metastases import Disease, draw_disease, draw_metastasis
from osteomet.phantom.lesions.sites import STEP_MM, Place, Ray, labelled_odds
from osteomet.phantom.scene import KIND_CODES, LobeInScene, Scene, label_scene, lobes_in
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones, bone_from_mask

Box = tuple[slice, slice, slice]

LEAST_DEPTH_MM = 3.0
"""A bone takes lesions if it is at least this deep somewhere, from its surface inwards."""

SMALLEST_MM3 = 14.0
"""A lesion smaller than this, a ball of 3 mm across, is drawn again."""

APART_MM = 3.0
"""Lesions stay at least this far from each other, so that each is an instance of its own."""

_BEYOND = 0.25
"""Share of what a lesion exceeds the densest bone, or the brightest tissue, by."""

_MARGIN_MM = 12.0
_TRIES_A_LESION = 60
_POINTS_ACROSS = 80
_FINEST_MM, _COARSEST_MM = 0.6, 1.5
_MARROW = KIND_CODES[LesionType.MARROW]


@dataclass(frozen=True, slots=True)
class InsertedLesion:
    """What one inserted lesion is; ``volume_ml`` is that of the shape, not of its voxels."""

    number: int
    type: LesionType
    site: str
    volume_ml: float


@dataclass(frozen=True, slots=True, eq=False)
class Insertion:
    """A scan with lesions: ``lesions`` names each ``lesion_N``, ``kinds`` tells what each of their voxels became."""

    volume: Volume
    lesions: LabelMap
    kinds: LabelMap
    inserted: tuple[InsertedLesion, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A lesion on its fine lattice: lobes, kinds of its voxels, and the block of the scan that the lattice fills."""

    deposit: Deposit
    scene: Scene
    lobes: Sequence[LobeInScene]
    kinds: NDArray[np.uint8]
    box: Box
    factors: tuple[int, int, int]


def insert_metastases(
    image: Volume,
    bones: LabelMap,
    rng: np.random.Generator,
    *,
    n: int,
    role: SequenceRole,
    progress: Callable[[int, int], None],
) -> Insertion:
    """Put ``n`` metastases into a scan.

    Parameters
    ----------
    image
        A CT in HU or an MR of any scale.
    bones
        Bones by vocabulary id, on the same grid.
    n
        Number of lesions, at least 0.
    role
        What the scan is: decides what a metastasis looks like on it.
    progress
        Called with how many lesions are in and how many there will be.

    Raises
    ------
    UsageError
        If ``n`` is negative or the role has no single image.
    GeometryError
        If scan and bones differ in geometry.
    InputError
        If no bone is big enough, or the bones have no room for so many.
    """
    if n < 0:
        raise UsageError(
            "the number of lesions is not negative", expected="0 or more", got=str(n), remedy="ask for 1 or more"
        )
    check_same_grid(image.grid, bones.grid, names=("the image", "the bones"))
    places, disease = _Places(bones), draw_disease(rng)
    result = _untouched(image, _type_for(n))
    for number in range(1, n + 1):
        shape, around = _find_room(image, bones, result.lesions.array, places, rng, disease, role)
        result = _with_lesion(result, shape, around, rng)
        progress(number, n)
    return result


def insert_deposit(
    image: Volume, bones: LabelMap, deposit: Deposit, around: Surroundings, rng: np.random.Generator
) -> Insertion:
    """Put one given metastasis into a scan that looks like ``around`` there."""
    return _with_lesion(_untouched(image, np.uint8), shape_on(bones, deposit), around, rng)


def _untouched(image: Volume, dtype: type[np.unsignedinteger[Any]]) -> Insertion:
    """A scan without lesions so far."""
    empty = LabelMap(np.zeros(image.grid.shape, dtype), image.grid, {})
    names = {kind.value: code for kind, code in KIND_CODES.items()}
    return Insertion(image, empty, LabelMap(np.zeros(image.grid.shape, np.uint8), image.grid, names), ())


def _type_for(n: int) -> type[np.unsignedinteger[Any]]:
    """Smallest unsigned type that counts to ``n``."""
    return np.uint8 if n < 256 else np.uint16


def _with_lesion(before: Insertion, shape: Shape, around: Surroundings, rng: np.random.Generator) -> Insertion:
    """The scan with one lesion more."""
    number = len(before.inserted) + 1
    lesions, kinds, array = (np.array(x.array) for x in (before.lesions, before.kinds, before.volume))
    own = _occupancy(shape.kinds > 0, shape.factors) >= 0.5
    lesions[shape.box][own] = number
    kinds[shape.box][own] = _kind_of_voxels(shape, around.role)[own]
    change = change_signal(shape.scene, shape.lobes, around, rng)
    _apply(array, shape, change, around, rng)
    kind = shape.deposit.lesion_type if around.role is SequenceRole.CT else LesionType.MARROW
    site = next(s.name for s in STRUCTURES.values() if s.id == shape.deposit.owner)
    volume_ml = float(np.count_nonzero(shape.kinds)) * shape.scene.grid.voxel_volume_ml
    inserted = (*before.inserted, InsertedLesion(number, kind, site, volume_ml))
    labels = LabelMap(lesions, before.lesions.grid, {f"lesion_{x.number}": x.number for x in inserted})
    kinds_map = LabelMap(kinds, before.kinds.grid, before.kinds.labels)
    return Insertion(before.volume.with_array(array), labels, kinds_map, inserted)


def _kind_of_voxels(shape: Shape, role: SequenceRole) -> NDArray[np.uint8]:
    """Code of the kind that fills most of each voxel of the block."""
    if role is not SequenceRole.CT:
        return np.full([n // f for n, f in zip(shape.kinds.shape, shape.factors, strict=True)], _MARROW, np.uint8)
    lytic, sclerotic = (
        _occupancy(shape.kinds == KIND_CODES[kind], shape.factors) for kind in (LesionType.LYTIC, LesionType.SCLEROTIC)
    )
    codes = np.where(sclerotic > lytic, KIND_CODES[LesionType.SCLEROTIC], KIND_CODES[LesionType.LYTIC])
    return np.asarray(codes, dtype=np.uint8)


class _Places:
    """Bones that are big enough for a lesion, and points in them."""

    def __init__(self, bones: LabelMap) -> None:
        self._grid, self._labels = bones.grid, bones.array
        self._deep: dict[int, NDArray[np.intp]] = {}
        volumes: dict[int, float] = {}
        for owner, box in enumerate(find_objects(bones.array), start=1):
            if box is None:
                continue
            mask = bones.array[box] == owner
            depth = distance_inside_mm(np.pad(mask, 1), bones.grid.spacing_mm)[1:-1, 1:-1, 1:-1]
            if float(depth.max()) >= LEAST_DEPTH_MM:
                deep = np.argwhere(depth >= min(LEAST_DEPTH_MM, float(depth.max())))
                self._deep[owner] = deep + [part.start for part in box]
                volumes[owner] = float(np.count_nonzero(mask)) * bones.grid.voxel_volume_mm3
        if not volumes:
            raise InputError(
                "no bone is big enough for a lesion",
                expected=f"a bone that is {LEAST_DEPTH_MM:g} mm deep somewhere",
                got=", ".join(bones.present()) or "no bone",
                remedy="pass a map that labels whole bones on the grid of the scan",
            )
        self._odds = labelled_odds(volumes)

    def draw(self, rng: np.random.Generator) -> tuple[int, NDArray[np.float64]]:
        """A bone and a point in it, LPS mm."""
        owner = int(rng.choice(list(self._odds), p=list(self._odds.values())))
        voxels = self._deep[owner]
        return owner, self._grid.to_xyz_mm(voxels[int(rng.integers(len(voxels)))] + rng.uniform(-0.5, 0.5, 3))

    def look(self, start: NDArray[np.float64], direction: NDArray[np.float64], *, length_mm: float) -> Ray:
        """What lies along a line, as far as a map of bones tells: inside (1 mm deep) or outside (1 mm away)."""
        points = start + np.arange(int(length_mm / STEP_MM))[:, None] * STEP_MM * direction
        index = np.clip(np.rint(self._grid.to_ijk(points)).astype(int), 0, np.array(self._grid.shape) - 1)
        owner = self._labels[tuple(index.T)]
        return Ray(np.where(owner > 0, 1, -1).astype(np.float32), owner.astype(np.uint8))


def _find_room(
    image: Volume,
    bones: LabelMap,
    lesions: NDArray[Any],
    places: _Places,
    rng: np.random.Generator,
    disease: Disease,
    role: SequenceRole,
) -> tuple[Shape, Surroundings]:
    """Draw lesions until one is big enough and touches no other."""
    for _ in range(_TRIES_A_LESION):
        owner, centre = places.draw(rng)
        if lesions[tuple(np.rint(image.grid.to_ijk(centre)).astype(int).clip(0, np.array(image.grid.shape) - 1))]:
            continue
        around = describe_surroundings(image, bones, owner, centre, role)
        place = Place(owner, 0, centre)
        deposit = draw_metastasis(rng, place, disease, places.look, marrow_hu=around.marrow)
        shape = shape_on(bones, deposit)
        if np.count_nonzero(shape.kinds) * shape.scene.grid.voxel_volume_mm3 < SMALLEST_MM3:
            continue
        own = _occupancy(shape.kinds > 0, shape.factors) >= 0.5
        if own.any() and not _touches(own, lesions[shape.box], image.grid):
            return shape, around
    raise InputError(
        "the bones have no room for so many lesions",
        expected=f"bone at least {APART_MM:g} mm away from every lesion before",
        got=f"{len(np.unique(lesions)) - 1} placed, none more after {_TRIES_A_LESION} tries",
        remedy="ask for fewer with --lesions",
    )


def shape_on(bones: LabelMap, deposit: Deposit) -> Shape:
    """Lay a deposit on a lattice that divides the voxels of the scan about it."""
    reach_mm = float(deposit.lobes_mm[:, 3].max()) * deposit.longest + deposit.ripple_mm + 3 * deposit.edge_mm
    centres = deposit.lobes_mm[:, :3]
    box = _box_about(centres.min(axis=0) - reach_mm, centres.max(axis=0) + reach_mm, bones.grid)
    size = [part.stop - part.start for part in box]
    grid = bones.grid.crop([part.start for part in box], size)
    fine_mm = float(np.clip(max(grid.extent_mm) / _POINTS_ACROSS, _FINEST_MM, _COARSEST_MM))
    # Odd numbers: then no voxel is exactly half full, and labels neither gain nor lose by ties.
    i, j, k = (2 * int(np.ceil(s / fine_mm - 1e-6) // 2) + 1 for s in grid.spacing_mm)
    fine = grid.with_spacing([s / f for s, f in zip(grid.spacing_mm, (i, j, k), strict=True)])
    points = warped_points(fine, STILL)
    found = _bones_near(bones, box).cut(points, fine, STILL)
    scene = Scene(fine, STILL, points, found.owner, found.part, -found.distance_mm)
    lobes = list(lobes_in(scene, [deposit]))
    return Shape(deposit, scene, lobes, label_scene(scene, lobes).lesion_kinds, box, (i, j, k))


def _bones_near(bones: LabelMap, box: Box) -> LabelledBones:
    """Bones in and about a block of the map; one that the map cuts off goes on beyond its border."""
    margins = [int(np.ceil(_MARGIN_MM / s)) for s in bones.grid.spacing_mm]
    start = [part.start - m for part, m in zip(box, margins, strict=True)]
    index = [
        np.clip(np.arange(a, part.stop + m), 0, n - 1)
        for a, part, m, n in zip(start, box, margins, bones.grid.shape, strict=True)
    ]
    block = bones.array[np.ix_(*index)]
    grid = bones.grid.crop(start, block.shape)
    return LabelledBones(tuple(bone_from_mask(block == v, grid, owner=int(v)) for v in np.unique(block) if v))


def _box_about(low_mm: NDArray[np.float64], high_mm: NDArray[np.float64], grid: Grid) -> Box:
    """Block of voxels about a box in the patient, with a voxel or two to spare for blur, clipped to the scan."""
    picks = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
    index = grid.to_ijk(np.where(picks, high_mm, low_mm))
    start = np.clip(np.floor(index.min(axis=0)) - 2, 0, np.array(grid.shape) - 1).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)) + 3, start + 1, grid.shape).astype(int)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return i, j, k


def _occupancy(fine: NDArray[Any], factors: tuple[int, int, int]) -> NDArray[np.float32]:
    """Mean over the lattice points of each voxel."""
    i, j, k = (n // f for n, f in zip(fine.shape, factors, strict=True))
    blocks = fine.reshape(i, factors[0], j, factors[1], k, factors[2])
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32))


def _touches(own: NDArray[np.bool_], others: NDArray[Any], grid: Grid) -> bool:
    """Whether a lesion comes nearer than `APART_MM` to another one, counted from voxel to voxel."""
    if not others.any():
        return False
    return bool(distance_to_mm(own, grid.spacing_mm)[others > 0].min() <= APART_MM + max(grid.spacing_mm))


def _apply(
    array: NDArray[Any],
    shape: Shape,
    change: Change,
    around: Surroundings,
    rng: np.random.Generator,
) -> None:
    """Change the voxels of one lesion in place; values stay whole where the scan's are, and in its steps."""
    keep, add = (
        gaussian_filter(_occupancy(part, shape.factors), around.blur, mode="nearest", truncate=3.0)
        for part in (change.keep, change.add)
    )
    touched = (keep < 1 - 1e-3) | (np.abs(add) > 1e-3 * max(abs(around.marrow), 1.0))
    if bounding_box(touched) is None:
        return
    old = array[shape.box].astype(np.float32)
    lost = np.sqrt(np.clip(1 - keep**2, 0, 1))
    new = keep * old + add + lost * around.noise.draw(old.shape, rng)
    top = np.maximum(old, around.brightest)
    new = np.where(new > top, top + _BEYOND * (new - top), new)
    if around.role is not SequenceRole.CT:
        new = np.maximum(new, 0)
    if array.dtype.kind == "i":
        new = np.rint(new / around.step) * around.step
        new = np.clip(new, np.iinfo(array.dtype).min, np.iinfo(array.dtype).max)
    array[shape.box][touched] = new[touched].astype(array.dtype)
