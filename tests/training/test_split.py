"""No patient on both sides, and lesions shared out as the patients are."""

from dataclasses import dataclass

import numpy as np
import pytest

from osteomet.core.errors import DatasetError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.training.split import PatientLoad, balanced_folds, balanced_split, lesion_load, patient_loads

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


@dataclass(frozen=True)
class Series:
    patient: str
    n_lesions: int
    lesion_area_mm2: float


def test_the_series_of_a_patient_are_one_load_and_stay_together() -> None:
    """Forty patients with one to three series each: what is split are patients, with all that their series hold."""
    series = [Series(x.patient, x.n_lesions, x.lesion_area_mm2) for n, x in enumerate(LOADS) for _ in range(1 + n % 3)]
    loads = patient_loads(series)
    assert [load.patient for load in loads] == [load.patient for load in LOADS]
    assert [load.n_lesions for load in loads] == [x.n_lesions * (1 + n % 3) for n, x in enumerate(LOADS)]
    train, test = balanced_split(loads, share=0.2, n_candidates=50, rng=np.random.default_rng(1))
    folds = balanced_folds([x for x in loads if x.patient in train], n_folds=5, rng=np.random.default_rng(1))
    sides = [{s.patient for s in series if s.patient in part} for part in (*folds, test)]
    assert sum(len(side) for side in sides) == len(set.union(*sides)) == 40


def test_the_area_of_lesions_is_that_of_their_pixels() -> None:
    """Two blocks of 2 × 3 pixels of 0.5 × 2 mm on two slices each, slices 5 mm apart: 4 × 6 × 1 mm²."""
    array = np.zeros((12, 10, 6), np.uint8)
    array[1:3, 1:4, 1:3] = 1
    array[8:10, 5:8, 3:5] = 2
    grid = Grid.from_spacing(array.shape, (0.5, 2.0, 5.0))
    assert lesion_load(LabelMap(array, grid, {"metastasis": 1, "primary": 2})) == (2, 24.0)


def test_too_few_patients_are_told() -> None:
    with pytest.raises(DatasetError, match="at least 5 patients to train on; got 3"):
        balanced_folds(LOADS[:3], n_folds=5, rng=np.random.default_rng(1))
    with pytest.raises(DatasetError, match="two patients or more"):
        balanced_split(LOADS[:1], share=0.2, n_candidates=5, rng=np.random.default_rng(1))
