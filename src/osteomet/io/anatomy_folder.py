"""Bones from a folder of the user's: label maps in any convention, one map a bone, or meshes.

What a folder may hold, each subject in the folder itself or in a folder of its own below it:

- ``bones.nii.gz`` (or another image format), as `osteomet analyze` and `osteomet insert` write it: one subject;
- maps named after bones (``vertebrae_L5.nii.gz``, ``hip_left.nii.gz``, as TotalSegmentator writes them, also in
  ``segmentations/``): one subject, every voxel above 0 is that bone;
- meshes named after bones (``L1.stl``, ``sacrum.ply``, ``pelvis.obj.gz`` for both hip bones): one subject; ``L1_body``
  is the body of ``L1``;
- any other label maps: each one a subject. A map whose name has ``subreg`` where another one has ``vert`` holds the
  sub-regions of the latter, with the ids of SPINEPS.

Meshes state neither unit nor axes. ``anatomy.json`` may: ``{"unit": "mm", "axes": "RAS"}``. Without it a subject up to
2.5 across is in metres, one from 25 to 2500 in millimetres. Axes are LPS where the vertebrae then stand upright, and
else are turned by quarter turns until lumbar vertebrae lie lower, and bodies in front of their arches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import FormatError, InputError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.vocabulary import COLUMN, STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.image.voxelise import voxelise
from osteomet.io.bone_maps import BONE_LABELS, bone_name, read_bones
from osteomet.io.formats import image_stem, is_image_file, read_labels
from osteomet.io.meshes import Mesh, mesh_stem, read_mesh

PART_LABELS = {"body": 1, "posterior": 2}
MESH_SPACING_MM = 0.8
"""Spacing of the lattice on which meshes become label maps."""

_BODY_IDS, _ARCH_IDS = (49, 50), range(41, 49)
_UNITS_MM = {"m": 1000.0, "cm": 10.0, "mm": 1.0}
_METRES, _MILLIMETRES = (0.025, 2.5), (25.0, 2500.0)
_PELVIS = "pelvis"
_EXAMPLE = '{"unit": "mm", "axes": "LPS"}'


@dataclass(frozen=True, slots=True, eq=False)
class AnatomyMaps:
    """Bones by vocabulary id and, where known, ``body`` and ``posterior`` of the vertebrae on the same grid."""

    name: str
    bones: LabelMap
    parts: LabelMap | None


@dataclass(frozen=True, slots=True)
class AnatomySource:
    """Files of one subject."""

    name: str
    files: tuple[Path, ...]
    parts: Path | None = None


def list_anatomies(folder: Path) -> tuple[AnatomySource, ...]:
    """Find the subjects of a folder, in order of their names; no image is read.

    Raises
    ------
    InputError
        If there is no such folder, or nothing in it that could be bones.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder",
            expected="a folder of label maps or meshes of bones",
            got="a file" if folder.exists() else "nothing there",
            remedy="pass the folder that holds them as --anatomy",
        )
    found = [source for place in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())) for source in _in(place)]
    if not found:
        raise InputError(
            f"{folder} holds no bones",
            expected="label maps (.nii.gz, .nrrd, .mha) or meshes (.stl, .obj, .ply) of bones",
            got=", ".join(sorted(p.name for p in folder.iterdir())[:6]) or "an empty folder",
            remedy="name maps and meshes of single bones after them, such as L1.stl or hip_left.nii.gz",
        )
    return tuple(found)


def read_anatomy(source: AnatomySource) -> AnatomyMaps:
    """Read one subject.

    Raises
    ------
    FormatError
        If a file is damaged, the labels explain themselves by no convention, or unit or axes of meshes cannot be told.
    GeometryError
        If the maps of one subject differ in geometry.
    """
    first = source.files[0]
    if mesh_stem(first) is not None:
        return _from_meshes(source)
    if bone_name(image_stem(first)) is not None:
        return AnatomyMaps(source.name, _from_single_maps(source.files), None)
    bones = read_bones(first)
    return AnatomyMaps(source.name, bones, _read_parts(source.parts, bones.grid) if source.parts else None)


