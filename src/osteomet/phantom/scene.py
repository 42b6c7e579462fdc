"""What a grid sees of a phantom, whatever the scanner: bones, their depth, deposits and the labels of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import LesionType
from osteomet.phantom.body import Body
from osteomet.phantom.deposits import Deposit
from osteomet.phantom.mimics import MIMICS
from osteomet.phantom.shapes import Warp, cut, warped_points

BREACH_MM = 2.0
"""How far a lytic metastasis that breaks the cortex is labelled outside of the bone."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Bones on a grid. ``points_mm`` are the voxel centres in the unwarped frame, shape (i, j, k, 3).

    ``owner`` and ``part`` name the nearest bone everywhere near bone, inside and outside; ``depth_mm`` is the distance
    below its surface, negative outside.
    """

    grid: Grid
    warp: Warp
    points_mm: NDArray[np.float32]
    owner: NDArray[np.uint8]
    part: NDArray[np.uint8]
    depth_mm: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LobeInScene:
    """One lobe of a deposit where the grid sees it.

    ``box`` is the block of voxels it can touch; ``distance_mm`` (negative inside), ``share`` (0–1, what it takes of the
    voxel) and ``own`` (whether the voxel belongs to its bone) have the shape of that block. ``number`` counts
    metastases from 1 in the order of the deposits.
    """

    deposit: Deposit
    number: int
    kind: LesionType
    box: tuple[slice, slice, slice]
    distance_mm: NDArray[np.float32]
    share: NDArray[np.float32]
    own: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Labels of a scene, all on its grid, uint8.

    ``bones`` holds vocabulary ids, ``parts`` the parts of vertebrae, ``lesions`` the instance number of metastases,
    ``lesion_kinds`` 1 for lytic and 2 for sclerotic voxels, ``mimics`` the place in `MIMICS`, counted from 1.
    """

    bones: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    lesions: NDArray[np.uint8]
    lesion_kinds: NDArray[np.uint8]
    mimics: NDArray[np.uint8]


def view_body(body: Body, grid: Grid, *, margin_mm: float) -> Scene:
    """Cut the bones of a body by a grid; depth is right inside and up to ``margin_mm`` outside of bone."""
    points = warped_points(grid, body.warp)
    found = cut(body.bones, points, grid, body.warp, margin_mm=margin_mm)
    return Scene(grid, body.warp, points, found.owner, found.part, -found.distance_mm)


def lobes_in(scene: Scene, deposits: Sequence[Deposit]) -> Iterator[LobeInScene]:
    """Every lobe that the grid sees, in the order in which they are laid down."""
    number = 0
    for deposit in deposits:
        number += deposit.is_metastasis
        for lobe, kind in enumerate(deposit.types):
            reach = float(deposit.lobes_mm[lobe, 3]) + deposit.ripple_mm + 3 * deposit.edge_mm
            box = _box(deposit.lobes_mm[lobe, :3], reach, scene.grid, scene.warp)
            if box is None:
                continue
            distance = deposit.distance_mm(scene.points_mm[box], lobe)
            own = scene.owner[box] == deposit.owner
            share = np.clip(0.5 - distance / (2 * deposit.edge_mm), 0, 1).astype(np.float32) * own
            yield LobeInScene(deposit, number, kind, box, distance, share, own)


def label_scene(scene: Scene, lobes: Sequence[LobeInScene]) -> Truth:
    """Label bones, metastases and mimics; where they overlap, the later one has the voxel."""
    shape = scene.grid.shape
    lesions, kinds, mimics = (np.zeros(shape, dtype=np.uint8) for _ in range(3))
    for lobe in lobes:
        breaks_out = lobe.deposit.breach and lobe.kind is LesionType.LYTIC
        inside = (lobe.distance_mm < 0) & lobe.own & (scene.depth_mm[lobe.box] > (-BREACH_MM if breaks_out else 0.0))
        if lobe.deposit.is_metastasis:
            lesions[lobe.box][inside] = lobe.number
            kinds[lobe.box][inside] = 1 if lobe.kind is LesionType.LYTIC else 2
        else:
            mimics[lobe.box][inside] = MIMICS.index(lobe.deposit.cause) + 1
    is_bone = scene.depth_mm > 0
    bones = np.where(is_bone, scene.owner, 0).astype(np.uint8)
    parts = np.where(is_bone, scene.part, 0).astype(np.uint8)
    return Truth(bones, parts, lesions, kinds, mimics)


def _box(centre: NDArray[np.float64], reach_mm: float, grid: Grid, warp: Warp) -> tuple[slice, slice, slice] | None:
    """Block of voxels that a ball in the unwarped frame can touch, None when it lies outside of the grid."""
    place = centre - warp.shift_mm(centre[None])[0]
    reach = reach_mm + warp.steepest * (reach_mm + float(np.linalg.norm(place - centre)))
    step = reach * np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    index = grid.to_ijk(place)
    start = np.maximum(np.floor(index - step), 0).astype(int)
    stop = np.minimum(np.ceil(index + step) + 1, grid.shape).astype(int)
    if (start >= stop).any():
        return None
    i, j, k = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return i, j, k
