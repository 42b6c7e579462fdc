"""What a grid sees of a phantom, whatever the scanner: bones, their depth, deposits and the labels of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import LesionType
from osteomet.phantom.body import Body
from osteomet.phantom.geometry.shapes import Cut, Warp, cut, warped_points
from osteomet.phantom.geometry.textures import noises
from osteomet.phantom.lesions.deposit_kernels import fuse_lobes
from osteomet.phantom.lesions.deposits import Deposit, Realm
from osteomet.phantom.lesions.hardware import Hardware
from osteomet.phantom.lesions.mimic_names import MIMICS

KIND_CODES = {LesionType.LYTIC: 1, LesionType.SCLEROTIC: 2, LesionType.MARROW: 3}
"""Value of each type of voxel in `Truth.lesion_kinds`."""
_RIM_REACH_MM = 4.0
_CONFLUENT_FROM = 0.6
"""Depth, in radii of the first lobe, from which nine in ten parts of bone are gone where lysis comes as small holes."""


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
    """The lobes of one type of a deposit, fused, where the grid sees them.

    ``box`` is the block of voxels they can touch. All arrays have its shape: ``distance_mm`` (negative inside),
    ``share`` (0–1, what they take of the voxel), ``own`` (whether they may lie there at all: in their bone, or as far
    outside of it as they may grow) and ``grain`` (noise of mean zero, for uneven density, or the struts or the holes of
    a deposit that has some, 0–1). ``number`` counts metastases from 1 in the order of the deposits.
    """

    deposit: Deposit
    number: int
    kind: LesionType
    box: tuple[slice, slice, slice]
    distance_mm: NDArray[np.float32]
    share: NDArray[np.float32]
    own: NDArray[np.bool_]
    grain: NDArray[np.float32]

    @property
    def lysed(self) -> NDArray[np.float32]:
        """Share of the bone of each voxel that lysis takes, 0–1: less than ``share`` where it comes as small holes."""
        return self.share * self.grain if self.deposit.hole_mm else self.share


@dataclass(frozen=True, slots=True, eq=False)
class MetalInScene:
    """Metal on a grid: its share of each voxel (0–1) and its place in `MIMICS`, counted from 1, 0 elsewhere."""

    share: NDArray[np.float32]
    code: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Labels of a scene, all on its grid, uint8.

    ``bones`` holds vocabulary ids, ``parts`` the codes of `parts.PARTS`, ``lesions`` the instance number of metastases,
    ``lesion_kinds`` the `KIND_CODES`, ``mimics`` the place in `MIMICS`, counted from 1.
    """

    bones: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    lesions: NDArray[np.uint8]
    lesion_kinds: NDArray[np.uint8]
    mimics: NDArray[np.uint8]


def view_body(body: Body, grid: Grid, *, margin_mm: float) -> Scene:
    """Cut the bones of a body by a grid; depth is right inside and up to ``margin_mm`` outside of bone.

    Where a deposit that the grid sees leaves its bone by more than that, it is right as far as the deposit grows.
    """
    points = warped_points(grid, body.warp)
    found = cut(body.bones, points, grid, body.warp, margin_mm=margin_mm)
    _widen(found, body, points, grid, margin_mm)
    if body.labelled is not None:
        found = body.labelled.cut(points, grid, body.warp, onto=found)
    return Scene(grid, body.warp, points, found.owner, found.part, -found.distance_mm)


def _widen(found: Cut, body: Body, points: NDArray[np.float32], grid: Grid, margin_mm: float) -> None:
    """Look farther, in place, where deposits leave their bone by more than the margin."""
    for deposit, box in zip(body.deposits, _boxes_of(body.deposits, grid, body.warp), strict=True):
        reach_mm = float(deposit.outgrowth_mm().max()) + 1
        if box is not None and reach_mm > max(margin_mm, 1):
            start, stop = np.array([(s.start, s.stop) for s in box]).T
            near = grid.crop(start.tolist(), (stop - start).tolist())
            farther = cut(body.bones, points[box].copy(), near, body.warp, margin_mm=reach_mm)
            known_mm = found.distance_mm[box]
            unknown = (known_mm > margin_mm) & (farther.distance_mm < known_mm)
            for name in ("distance_mm", "owner", "part"):
                getattr(found, name)[box][unknown] = getattr(farther, name)[unknown]


