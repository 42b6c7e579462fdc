"""Splits by patient that keep the load of lesions in proportion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from osteomet.core.errors import DatasetError
from osteomet.core.volume import LabelMap
from osteomet.image.components import label_components


class Loaded(Protocol):
    """A case of a patient, and the lesions that it shows."""

    @property
    def patient(self) -> str:
        """Whose it is."""

    @property
    def n_lesions(self) -> int:
        """Number of its lesions."""

    @property
    def lesion_area_mm2(self) -> float:
        """Their area, summed over the slices."""


@dataclass(frozen=True, slots=True)
class PatientLoad:
    """A patient with all series: how many lesions they show, and their area (the sum over slices, mm²)."""

    patient: str
    n_lesions: int
    lesion_area_mm2: float


def lesion_load(lesions: LabelMap) -> tuple[int, float]:
    """Number of lesions (26-connected) of a label map, and their area in all slices, mm²; slices lie farthest apart."""
    inside = lesions.array > 0
    pixel_mm2 = lesions.grid.voxel_volume_mm3 / max(lesions.grid.spacing_mm)
    return label_components(inside)[1], round(float(np.count_nonzero(inside)) * pixel_mm2, 2)


def patient_loads(cases: Iterable[Loaded]) -> list[PatientLoad]:
    """What the cases of each patient hold together, in order of the first case of each."""
    loads: dict[str, PatientLoad] = {}
    for case in cases:
        known = loads.get(case.patient, PatientLoad(case.patient, 0, 0.0))
        n_lesions, area_mm2 = known.n_lesions + case.n_lesions, known.lesion_area_mm2 + case.lesion_area_mm2
        loads[case.patient] = PatientLoad(case.patient, n_lesions, area_mm2)
    return list(loads.values())


def balanced_split(
    loads: Sequence[PatientLoad], *, share: float, n_candidates: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split patients in two at random, so that lesions and their area are shared out as the patients are.

    Parameters
    ----------
    loads
        Every patient once, at least two.
    share
        Of the patients that goes into the second part, rounded to whole patients, at least one in each part.
    n_candidates
        Random splits to choose from: the one whose larger departure from ``share``, of lesions or area, is smallest.
    rng
        Source of chance.

    Returns
    -------
    Names of the first and of the second part, each sorted.

    Raises
    ------
    DatasetError
        If there are fewer than two patients, or one stands twice.
    """
    loads = sorted(loads, key=lambda load: load.patient)
    names = [load.patient for load in loads]
    if len(loads) < 2 or len(set(names)) < len(names):
        raise DatasetError("a split needs two patients or more, each once", got=", ".join(names) or "none")
    n_second = min(max(1, round(share * len(loads))), len(loads) - 1)
    load = np.array([(x.n_lesions, x.lesion_area_mm2) for x in loads], dtype=np.float64)
    load /= np.maximum(load.sum(axis=0), np.finfo(float).tiny)
    best, least = np.arange(n_second), np.inf
    for _ in range(n_candidates):
        chosen = rng.permutation(len(loads))[:n_second]
        departure = float(np.abs(load[chosen].sum(axis=0) - share).max())
        if departure < least:
            best, least = chosen, departure
    second = {names[n] for n in best}
    return tuple(name for name in names if name not in second), tuple(sorted(second))


def balanced_folds(
    loads: Sequence[PatientLoad], *, n_folds: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], ...]:
    """Deal patients into folds: the heaviest first, each to a fold with the fewest patients and least lesion area.

    Raises
    ------
    DatasetError
        If there are fewer patients than folds.
    """
    if len(loads) < n_folds:
        raise too_few_for_folds(len(loads), n_folds)
    shuffled = [loads[n] for n in rng.permutation(len(loads))]
    folds: list[list[PatientLoad]] = [[] for _ in range(n_folds)]
    for load in sorted(shuffled, key=lambda x: -x.lesion_area_mm2):
        min(folds, key=lambda fold: (len(fold), sum(x.lesion_area_mm2 for x in fold))).append(load)
    return tuple(tuple(sorted(load.patient for load in fold)) for fold in folds)


def graded_folds(grades: Mapping[str, str], *, n_folds: int, rng: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    """Deal patients into folds, so that folds differ by at most one patient, in all and in each grade.

    Parameters
    ----------
    grades
        Grade of each patient.

    Raises
    ------
    DatasetError
        If there are fewer patients than folds, or without some fold a grade would have no patient to learn from.
    """
    if len(grades) < n_folds:
        raise too_few_for_folds(len(grades), n_folds)
    names = sorted(grades)
    by_grade = {grade: [name for name in names if grades[name] == grade] for grade in sorted(set(grades.values()))}
    order = [some[n] for some in by_grade.values() for n in rng.permutation(len(some))]
    folds = tuple(tuple(sorted(order[first::n_folds])) for first in range(n_folds))
    for number, fold in enumerate(folds):
        alone = [grade for grade, some in by_grade.items() if set(some) <= set(fold)]
        if alone:
            raise DatasetError(
                f"without fold {number} there is no patient of grade {alone[0]} to learn from",
                expected="at least two patients of each grade",
                got=f"{len(by_grade[alone[0]])}",
                remedy="bring more patients of this grade",
            )
    return folds


def too_few_for_folds(n_patients: int, n_folds: int) -> DatasetError:
    """What to say where there are fewer patients than folds."""
    return DatasetError(
        "there are fewer patients than folds",
        expected=f"at least {n_folds} patients to train on",
        got=str(n_patients),
        remedy="bring more patients, or lower split.n_folds of the recipe",
    )
