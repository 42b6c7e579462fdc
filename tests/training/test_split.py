"""No patient on both sides, and lesions shared out as the patients are."""

import numpy as np
import pytest

from osteomet.core.errors import DatasetError
from osteomet.training.split import PatientLoad, balanced_folds, balanced_split

LOADS = [PatientLoad(f"p{n:02d}", 1 + n % 7, 10.0 * (1 + n * n % 13)) for n in range(40)]


def test_parts_are_disjoint_and_keep_the_shares_of_lesions_and_area() -> None:
    train, test = balanced_split(LOADS, share=0.2, n_candidates=500, rng=np.random.default_rng(1))
    assert len(test) == 8
    assert sorted([*train, *test]) == [load.patient for load in LOADS]
    inside = [load for load in LOADS if load.patient in test]
    assert sum(x.n_lesions for x in inside) / sum(x.n_lesions for x in LOADS) == pytest.approx(0.2, abs=0.02)
    assert sum(x.lesion_area_mm2 for x in inside) / sum(x.lesion_area_mm2 for x in LOADS) == pytest.approx(
        0.2, abs=0.02
    )


def test_the_split_depends_on_the_seed_and_not_on_the_order() -> None:
    def split(seed: int, loads: list[PatientLoad]) -> tuple[str, ...]:
        return balanced_split(loads, share=0.2, n_candidates=50, rng=np.random.default_rng(seed))[1]

    assert split(1, LOADS) == split(1, LOADS[::-1])
    assert split(1, LOADS) != split(2, LOADS)


def test_folds_hold_every_patient_once_and_weigh_alike() -> None:
    folds = balanced_folds(LOADS, n_folds=5, rng=np.random.default_rng(1))
    assert sorted(p for fold in folds for p in fold) == [load.patient for load in LOADS]
    assert {len(fold) for fold in folds} == {8}
    area = {load.patient: load.lesion_area_mm2 for load in LOADS}
    sums = [sum(area[p] for p in fold) for fold in folds]
    assert max(sums) / min(sums) < 1.1


def test_too_few_patients_are_told() -> None:
    with pytest.raises(DatasetError, match="at least 5 patients to train on; got 3"):
        balanced_folds(LOADS[:3], n_folds=5, rng=np.random.default_rng(1))
    with pytest.raises(DatasetError, match="two patients or more"):
        balanced_split(LOADS[:1], share=0.2, n_candidates=5, rng=np.random.default_rng(1))