def lobes_in(scene: Scene, deposits: Sequence[Deposit]) -> Iterator[LobeInScene]:
    """Every deposit that the grid sees, each type of its lobes apart, in the order in which they are laid down."""
    number = 0
    for deposit, box in zip(deposits, _boxes_of(deposits, scene.grid, scene.warp), strict=True):
        number += deposit.is_metastasis
        if box is not None:
            for kind in dict.fromkeys(deposit.types):
                yield _fuse(scene, deposit, number, kind, box)


def metal_in(scene: Scene, hardware: Hardware | None, *, softness_mm: float) -> MetalInScene | None:
    """Share of metal in each voxel and what it is labelled as; None where the grid sees none.

    Its streaks on CT come by `ct.metal.add_metal`, also where metal lies beside the grid in its axial slices.
    """
    if hardware is None:
        return None
    found = cut(hardware.shapes, scene.points_mm, scene.grid, scene.warp, margin_mm=softness_mm)
    share = np.clip(0.5 - found.distance_mm / (2 * softness_mm), 0, 1).astype(np.float32)
    codes = np.array([MIMICS.index(cause) + 1 for cause in hardware.causes], dtype=np.uint8)
    code = np.where(found.distance_mm < 0, codes[0], 0).astype(np.uint8)
    return MetalInScene(share, code)


def label_scene(scene: Scene, lobes: Sequence[LobeInScene], metal: MetalInScene | None = None) -> Truth:
    """Label bones, metastases and mimics; where they overlap, metastases have the voxel, and the later of two."""
    shape = scene.grid.shape
    lesions, kinds, mimics = (np.zeros(shape, dtype=np.uint8) for _ in range(3))
    is_bone = scene.depth_mm > 0
    for lobe in lobes:
        inside = (lobe.distance_mm < 0) & lobe.own
        if lobe.deposit.is_metastasis:
            lesions[lobe.box][inside] = lobe.number
            kinds[lobe.box][inside] = KIND_CODES[lobe.kind]
        else:
            mimics[lobe.box][inside] = MIMICS.index(lobe.deposit.cause) + 1
            if lobe.deposit.realm is Realm.ANYWHERE and lobe.kind is LesionType.LYTIC:
                is_bone[lobe.box] &= ~inside
    if metal is not None:
        mimics[metal.code > 0] = metal.code[metal.code > 0]
    mimics[lesions > 0] = 0
    bones = np.where(is_bone, scene.owner, 0).astype(np.uint8)
    parts = np.where(is_bone, scene.part, 0).astype(np.uint8)
    return Truth(bones, parts, lesions, kinds, mimics)


def _fuse(
    scene: Scene, deposit: Deposit, number: int, kind: LesionType, box: tuple[slice, slice, slice]
) -> LobeInScene:
    """Fuse the lobes of one type within a block of voxels."""
    rows = np.array([k is kind for k in deposit.types])
    shape = scene.depth_mm[box].shape
    distance, room, grain = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    fuse_lobes(
        scene.points_mm,
        np.array([s.start for s in box]),
        deposit.lobes_mm[rows],
        deposit.outgrowth_mm()[rows],
        deposit.form,
        deposit.phase,
        deposit.lobes_mm[0],
        deposit.ripple_mm,
        deposit.ripple_mm + max(3 * deposit.edge_mm, _RIM_REACH_MM),
        deposit.longest,
        deposit.spiculated,
        deposit.mottle > 0,
        distance,
        room,
        grain,
    )
    if deposit.strut_mm:
        grain = _struts(deposit, scene.points_mm[box])
    elif deposit.hole_mm:
        grain = _holes(deposit, scene.points_mm[box], distance)
    depth = scene.depth_mm[box]
    share = np.clip(0.5 - distance / (2 * deposit.edge_mm), 0, 1).astype(np.float32)
    if deposit.realm is Realm.BONE:
        nearest = scene.owner[box] == deposit.owner
        own = nearest & (depth > -room)
        share *= nearest * np.clip(0.5 + depth + np.maximum(room, 0.5), 0, 1)
    elif deposit.realm is Realm.SOFT:
        own = depth <= 0
        share *= np.clip(0.5 - depth, 0, 1)
    else:
        own = np.ones(shape, dtype=np.bool_)
    return LobeInScene(deposit, number, kind, box, distance, share, own, grain)