def _in(folder: Path) -> Iterator[AnatomySource]:
    """Subjects whose files lie in this very folder."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    meshes = [p for p in files if _mesh_bone(p) is not None]
    maps = [p for p in files if is_image_file(p)]
    singles = [p for p in maps if bone_name(image_stem(p)) is not None]
    whole = [p for p in maps if image_stem(p) == "bones"]
    if meshes:
        yield AnatomySource(folder.name, tuple(meshes))
    if whole:
        yield AnatomySource(folder.name, tuple(whole[:1]))
    elif singles:
        yield AnatomySource(folder.parent.name if folder.name == "segmentations" else folder.name, tuple(singles))
    else:
        by_name = {p.name: p for p in maps}
        for path in maps:
            if "subreg" not in path.name:
                twin = by_name.get(path.name.replace("vert", "subreg")) if "vert" in path.name else None
                yield AnatomySource(image_stem(path), (path,), twin)


def _mesh_bone(path: Path) -> str | None:
    """Bone of a mesh by its name, None for what is no mesh or no bone."""
    stem = mesh_stem(path)
    if stem is None:
        return None
    name = stem.removesuffix("_body")
    return _PELVIS if name.lower() == _PELVIS else bone_name(name)


def _from_single_maps(files: tuple[Path, ...]) -> LabelMap:
    """One label map of maps of single bones."""
    array: NDArray[np.uint8] | None = None
    grid: Grid | None = None
    for path in files:
        mask = read_labels(path)
        if array is None or grid is None:
            array, grid = np.zeros(mask.grid.shape, dtype=np.uint8), mask.grid
        check_same_grid(grid, mask.grid, names=(files[0].name, path.name))
        name = bone_name(image_stem(path))
        array[mask.array > 0] = STRUCTURES[name].id if name else 0
    if array is None or grid is None or not array.any():
        raise FormatError(
            f"{files[0].parent}: the maps hold no bone",
            expected="voxels above 0 in at least one map",
            got=f"{len(files)} empty maps",
            remedy="segment the bones first",
        )
    return LabelMap(array, grid, BONE_LABELS)


def _read_parts(path: Path, grid: Grid) -> LabelMap:
    """Bodies and arches from sub-regions with the ids of SPINEPS."""
    regions = read_labels(path)
    check_same_grid(grid, regions.grid, names=("the vertebrae", path.name))
    array = np.zeros(grid.shape, dtype=np.uint8)
    array[np.isin(regions.array, _BODY_IDS)] = PART_LABELS["body"]
    array[np.isin(regions.array, list(_ARCH_IDS))] = PART_LABELS["posterior"]
    return LabelMap(array, grid, PART_LABELS)


def _from_meshes(source: AnatomySource) -> AnatomyMaps:
    """Label map of meshes, on a lattice of `MESH_SPACING_MM`."""
    meshes = {path: read_mesh(path) for path in source.files}
    folder = source.files[0].parent
    stated = _stated(folder)
    unit_mm = _unit_mm(list(meshes.values()), stated.get("unit"), folder)
    bones = {path: str(_mesh_bone(path)) for path in meshes}
    bodies = {path for path in meshes if str(mesh_stem(path)).endswith("_body")}
    placed = {path: mesh.vertices * unit_mm for path, mesh in meshes.items()}
    turn = _turn({(bones[p], p in bodies): xyz for p, xyz in placed.items()}, stated.get("axes"), folder)
    placed = {path: xyz @ turn.T for path, xyz in placed.items()}
    every = np.concatenate(list(placed.values()))
    low, high = every.min(axis=0) - 2, every.max(axis=0) + 2
    shape = np.ceil((high - low) / MESH_SPACING_MM).astype(int)
    grid = Grid.from_spacing(shape.tolist(), (MESH_SPACING_MM,) * 3, origin_mm=low.tolist())
    array, parts = (np.zeros(grid.shape, dtype=np.uint8) for _ in range(2))
    for path in sorted(meshes, key=lambda p: p in bodies):
        inside = voxelise(placed[path], meshes[path].triangles, grid)
        owner = _owner_of(bones[path], inside, grid, every)
        if path in bodies:
            body = inside & (array == owner)
            parts[array == owner] = PART_LABELS["posterior"]
            parts[body] = PART_LABELS["body"]
        else:
            array[inside] = owner[inside] if isinstance(owner, np.ndarray) else owner
    return AnatomyMaps(source.name, LabelMap(array, grid, BONE_LABELS), LabelMap(parts, grid, PART_LABELS))


def _owner_of(bone: str, inside: NDArray[np.bool_], grid: Grid, every: NDArray[np.float64]) -> Any:
    """Our id of a mesh; of a pelvis, the hip bones on either side of the middle of all meshes."""
    if bone != _PELVIS:
        return STRUCTURES[bone].id
    middle = float((every[:, 0].min() + every[:, 0].max()) / 2)
    i = np.zeros((grid.shape[0], 3))
    i[:, 0] = np.arange(grid.shape[0])
    is_left = grid.to_xyz_mm(i)[:, 0] > middle
    owner = np.where(is_left, STRUCTURES["hip_left"].id, STRUCTURES["hip_right"].id).astype(np.uint8)
    return np.broadcast_to(owner[:, None, None], inside.shape)


def _stated(folder: Path) -> dict[str, str]:
    """What ``anatomy.json`` says."""
    path = folder / "anatomy.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(
            f"{path} cannot be read as JSON",
            expected=_EXAMPLE,
            got=str(error),
            remedy="correct it, or remove it: unit and axes are then told from the meshes",
        ) from error
    if not isinstance(content, dict) or not set(content) <= {"unit", "axes"}:
        raise FormatError(
            f"{path} cannot be used",
            expected=_EXAMPLE,
            got=str(content),
            remedy="leave nothing but unit and axes in it",
        )
    return {key: str(value) for key, value in content.items()}


def _unit_mm(meshes: list[Mesh], stated: str | None, folder: Path) -> float:
    """Length of the unit of the meshes in mm."""
    every = np.concatenate([mesh.vertices for mesh in meshes])
    extent = float(np.ptp(every, axis=0).max())
    if stated is not None:
        if stated not in _UNITS_MM:
            raise FormatError(
                f"{folder / 'anatomy.json'} names an unknown unit",
                expected=", ".join(_UNITS_MM),
                got=stated,
                remedy="write one of these",
            )
        return _UNITS_MM[stated]
    if _METRES[0] <= extent <= _METRES[1]:
        return _UNITS_MM["m"]
    if _MILLIMETRES[0] <= extent <= _MILLIMETRES[1]:
        return _UNITS_MM["mm"]
    raise FormatError(
        f"{folder}: the unit of the meshes cannot be told",
        expected="bones 0.025 to 2.5 across (metres) or 25 to 2500 (millimetres)",
        got=f"{extent:.4g}",
        remedy='state it in anatomy.json beside them: {"unit": "cm"}',
    )


def _turn(
    vertices: dict[tuple[str, bool], NDArray[np.float64]], stated: str | None, folder: Path
) -> NDArray[np.float64]:
    """Matrix that turns the axes of the meshes into LPS."""
    if stated is not None:
        return _stated_turn(stated, folder)
    centres = {key: (xyz.min(axis=0) + xyz.max(axis=0)) / 2 for key, xyz in vertices.items()}
    levels = [name for name in COLUMN if (name, False) in centres]
    tips = [("sacrum", False)] if ("sacrum", False) in centres else []
    order = [*((name, False) for name in levels), *tips]
    backs = [centres[(n, False)] - centres[(n, True)] for n in levels if (n, True) in centres]
    if len(order) < 2 or not backs:
        return np.eye(3)
    up, back = centres[order[0]] - centres[order[-1]], np.sum(backs, axis=0)
    up, back = up / np.linalg.norm(up), back / np.linalg.norm(back)
    turns = [m for m in _quarter_turns() if np.linalg.det(m) > 0]
    return max(turns, key=lambda m: float((m @ up)[2] + (m @ back)[1] + 1e-3 * np.trace(m)))


def _quarter_turns() -> Iterator[NDArray[np.float64]]:
    """All matrices that swap and flip axes."""
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        yield np.eye(3)[list(order)] * np.array(signs)[:, None]


def _stated_turn(axes: str, folder: Path) -> NDArray[np.float64]:
    """Matrix for axes given as letters, such as RAS: where the first, second and third axis point to."""
    towards = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
    known = [towards[letter] for letter in axes.upper() if letter in towards]
    if len(axes) != 3 or len({axis for axis, _ in known}) != 3:
        raise FormatError(
            f"{folder / 'anatomy.json'} names no axes",
            expected="three letters such as LPS",
            got=axes,
            remedy="say where the first, second and third axis of the meshes point to: L or R, P or A, S or I",
        )
    turn = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(known):
        turn[axis, column] = sign
    return turn
