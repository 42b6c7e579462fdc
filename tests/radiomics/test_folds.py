"""Folds: nobody in two, classes and sizes even."""

import numpy as np
import pytest

from osteomet.radiomics.folds import deal_folds, patients_of_class


@pytest.mark.parametrize("seed", range(5))
def test_every_fold_has_its_share_of_patients_and_classes(seed: int) -> None:
    patients = np.repeat(np.arange(81), 2)
    truth = patients < 45
    folds = deal_folds(patients, truth, 10, rng=np.random.default_rng(seed))
    members = [np.unique(patients[folds == fold]) for fold in range(10)]
    assert sorted(np.concatenate(members).tolist()) == list(range(81))
    assert {m.size for m in members} == {8, 9}
    assert {int((m < 45).sum()) for m in members} == {4, 5}
    assert {int((m >= 45).sum()) for m in members} == {3, 4}


def test_lesions_of_one_patient_stay_together_whatever_their_classes() -> None:
    patients = np.array([7, 3, 7, 9, 3])
    truth = np.array([True, False, False, True, False])
    folds = deal_folds(patients, truth, 3, rng=np.random.default_rng(1))
    assert folds[0] == folds[2]
    assert folds[1] == folds[4]
    assert len({folds[0], folds[1], folds[3]}) == 3
    assert patients_of_class(patients, truth) == (2, 1)


def test_the_seed_decides() -> None:
    patients, truth = np.arange(40), np.arange(40) < 20
    first, again, other = (deal_folds(patients, truth, 5, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