def _boxes_of(deposits: Sequence[Deposit], grid: Grid, warp: Warp) -> list[tuple[slice, slice, slice] | None]:
    """Block of voxels that each deposit can touch, None where it lies outside of the grid.

    A voxel at p shows what lies at p + shift(p), so each lobe moves against the shift at its centre and grows by what
    the shift can change within it.
    """
    if not deposits:
        return []
    counts = [len(d.lobes_mm) for d in deposits]
    longest = 1 / np.linalg.svd(np.stack([d.form for d in deposits]), compute_uv=False)[:, -1]
    beyond = np.array([d.ripple_mm + 3 * d.edge_mm for d in deposits])
    lobes = np.concatenate([d.lobes_mm for d in deposits])
    moves = warp.shift_mm(lobes[:, :3])
    reach = lobes[:, 3] * np.repeat(longest, counts) + np.repeat(beyond, counts)
    reach = reach + warp.steepest * (reach + np.linalg.norm(moves, axis=1))
    step = reach[:, None] * np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    index, firsts = grid.to_ijk(lobes[:, :3] - moves), np.cumsum([0, *counts[:-1]])
    start = np.maximum(np.floor(np.minimum.reduceat(index - step, firsts)), 0).astype(int)
    stop = np.minimum(np.ceil(np.maximum.reduceat(index + step, firsts)) + 1, grid.shape).astype(int)
    return [_slices(a, b) if (a < b).all() else None for a, b in zip(start, stop, strict=True)]


def _slices(start: NDArray[np.int_], stop: NDArray[np.int_]) -> tuple[slice, slice, slice]:
    """Slices along three axes."""
    i, j, k = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return i, j, k


def _struts(deposit: Deposit, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Thick upright trabeculae, 0–1: dots of an uneven lattice across, columns along the third axis of the form."""
    across = deposit.form[:2] / np.linalg.norm(deposit.form[:2], axis=1, keepdims=True)
    turn = np.float32(2 * np.pi / deposit.strut_mm)
    offset = (points - deposit.lobes_mm[0, :3].astype(np.float32)) @ (across.T.astype(np.float32) * turn)
    u, v = offset[..., 0], offset[..., 1]
    lattice = np.cos(u + 1.2 * np.sin(0.43 * v + 1 + np.sin(0.31 * u))) + np.cos(
        v + 1.2 * np.sin(0.37 * u + np.sin(v / 4))
    )
    thinner = 0.5 * np.sin(0.27 * u + 0.19 * v)
    return np.asarray(np.clip((lattice - 0.6 - thinner) / 1.2, 0, 1), dtype=np.float32)


def _holes(deposit: Deposit, points: NDArray[np.float32], distance_mm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Small holes, 0–1: scattered at the surface of a lysis, where they take half, and confluent deep in it."""
    x, y, z = np.ascontiguousarray(points.reshape(-1, 3).T, dtype=np.float64)
    coarse, fine = np.empty(x.size), np.empty(x.size)
    seed = int(deposit.phase[3, 0] * 1e6)
    noises(x, y, z, np.full(3, deposit.hole_mm), seed, coarse)
    noises(x, y, z, np.full(3, deposit.hole_mm / 2), seed + 1, fine)
    deep = np.clip(-distance_mm / (_CONFLUENT_FROM * deposit.lobes_mm[0, 3]), 0, 1)
    excess = deep - (0.8 * coarse + 0.6 * fine).reshape(distance_mm.shape)
    return np.asarray(np.clip(0.5 + 1.5 * excess, 0, 1), dtype=np.float32)
