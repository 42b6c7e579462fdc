"""A phantom patient around the user's own bones: the labelled bones, what they lack, and soft tissue that fits them.

A column is drawn as for any phantom, and its vertebrae move to where the labelled ones are and take their sizes. So
everything that is drawn from a column fits: discs, canal, muscles, vessels, skin, ribs. Bones that the map lacks are
the parametric ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import COLUMN, STRUCTURES
from osteomet.phantom.geometry.shapes import Shapes
from osteomet.phantom.lesions.deposits import Deposit, Realm
from osteomet.phantom.skeleton.anatomy import Column, Joint, Numbering, Sex, Vertebra, sample_column
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBone, LabelledBones
from osteomet.phantom.skeleton.parts import BODY

SIZE_SPREAD = 0.05
"""Standard deviation of the factor by which a labelled anatomy is made larger or smaller."""

_N_TEMPLATES = 6
_LEAST_BODY_ML = 0.5
_EXTENT_PERCENTILES = (1.0, 99.0)
_SETTLED_MM = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Centre (LPS mm), axes as columns (left, posterior, superior) and size (mm) of the body of one vertebra."""

    centre_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    size_mm: NDArray[np.float64]


def resized(bones: LabelledBones, factor: float) -> LabelledBones:
    """The same bones, larger or smaller, about the origin."""
    return LabelledBones(tuple(_moved(bone, factor, np.zeros(3)) for bone in bones.bones))


def fit_column(
    rng: np.random.Generator,
    bones: LabelledBones,
    *,
    sex: Sex | None = None,
    age_years: float | None = None,
    numbering: Numbering | None = None,
) -> tuple[Column, LabelledBones]:
    """Draw a column, as far as it is not given, bring labelled bones into its frame, and let it follow them.

    Returns
    -------
    The column, and the bones moved so that their lowest vertebra lies where the drawn one lay; without a vertebra,
    so that sacrum and hips lie where those of a phantom would.
    """
    measured = _measure(bones)
    column = min(
        (sample_column(rng, sex=sex, age_years=age_years, numbering=numbering) for _ in range(_N_TEMPLATES)),
        key=lambda c: (_n_missing(c, measured), abs(np.log(_relative_size(c, measured)))),
    )
    levels = [v.name for v in column.vertebrae if v.name in measured]
    if levels:
        lowest = next(v for v in column.vertebrae if v.name == levels[0])
        shift = lowest.centre_mm - measured[levels[0]].centre_mm
    else:
        shift = _pelvic_shift(column, bones)
    moved = LabelledBones(tuple(_moved(bone, 1.0, shift) for bone in bones.bones))
    return _follow(column, {n: replace(m, centre_mm=m.centre_mm + shift) for n, m in measured.items()}), moved


def settle(deposits: Sequence[Deposit], bones: LabelledBones) -> list[Deposit]:
    """Move deposits that miss their labelled bone to its nearest point that is `_SETTLED_MM` deep, or its deepest."""
    by_owner = {bone.owner: bone for bone in bones.bones}
    return [_settled(d, by_owner[d.owner]) if d.owner in by_owner and d.realm is Realm.BONE else d for d in deposits]


def without(shapes: Shapes, bones: LabelledBones) -> Shapes:
    """The primitives of bones that are not labelled.

    Where the map has ribs there are no others, and where it has a hip bone no femur is made for it: it would not fit
    the joint.
    """
    owners = {bone.owner for bone in bones.bones}
    names = {name for name, s in STRUCTURES.items() if s.id in owners}
    if any(name.startswith("rib_") for name in names):
        owners.add(STRUCTURES["rib"].id)
    for side in ("left", "right"):
        if names & {f"{part}_{side}" for part in ("hip", "ilium", "acetabulum")}:
            owners |= {STRUCTURES[f"{part}_{side}"].id for part in ("hip", "femur")}
    return shapes.select(~np.isin(shapes.owners, list(owners)))


def _moved(bone: LabelledBone, factor: float, shift_mm: NDArray[np.float64]) -> LabelledBone:
    affine = bone.grid.affine.copy()
    affine[:3] *= factor
    affine[:3, 3] += shift_mm
    depth = bone.depth_mm if factor == 1.0 else bone.depth_mm * np.float32(factor)
    return replace(bone, grid=Grid(bone.grid.shape, affine), depth_mm=depth)


def _measure(bones: LabelledBones) -> dict[str, _Measured]:
    """Measure the body of every labelled vertebra, in order from head to foot."""
    by_owner = {bone.owner: bone for bone in bones.bones}
    found = [(name, by_owner[STRUCTURES[name].id]) for name in COLUMN if STRUCTURES[name].id in by_owner]
    clouds = {name: _clouds(bone) for name, bone in found}
    clouds = {
        name: c
        for name, c in clouds.items()
        if len(c[0]) * by_owner[STRUCTURES[name].id].grid.voxel_volume_ml >= _LEAST_BODY_ML
    }
    names = list(clouds)
    centres = [clouds[name][0].mean(axis=0) for name in names]
    measured = {}
    for n, name in enumerate(names):
        above, below = centres[max(n - 1, 0)], centres[min(n + 1, len(names) - 1)]
        superior = above - below if len(names) > 1 else np.array([0.0, 0.0, 1.0])
        measured[name] = _measure_one(*clouds[name], superior / np.linalg.norm(superior))
    return measured


