"""Which lesions the marks of a reader hit, by a declared rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.marks import BoxMark, PointMark, Reading
from osteomet.io.formats import read_labels

Claims = Literal["every lesion", "one lesion"]
MODEL = "model"


@dataclass(frozen=True, slots=True)
class MarkRule:
    """When a mark hits a lesion.

    Parameters
    ----------
    minimum_voxels
        A box or mask hits a lesion when it holds at least so many of its voxel centres; 10 in Kim et al. 2024.
    tolerance_mm
        A point hits the lesion whose voxel it lies in, else the one with the nearest voxel centre within this distance.
    claims
        Whether a box or mask that holds enough of several lesions hits all of them, or only the one of which it holds
        most voxels (of equals the first). A point hits at most one.
    """

    minimum_voxels: int = 1
    tolerance_mm: float = 0.0
    claims: Claims = "every lesion"

    def __post_init__(self) -> None:
        if self.minimum_voxels < 1 or self.tolerance_mm < 0:
            raise InputError("a mark must hold at least one voxel, at a distance that is not negative", got=str(self))


@dataclass(frozen=True, slots=True, eq=False)
class LesionVoxels:
    """Reference lesions of one case, as a list of voxels: made once for all readers.

    ``ijk`` and ``xyz_mm`` (centres, LPS) have shape (n, 3); ``lesion``, shape (n,), numbers the lesion that each voxel
    belongs to, from 0 in order of label.
    """

    grid: Grid
    ijk: NDArray[np.intp]
    xyz_mm: NDArray[np.float64]
    lesion: NDArray[np.intp]
    n_lesions: int


@dataclass(frozen=True, slots=True)
class MatchedReading:
    """Lesions that each mark of a reading hits, by number from 0; none makes the mark a false positive."""

    reader: str
    condition: str
    case: str
    hits: tuple[tuple[int, ...], ...]
    likelihood: tuple[float | None, ...]


def lesion_voxels(lesions: LabelMap) -> LesionVoxels:
    """List the voxels of the reference lesions, each label one lesion; a map without voxels has no lesions."""
    order: Literal["C", "F"] = "F" if lesions.array.flags.f_contiguous else "C"
    flat = lesions.array.ravel(order)
    voxels = np.flatnonzero(flat != 0)
    ijk = np.stack(np.unravel_index(voxels, lesions.array.shape, order), axis=1)
    labels, lesion = np.unique(flat[voxels], return_inverse=True)
    return LesionVoxels(lesions.grid, ijk, lesions.grid.to_xyz_mm(ijk), lesion.astype(np.intp), labels.size)


def match_reading(reading: Reading, lesions: LesionVoxels, rule: MarkRule) -> MatchedReading:
    """Match the marks of one reading with the reference of its case.

    Returns
    -------
    MatchedReading
        A lesion may be hit by several marks.

    Raises
    ------
    InputError
        If a point, or the centre of a box, lies outside the image, or a mask has no voxel; the message names reader and
        case.
    GeometryError
        If a mask is not on the grid of the reference.

    Notes
    -----
    A box thinner than the voxels along one of its axes counts as one voxel thick there, so that a rectangle drawn on a
    slice holds the voxels of that slice.
    """
    hits: list[tuple[int, ...]] = []
    masks: dict[Path, _Mask] = {}
    for n, mark in enumerate(reading.marks, start=1):
        if isinstance(mark, PointMark):
            _check_inside(reading, n, mark.xyz_mm, lesions.grid)
            hits.append(_hit_by_point(mark, lesions, rule))
        elif isinstance(mark, BoxMark):
            _check_inside(reading, n, mark.centre_xyz_mm, lesions.grid)
            hits.append(_enough(_held(_inside(mark, lesions), lesions), rule))
        else:
            if mark.path not in masks:
                masks[mark.path] = _read_mask(reading, mark.path, lesions)
            mask = masks[mark.path]
            if mark.label not in mask.labels:
                got = f"label {mark.label} of {mark.path}, which holds {sorted(mask.labels)[:10]}"
                raise InputError(f"mark {n} of {reading.describe()} has no voxel", got=got)
            hits.append(_enough(_held(mask.at_lesion == mark.label, lesions), rule))
    likelihood = tuple(mark.likelihood for mark in reading.marks)
    return MatchedReading(reading.reader, reading.condition, reading.case, tuple(hits), likelihood)


def match_instances(
    instances: LabelMap, lesions: LesionVoxels, rule: MarkRule, *, case: str, likelihood: Mapping[int, float]
) -> MatchedReading:
    """Match the predicted instances of a model as if a reader had drawn them.

    Parameters
    ----------
    instances
        Predicted lesions, each label one, on the grid of the reference.
    lesions
        Reference lesions.
    rule
        When an instance hits a lesion.
    case
        Name of the case.
    likelihood
        Confidence of each label; a label without one is unscored.

    Raises
    ------
    GeometryError
        If the instances are not on the grid of the reference.
    """
    check_same_grid(instances.grid, lesions.grid, names=(f"prediction of case “{case}”", "reference"))
    labels = list(instances.present().values())
    instance = np.searchsorted([0, *labels], instances.array[tuple(lesions.ijk.T)])
    held = np.zeros((1 + len(labels), lesions.n_lesions), dtype=np.intp)
    np.add.at(held, (instance, lesions.lesion), 1)
    hits = tuple(_enough(row, rule) for row in held[1:])
    return MatchedReading(MODEL, MODEL, case, hits, tuple(likelihood.get(label) for label in labels))


def _check_inside(reading: Reading, n: int, xyz_mm: tuple[float, float, float], grid: Grid) -> None:
    """Refuse a place beyond the outer faces of the image."""
    index = grid.to_ijk(xyz_mm)
    if ((index < -0.5 - 1e-6) | (index > np.array(grid.shape) - 0.5 + 1e-6)).any():
        corners = grid.corners_xyz_mm()
        low, high = (tuple(round(float(v), 1) for v in c) for c in (corners.min(axis=0), corners.max(axis=0)))
        raise InputError(
            f"mark {n} of {reading.describe()} lies outside the image",
            expected=f"a place between {low} and {high} LPS mm",
            got=str(tuple(round(v, 1) for v in xyz_mm)),
            remedy="check that the marks were made on this series and are in LPS, not RAS",
        )


class _Mask(NamedTuple):
    """What a mask file says: its labels at the lesion voxels, and all labels that have voxels."""

    at_lesion: NDArray[np.unsignedinteger[Any]]
    labels: frozenset[int]


def _read_mask(reading: Reading, path: Path, lesions: LesionVoxels) -> _Mask:
    """Read a mask file on the grid of the reference."""
    masks = read_labels(path)
    check_same_grid(masks.grid, lesions.grid, names=(f"the mask of {reading.describe()}", "the reference"))
    return _Mask(masks.array[tuple(lesions.ijk.T)], frozenset(masks.present().values()))


def _hit_by_point(mark: PointMark, lesions: LesionVoxels, rule: MarkRule) -> tuple[int, ...]:
    """Lesion at a point, else the nearest within the tolerance."""
    if not lesions.n_lesions:
        return ()
    at = np.floor(lesions.grid.to_ijk(mark.xyz_mm) + 0.5).astype(np.intp)
    here = (lesions.ijk == at).all(axis=1)
    if here.any():
        return (int(lesions.lesion[here.argmax()]),)
    distance = np.linalg.norm(lesions.xyz_mm - np.array(mark.xyz_mm), axis=1)
    nearest = int(distance.argmin())
    return (int(lesions.lesion[nearest]),) if distance[nearest] <= rule.tolerance_mm else ()


def _inside(mark: BoxMark, lesions: LesionVoxels) -> NDArray[np.bool_]:
    """Lesion voxels whose centre lies in a box."""
    axes = np.array(mark.axes)
    voxel = np.abs(axes @ lesions.grid.affine[:3, :3]).sum(axis=1)
    half = np.maximum(np.array(mark.size_mm), voxel * (1 - 1e-6)) / 2
    offset = (lesions.xyz_mm - np.array(mark.centre_xyz_mm)) @ axes.T
    return np.asarray((np.abs(offset) <= half + 1e-9).all(axis=1))


def _held(inside: NDArray[np.bool_], lesions: LesionVoxels) -> NDArray[np.intp]:
    """Number of voxels of each lesion among those inside."""
    return np.bincount(lesions.lesion[inside], minlength=lesions.n_lesions)


def _enough(held: NDArray[np.intp], rule: MarkRule) -> tuple[int, ...]:
    """Lesions of which enough voxels are held."""
    enough = np.flatnonzero(held >= rule.minimum_voxels)
    if rule.claims == "one lesion" and enough.size:
        enough = enough[[held[enough].argmax()]]
    return tuple(int(n) for n in enough)
