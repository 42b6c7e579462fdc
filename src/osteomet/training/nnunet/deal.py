"""Deal patients into folds so that every network has examples of every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from osteomet.core.errors import DatasetError
from osteomet.training.nnunet.dataset import StageCase
from osteomet.training.nnunet.recipe import NnunetSplit, StageName
from osteomet.training.split import PatientLoad, balanced_folds

Cases = Mapping[StageName, Sequence[StageCase]]
_STREAM = 1


def deal_patients(cases: Cases, classes: Mapping[StageName, Sequence[str]], split: NnunetSplit) -> list[list[str]]:
    """Deal the patients of all stages into folds, once for all stages.

    Parameters
    ----------
    cases
        Cases of each stage.
    classes
        Classes of each stage.
    split
        Number of folds, of deals to choose from, and their seed.

    Returns
    -------
    Names of the patients of each fold, sorted. Of the deals that leave the fewest classes without an example in the
    training part of a fold, the one whose lesions are spread most evenly.

    Raises
    ------
    DatasetError
        If there are fewer patients than folds, a fold has no case of a stage, or every deal leaves a class without an
        example to learn from; the message names class and fold.
    """
    loads = _loads(cases)
    best, least = None, (np.inf, np.inf)
    for number in range(split.n_candidates):
        rng = np.random.default_rng([split.seed, _STREAM, number])
        folds = [list(fold) for fold in balanced_folds(loads, n_folds=split.n_folds, rng=rng)]
        lacking = len(_lacking(folds, cases, classes))
        if best is None or (lacking, _spread(folds, loads)) < least:
            best, least = folds, (lacking, _spread(folds, loads))
    assert best is not None
    missing = _lacking(best, cases, classes)
    if missing:
        stage, name, fold = missing[0]
        raise DatasetError(
            f"the networks of fold {fold} would have no {name} to learn from",
            expected=f"every class of the stage {stage} in patients of two folds",
            got=f"{_n_patients(cases[stage], name)} patients with {name} out of {len(loads)}",
            remedy=f"bring more patients that show it, lower split.n_folds, or leave it out of {stage}.classes",
        )
    return best


def cases_of_fold(cases: Sequence[StageCase], folds: Sequence[Sequence[str]], fold: int) -> dict[str, list[str]]:
    """Names of the cases to train and to validate on, as nnU-Net reads them."""
    inside = [case.case for case in cases if case.patient in folds[fold]]
    return {"train": sorted(case.case for case in cases if case.case not in inside), "val": sorted(inside)}


def _loads(cases: Cases) -> list[PatientLoad]:
    """Lesions of each patient; of a patient without any, none."""
    lesions = cases["metastases"]
    patients = sorted({case.patient for part in cases.values() for case in part})
    return [
        PatientLoad(
            patient,
            sum(case.n_components for case in lesions if case.patient == patient),
            sum(case.volume_ml for case in lesions if case.patient == patient),
        )
        for patient in patients
    ]


def _lacking(
    folds: Sequence[Sequence[str]], cases: Cases, classes: Mapping[StageName, Sequence[str]]
) -> list[tuple[StageName, str, int]]:
    """Stage, class and fold of every class that no patient outside the fold shows, or of a fold without a case."""
    found: list[tuple[StageName, str, int]] = []
    for stage, part in cases.items():
        for number, fold in enumerate(folds):
            shown = {name for case in part if case.patient not in fold for name in case.classes}
            is_empty = all(case.patient not in fold for case in part)
            found += [(stage, name, number) for name in classes[stage] if name not in shown or is_empty]
    return found


def _spread(folds: Sequence[Sequence[str]], loads: Sequence[PatientLoad]) -> float:
    """Difference between the fold with the most lesions and that with the fewest."""
    numbers = [sum(load.n_lesions for load in loads if load.patient in fold) for fold in folds]
    return float(max(numbers) - min(numbers))


def _n_patients(cases: Sequence[StageCase], name: str) -> int:
    return len({case.patient for case in cases if name in case.classes})
