"""Grade the lesions of an MR study on the sequences that show each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Volume
from osteomet.image.resample import resample_volume
from osteomet.lesions.anatomy import Anatomy
from osteomet.lesions.mr_grade import grade_mr_lesions


def grade_where_shown(
    lesions: Sequence[Lesion],
    instances: NDArray[Any],
    anatomy: Anatomy,
    sequences: Mapping[SequenceRole, Volume],
) -> tuple[Lesion, ...]:
    """Grade every lesion; a sequence whose field of view ends before it is one that it lacks.

    Parameters
    ----------
    lesions, instances, anatomy
        As for `osteomet.lesions.mr_grade.grade_mr_lesions`.
    sequences
        In place on one another, each on its own grid.
    """
    grid = anatomy.bones.grid
    images = {role: resample_volume(volume, grid, outside=0.0) for role, volume in sequences.items()}
    graded: dict[int, Lesion] = {}
    for shown in {lesion.sequences for lesion in lesions}:
        alike = [lesion for lesion in lesions if lesion.sequences == shown]
        found = grade_mr_lesions(alike, instances, anatomy, {role: images[role] for role in shown})
        graded |= {lesion.id: lesion for lesion in found}
    return tuple(graded[lesion.id] for lesion in lesions)
