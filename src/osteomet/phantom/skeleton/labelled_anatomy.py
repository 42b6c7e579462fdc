"""Bones of a label map as shapes: each one a smooth depth below its surface, cut by any grid like the primitives.

A map with slices of 3 mm must not leave steps of 3 mm in a phantom. So each bone becomes a lattice of signed distances
(shape-based interpolation, Raya and Udupa 1990), smoothed by less than half a voxel of the map and shifted by the
little that keeps its volume.

References
----------
Raya S. P., Udupa J. K. Shape-based interpolation of multidimensional objects. https://doi.org/10.1109/42.52980
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import COLUMN, STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.image.components import bounding_box, largest_components
from osteomet.image.distance import distance_inside_mm, distance_to_mm
from osteomet.phantom.geometry import kernels
from osteomet.phantom.geometry.shapes import FAR_MM, Cut, Warp
from osteomet.phantom.skeleton.parts import BODY, PARTS, whole_bones

REACH_MM = 12.0
"""How far outside of a bone its depth is known."""

_LATTICE_MM = 1.0
_SMOOTHING = 0.4
_NECK = 0.55
_CORNER = 1.45
_SPARSE = 7
_ARCH = PARTS["lamina"]
_VERTEBRAE = frozenset(STRUCTURES[name].id for name in (*COLUMN, "vertebra"))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledBone:
    """One bone: ``depth_mm`` below its surface (negative outside) and ``part`` on the voxel centres of ``grid``.

    ``part`` is the code of the body or the lamina, which stands for the whole arch, for vertebrae, that of the nearest
    structure for hip bones and femora whose map tells them apart, also outside of the bone, and 0 for other bones.
    """

    owner: int
    grid: Grid
    depth_mm: NDArray[np.float32]
    part: NDArray[np.uint8]

    @property
    def volume_ml(self) -> float:
        """Volume inside the surface, ml."""
        return float(np.count_nonzero(self.depth_mm > 0)) * self.grid.voxel_volume_ml


@dataclass(frozen=True, slots=True, eq=False)
class LabelledBones:
    """The bones of one label map."""

    bones: tuple[LabelledBone, ...]

    def only(self, owners: Collection[int]) -> LabelledBones:
        """Those of some bones, by vocabulary id."""
        return LabelledBones(tuple(bone for bone in self.bones if bone.owner in owners))

    def corners_mm(self) -> NDArray[np.float64]:
        """Lowest and highest coordinates of all bones, shape (2, 3), LPS mm."""
        boxes = [
            bone.grid.to_xyz_mm([[part.start for part in box], [part.stop - 1 for part in box]])
            for bone in self.bones
            if (box := bounding_box(bone.depth_mm > 0)) is not None
        ]
        ends = np.concatenate(boxes)
        return np.stack([ends.min(axis=0), ends.max(axis=0)])

    def sparse_points_mm(self) -> NDArray[np.float64]:
        """Every `_SPARSE`-th voxel centre inside of the bones, shape (n, 3), LPS mm."""
        return np.concatenate([b.grid.to_xyz_mm(np.argwhere(b.depth_mm > 0)[::_SPARSE]) for b in self.bones])

    def cut(self, points: NDArray[np.float32], grid: Grid, warp: Warp, *, onto: Cut | None = None) -> Cut:
        """Signed distance, owner and part at every voxel, right inside and up to `REACH_MM` outside of bone.

        ``points`` are the `osteomet.phantom.geometry.shapes.warped_points` of ``grid`` under ``warp``. With ``onto``
        the bones join those already cut, whose arrays change.
        """
        if onto is None:
            empty = np.zeros(grid.shape, dtype=np.uint8)
            onto = Cut(np.full(grid.shape, FAR_MM, dtype=np.float32), empty, empty.copy())
        distance, owner, part = onto.distance_mm, onto.owner, onto.part
        for bone in self.bones:
            block = _block(bone.grid, grid, warp)
            if block is not None:
                to_lattice = np.asarray(np.linalg.inv(bone.grid.affine), dtype=np.float64)
                kernels.nearest_labelled(
                    points[block], to_lattice, bone.depth_mm, bone.part, bone.owner, distance[block], owner[block],
                    part[block],
                )  # fmt: skip
        return onto


def bones_from_labels(labels: LabelMap, parts: LabelMap | None = None) -> LabelledBones:
    """Turn a map with our ids, of any spacing and orientation, into shapes.

    Ilium, acetabulum, ischium and pubis become parts of one hip bone, head and neck parts of one femur, without a
    shell between them.

    Parameters
    ----------
    labels
        Bones by vocabulary id.
    parts
        ``body`` and ``posterior`` of the vertebrae on the same grid. Where None, or where it says nothing of a
        vertebra, its body is what a ball a little thinner than the body can reach, and what lies close around that.

    Raises
    ------
    InputError
        If the map holds no bone.
    """
    whole, codes = whole_bones()
    merged = whole[labels.array]
    found = ndimage.find_objects(merged)
    bones = []
    for owner, box in enumerate(found, start=1):
        if box is None:
            continue
        start = [part.start for part in box]
        mask = merged[box] == owner
        if owner in _VERTEBRAE:
            part = None if parts is None else _part_codes(parts, box)
        else:
            part = codes[labels.array[box]] * mask
        bones.append(bone_from_mask(mask, labels.grid.crop(start, mask.shape), owner=owner, parts=part))
    if not bones:
        raise InputError(
            "the anatomy has no bones",
            expected="labels above 0",
            got="0 everywhere",
            remedy="pass a label map of vertebrae, sacrum or hips",
        )
    return LabelledBones(tuple(bones))


def bone_from_mask(
    mask: NDArray[np.bool_], grid: Grid, *, owner: int, parts: NDArray[np.uint8] | None = None
) -> LabelledBone:
    """Make one bone of its voxels; ``parts``, of the same shape, has the codes of body and lamina."""
    pad = [int(np.ceil((REACH_MM + 2) / s)) for s in grid.spacing_mm]
    shape = [n + 2 * p for n, p in zip(mask.shape, pad, strict=True)]
    padded = grid.crop([-p for p in pad], shape)
    lattice = padded.with_spacing((_LATTICE_MM,) * 3)
    index = _nearest_index(grid, lattice, mask.shape)
    inside = mask[np.ix_(*index)]
    for axis, n in enumerate(mask.shape):
        outside = (_positions(grid, lattice, axis) < -0.5) | (_positions(grid, lattice, axis) > n - 0.5)
        inside[(slice(None),) * axis + (outside,)] = False
    depth = _smooth_depth(inside, lattice, grid.spacing_mm, volume_mm3=mask.sum() * grid.voxel_volume_mm3)
    return LabelledBone(owner, lattice, depth, _lattice_parts(depth, lattice, owner, parts, index))


def _positions(grid: Grid, lattice: Grid, axis: int) -> NDArray[np.float64]:
    """Index along one axis of ``grid`` of the voxels of a lattice with the same axes."""
    steps = np.zeros((lattice.shape[axis], 3))
    steps[:, axis] = np.arange(lattice.shape[axis])
    return np.asarray(grid.to_ijk(lattice.to_xyz_mm(steps))[:, axis])


def _nearest_index(grid: Grid, lattice: Grid, shape: Sequence[int]) -> list[NDArray[np.intp]]:
    """Voxel of the map nearest to each voxel of the lattice, axis by axis."""
    return [np.clip(np.rint(_positions(grid, lattice, axis)), 0, n - 1).astype(np.intp) for axis, n in enumerate(shape)]


def _smooth_depth(
    inside: NDArray[np.bool_], lattice: Grid, spacing_mm: Sequence[float], *, volume_mm3: float
) -> NDArray[np.float32]:
    """Depth below the surface, smoothed against the steps of the map, with the volume of the map."""
    half = float(np.mean(lattice.spacing_mm)) / 2
    depth = distance_inside_mm(inside, lattice.spacing_mm) - distance_to_mm(inside, lattice.spacing_mm)
    depth -= half * np.sign(depth)
    sigma = [_SMOOTHING * max(s, h) / h for s, h in zip(spacing_mm, lattice.spacing_mm, strict=True)]
    depth = ndimage.gaussian_filter(depth, sigma, mode="nearest", truncate=3.0)
    near = np.sort(depth[np.abs(depth) < 2 * half + _SMOOTHING * max(spacing_mm)])[::-1]
    missing = volume_mm3 / lattice.voxel_volume_mm3 - np.count_nonzero(depth > (near[0] if len(near) else 0))
    if len(near):
        n = int(np.clip(round(missing), 1, len(near) - 1))
        depth -= (near[n - 1] + near[n]) / 2
    return np.asarray(depth, dtype=np.float32)


def _lattice_parts(
    depth_mm: NDArray[np.float32],
    lattice: Grid,
    owner: int,
    parts: NDArray[np.uint8] | None,
    index: list[NDArray[np.intp]],
) -> NDArray[np.uint8]:
    """Part of every voxel of the lattice, from the map where it tells, else by shape."""
    if owner not in _VERTEBRAE:
        return _nearest_part(lattice, parts, index)
    if parts is not None and {BODY, _ARCH} <= set(np.unique(parts).tolist()):
        given = parts[np.ix_(*index)]
        body, arch = (distance_to_mm(given == code, lattice.spacing_mm) for code in (BODY, _ARCH))
        return np.where(body <= arch, BODY, _ARCH).astype(np.uint8)
    thick_mm = _NECK * float(depth_mm.max())
    core = largest_components(depth_mm > thick_mm, 1)
    return np.where(distance_to_mm(core, lattice.spacing_mm) <= _CORNER * thick_mm, BODY, _ARCH).astype(np.uint8)


def _nearest_part(lattice: Grid, parts: NDArray[np.uint8] | None, index: list[NDArray[np.intp]]) -> NDArray[np.uint8]:
    """Code of the part nearest to every voxel of the lattice, 0 for a bone without parts."""
    if parts is None or not parts.any():
        return np.zeros(lattice.shape, dtype=np.uint8)
    given = parts[np.ix_(*index)]
    nearest = ndimage.distance_transform_edt(
        given == 0, sampling=lattice.spacing_mm, return_distances=False, return_indices=True
    )
    return np.asarray(given[tuple(nearest)])


def _part_codes(parts: LabelMap, box: tuple[slice, ...]) -> NDArray[np.uint8]:
    """Codes of the parts in a block of their map."""
    block: NDArray[Any] = parts.array[box]
    codes = np.zeros(block.shape, dtype=np.uint8)
    codes[block == parts.labels["body"]] = BODY
    codes[block == parts.labels["posterior"]] = _ARCH
    return codes


def _block(lattice: Grid, grid: Grid, warp: Warp) -> tuple[slice, slice, slice] | None:
    """Block of voxels of ``grid`` that can show a lattice, None where there is none."""
    corners = lattice.corners_xyz_mm()
    middle = corners.mean(axis=0, keepdims=True)
    move = warp.shift_mm(middle)[0]
    reach = float(np.linalg.norm(corners - middle, axis=1).max())
    grow = warp.steepest * (reach + float(np.linalg.norm(move)))
    grown = middle + (corners - middle) * (1 + grow / np.abs(corners - middle).max()) - move
    index = grid.to_ijk(grown)
    start = np.clip(np.floor(index.min(axis=0)), 0, grid.shape).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape).astype(int)
    if (start >= stop).any():
        return None
    i, j, k = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return i, j, k
