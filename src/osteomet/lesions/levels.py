"""What is said of every vertebra and the sacrum: size, heights of the body, involvement, stability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError
from osteomet.core.findings import LevelFinding
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import LesionType
from osteomet.lesions.anatomy import ELEMENTS, Anatomy, Level
from osteomet.lesions.boxes import origin_of
from osteomet.lesions.frame import COLUMN_STEP_MM, sample_columns
from osteomet.lesions.sins import EnteredSins, LevelEvidence, score_level

INVOLVED_ML = 0.1
"""One side of the arch counts as involved from this volume of lesion on; less is the border of a lesion of the body."""

NEIGHBOUR_STEPS = 2
"""Heights are compared with levels no farther away than this."""

_NO_COMPARABLE_BODY = ("C1", "C2")


@dataclass(frozen=True, slots=True)
class BodyHeights:
    """Heights of a vertebral body along its own axis, mm."""

    anterior_mm: float
    middle_mm: float
    posterior_mm: float

    def loss_against(self, expected: Sequence[BodyHeights]) -> float:
        """Largest loss, 0–1, of the three heights against the mean of the same heights of other bodies.

        Examples
        --------
        >>> BodyHeights(12.0, 18.0, 24.0).loss_against([BodyHeights(23.0, 23.0, 23.0), BodyHeights(25.0, 25.0, 25.0)])
        0.5
        """
        own = np.array([self.anterior_mm, self.middle_mm, self.posterior_mm])
        mean = np.mean([[h.anterior_mm, h.middle_mm, h.posterior_mm] for h in expected], axis=0)
        return max(float((1 - own / mean).max()), 0.0)


def measure_heights(level: Level) -> BodyHeights | None:
    """Measure the heights of the body of a vertebra.

    Returns
    -------
    None where the body is missing, too small a fragment to have thirds, or cut off by the field of view, and for C1 and
    C2, whose bodies are none or carry the dens.

    Notes
    -----
    The body is sampled in columns along its own superior axis (`frame.sample_columns`). Columns of the middle third of
    its width count; each of the three heights is the median length of those in the front, middle or back third of its
    depth: of a straight wedge it is the height at 1/6, 1/2 and 5/6 of the depth. The median keeps rims, osteophytes and
    single holes from deciding.
    """
    if level.frame is None or not level.body_complete or level.name in _NO_COMPARABLE_BODY:
        return None
    columns = sample_columns(level.body, level.grid, level.frame)
    length_mm = columns.solid.sum(axis=2) * COLUMN_STEP_MM
    across = columns.left_mm[length_mm.any(axis=1)]
    strip_mm = length_mm[np.abs(columns.left_mm - (across[0] + across[-1]) / 2) <= np.ptp(across) / 6]
    along = columns.posterior_mm[strip_mm.any(axis=0)]
    if len(along) < 3:
        return None
    depth = (columns.posterior_mm - along[0]) / np.ptp(along)
    thirds = [strip_mm[:, (depth >= n / 3) & (depth <= (n + 1) / 3)] for n in range(3)]
    if not all(third.any() for third in thirds):
        return None
    return BodyHeights(*(float(np.median(third[third > 0])) for third in thirds))


def describe_levels(
    anatomy: Anatomy,
    instances: NDArray[Any],
    *,
    lesions: Sequence[Lesion],
    name_confidence: Mapping[str, float],
    entered: Mapping[str, EnteredSins],
) -> tuple[LevelFinding, ...]:
    """Describe every level of the spine, from head to foot.

    Parameters
    ----------
    anatomy
        Bones and levels.
    instances
        Lesions on the grid of the bones; its values are the ids of ``lesions``.
    lesions
        Lesions as found; those of other bones are passed over.
    name_confidence
        Confidence of each level's name, 0–1; a name that is missing gets None.
    entered
        What a person entered for a level, by its name; a level that is missing has unknown pain and alignment.

    Returns
    -------
    One finding for each vertebra and for the sacrum; empty where the field of view shows none. SINS is given to levels
    with lesions only. The collapse of a level is judged against the mean heights of its neighbours: in each direction
    the nearest whole body without lesion, else the nearest whole body, at most `NEIGHBOUR_STEPS` levels away.

    Raises
    ------
    GeometryError
        If instances and bones differ in shape.
    """
    if instances.shape != anatomy.bones.grid.shape:
        raise GeometryError(
            "instances and bones differ in shape", got=f"{instances.shape} against {anatomy.bones.grid.shape}"
        )
    owned = _lesions_by_level(anatomy.levels, instances, lesions)
    heights = [measure_heights(level) for level in anatomy.levels]
    findings = []
    for position, level in enumerate(anatomy.levels):
        diseased = (instances[level.box] > 0) & level.mask
        sins = None
        if owned[position]:
            loss = _height_loss(position, heights, [bool(own) for own in owned])
            evidence = _evidence(level, diseased, [lesion.type for lesion in owned[position]], loss)
            sins = score_level(evidence, entered.get(level.name, EnteredSins()))
        body, n_voxels = heights[position], np.count_nonzero(level.mask)
        x, y, z = (float(v) for v in level.centroid_xyz_mm)
        findings.append(
            LevelFinding(
                name=level.name,
                confidence=name_confidence.get(level.name),
                volume_ml=n_voxels * level.grid.voxel_volume_ml,
                centroid_xyz_mm=(x, y, z),
                complete=level.complete,
                anterior_height_mm=body.anterior_mm if body else None,
                middle_height_mm=body.middle_mm if body else None,
                posterior_height_mm=body.posterior_mm if body else None,
                involved_fraction=np.count_nonzero(diseased) / n_voxels,
                lesion_ids=tuple(lesion.id for lesion in owned[position]),
                sins=sins,
            )
        )
    return tuple(findings)


def height_losses(anatomy: Anatomy, instances: NDArray[Any], lesions: Sequence[Lesion]) -> dict[int, float | None]:
    """Loss of height of the vertebra of each lesion, 0–1, by lesion id; see `describe_levels`.

    None where the heights cannot be compared; lesions of other bones have no entry.
    """
    owned = _lesions_by_level(anatomy.levels, instances, lesions)
    heights = [measure_heights(level) for level in anatomy.levels]
    diseased = [bool(own) for own in owned]
    losses = [_height_loss(position, heights, diseased) for position in range(len(owned))]
    return {lesion.id: loss for own, loss in zip(owned, losses, strict=True) for lesion in own}


def _lesions_by_level(
    levels: Sequence[Level], instances: NDArray[Any], lesions: Sequence[Lesion]
) -> list[list[Lesion]]:
    """Lesions of each level, by their site; among levels of one name the one that holds most of the lesion."""
    owned: list[list[Lesion]] = [[] for _ in levels]
    for lesion in lesions:
        namesakes = [n for n, level in enumerate(levels) if level.name == lesion.site]
        if namesakes:
            owned[max(namesakes, key=lambda n: _hold(levels[n], instances, lesion))].append(lesion)
    return owned


def _hold(level: Level, instances: NDArray[Any], lesion: Lesion) -> tuple[int, float]:
    """How much of a lesion a level holds; where none holds any, how near it is."""
    n_voxels = int(np.count_nonzero(level.mask & (instances[level.box] == lesion.id)))
    return n_voxels, -float(np.linalg.norm(level.centroid_xyz_mm - np.array(lesion.centroid_xyz_mm)))


def _height_loss(position: int, heights: Sequence[BodyHeights | None], diseased: Sequence[bool]) -> float | None:
    """Loss of height of one body against its neighbours, None where there is nothing to compare."""
    own = heights[position]
    above = range(position - 1, max(position - 1 - NEIGHBOUR_STEPS, -1), -1)
    below = range(position + 1, min(position + 1 + NEIGHBOUR_STEPS, len(heights)))
    expected = [
        found
        for way in (above, below)
        for found in [next((heights[n] for n in sorted(way, key=lambda n: diseased[n]) if heights[n]), None)]
        if found
    ]
    return own.loss_against(expected) if own and expected else None


def _evidence(
    level: Level, diseased: NDArray[np.bool_], types: Sequence[LesionType], height_loss: float | None
) -> LevelEvidence:
    """Gather what SINS asks of a level."""
    elements = level.elements_at(np.argwhere(diseased) + origin_of(level.box))
    volume_ml = np.bincount(elements[elements >= 0], minlength=len(ELEMENTS)) * level.grid.voxel_volume_ml
    sides = {side for side in ("left", "right") if volume_ml[ELEMENTS.index(f"posterior_{side}")] >= INVOLVED_ML - 1e-9}
    n_body = np.count_nonzero(level.body)
    return LevelEvidence(
        name=level.name,
        lesion_types=tuple(types),
        height_loss=height_loss,
        body_involved=np.count_nonzero(diseased & level.body) / n_body if n_body and level.body_complete else None,
        sides=frozenset(sides),
        sides_known=level.complete and level.frame is not None and bool(level.arch.any()),
    )