def _clouds(bone: LabelledBone) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of the body and of the arch of a vertebra, LPS mm."""
    inside = bone.depth_mm > 0
    body, arch = np.argwhere(inside & (bone.part == BODY)), np.argwhere(inside & (bone.part != BODY))
    return bone.grid.to_xyz_mm(body), bone.grid.to_xyz_mm(arch)


def _measure_one(body: NDArray[np.float64], arch: NDArray[np.float64], superior: NDArray[np.float64]) -> _Measured:
    """Frame and extents of one body; posterior points to the arch, or to the back where there is none."""
    centre = body.mean(axis=0)
    posterior = arch.mean(axis=0) - centre if len(arch) else np.array([0.0, 1.0, 0.0])
    posterior = posterior - (posterior @ superior) * superior
    posterior /= np.linalg.norm(posterior)
    axes = np.stack([np.cross(posterior, superior), posterior, superior], axis=1)
    local = (body - centre) @ axes
    low, high = np.percentile(local, _EXTENT_PERCENTILES, axis=0)
    inner = local[(np.abs(local[:, 0]) < (high - low)[0] / 4) & (np.abs(local[:, 1]) < (high - low)[1] / 4)]
    up = np.percentile(inner[:, 2], _EXTENT_PERCENTILES) if len(inner) else np.array([low[2], high[2]])
    middle = (low + high) / 2
    middle[2] = up.mean()
    size = np.array([high[0] - low[0], high[1] - low[1], up[1] - up[0]])
    return _Measured(centre + axes @ middle, axes, size)


def _relative_size(column: Column, measured: dict[str, _Measured]) -> float:
    """Median of measured over drawn heights and widths of the bodies."""
    ratios = [
        measured[v.name].size_mm[[0, 2]] / (v.width_mm, v.height_mm) for v in column.vertebrae if v.name in measured
    ]
    return float(np.median(ratios)) if ratios else 1.0


def _n_missing(column: Column, measured: dict[str, _Measured]) -> int:
    """Labelled levels that a column lacks, for its numbering is another."""
    return len(set(measured) - {v.name for v in column.vertebrae})


def _pelvic_shift(column: Column, bones: LabelledBones) -> NDArray[np.float64]:
    """Way from the labelled sacrum, or else the middle of all bones, to the drawn sacrum."""
    chosen = [b for b in bones.bones if b.owner == STRUCTURES["sacrum"].id] or list(bones.bones)
    corners = np.concatenate([bone.grid.corners_xyz_mm() for bone in chosen])
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    down = np.array([0.0, 15.0, -35.0]) * column.scale
    return np.asarray(column.sacrum_centre_mm + down - middle)


def _follow(column: Column, measured: dict[str, _Measured]) -> Column:
    """Move the labelled levels where they are, and the others along with the nearest of these."""
    drawn = {v.name: v for v in column.vertebrae}
    fitted: list[Vertebra] = []
    offset = np.zeros(3)
    for v in column.vertebrae:
        found = measured.get(v.name)
        if found is not None:
            offset = found.centre_mm - drawn[v.name].centre_mm
            fitted.append(_placed(v, found.centre_mm, found.axes, found.size_mm))
        else:
            size = np.array([v.width_mm, v.depth_mm, v.height_mm])
            fitted.append(_placed(v, v.centre_mm + offset, v.axes, size))
    for n in range(1, len(fitted)):
        gap = np.linalg.norm(fitted[n].centre_mm - fitted[n - 1].centre_mm)
        disc = max(0.0, float(gap) - (fitted[n].height_mm + fitted[n - 1].height_mm) / 2)
        if fitted[n].name != "C1":
            fitted[n] = replace(fitted[n], disc_below_mm=disc)
    return replace(column, vertebrae=tuple(fitted))


def _placed(
    v: Vertebra, centre_mm: NDArray[np.float64], axes: NDArray[np.float64], size_mm: NDArray[np.float64]
) -> Vertebra:
    """The vertebra elsewhere, with its joints."""

    def along(joint: Joint) -> Joint:
        return Joint(centre_mm + axes @ v.own(joint.centre_mm), axes @ (v.axes.T @ joint.normal))

    (a, b), (c, d) = v.joints_above, v.joints_below
    width, depth, height = (float(s) for s in size_mm)
    return replace(
        v, centre_mm=centre_mm, axes=axes, width_mm=width, depth_mm=depth, height_mm=height,
        joints_above=(along(a), along(b)), joints_below=(along(c), along(d)),
    )  # fmt: skip


def _settled(deposit: Deposit, bone: LabelledBone) -> Deposit:
    """Move a deposit whose first lobe does not lie in its bone."""
    centre = deposit.lobes_mm[0, :3]
    index = np.rint(bone.grid.to_ijk(centre)).astype(int)
    deep = min(_SETTLED_MM, float(bone.depth_mm.max()) * 0.9)
    if (index >= 0).all() and (index < bone.grid.shape).all() and bone.depth_mm[tuple(index)] > 0:
        return deposit
    inside = bone.grid.to_xyz_mm(np.argwhere(bone.depth_mm >= deep))
    nearest = inside[int(np.argmin(((inside - centre) ** 2).sum(axis=1)))]
    lobes = deposit.lobes_mm.copy()
    lobes[:, :3] += nearest - centre
    return replace(deposit, lobes_mm=lobes)
