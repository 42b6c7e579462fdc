"""Patients from their series: any lesion on any sequence, one truth for all sequences, missing predictions listed."""

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.evaluation.patients import (
    SeriesCall,
    SeriesLesions,
    lesions_of_patients,
    patient_table,
)

# P1: metastasis seen on DWI only. P2: missed on both. P3: healthy, false alarm on T1. P4: healthy, without T1.
CALLS = [
    SeriesCall("1d", "P1", "DWI", reference=True, prediction=True, score=0.9),
    SeriesCall("1t", "P1", "T1", reference=False, prediction=False, score=0.3),
    SeriesCall("2d", "P2", "DWI", reference=True, prediction=False, score=0.2),
    SeriesCall("2t", "P2", "T1", reference=True, prediction=False, score=0.4),
    SeriesCall("3d", "P3", "DWI", reference=False, prediction=False, score=0.1),
    SeriesCall("3t", "P3", "T1", reference=False, prediction=True, score=0.8),
    SeriesCall("4d", "P4", "DWI", reference=False, prediction=False, score=0.0),
]


def test_each_sequence_answers_to_the_truth_of_all() -> None:
    dwi, t1 = (patient_table(CALLS, sequence=name) for name in ("DWI", "T1"))
    assert (dwi.name, dwi.patients, dwi.absent) == ("DWI", ("P1", "P2", "P3", "P4"), ())
    assert dwi.reference.tolist() == [True, True, False, False]
    assert dwi.prediction.tolist() == [True, False, False, False]
    assert (t1.patients, t1.absent) == (("P1", "P2", "P3"), ("P4",))
    assert t1.reference.tolist() == [True, True, False]
    assert t1.prediction.tolist() == [False, False, True]


def test_combined_counts_what_either_sequence_shows() -> None:
    both = patient_table(CALLS)
    assert (both.name, both.prediction.tolist()) == ("any sequence", [True, False, True, False])
    assert both.score is not None
    np.testing.assert_allclose(both.score, [0.9, 0.4, 0.8, 0.0])


def test_stacks_of_one_sequence_are_joined() -> None:
    stacks = [SeriesLesions("upper", "P1", "T1", 0, 0, 0.1), SeriesLesions("lower", "P1", "T1", 2, 1, 0.7)]
    table = patient_table([s.call() for s in stacks], sequence="T1")
    assert (table.reference.tolist(), table.prediction.tolist()) == ([True], [True])
    assert table.score is not None
    assert table.score.tolist() == [0.7]


def test_a_missing_prediction_counts_as_m0_and_is_listed() -> None:
    calls = [
        SeriesLesions("a", "P1", "T1", 1, None).call(),
        SeriesLesions("b", "P2", "T1", 0, 1, 0.6).call(),
    ]
    table = patient_table(calls)
    assert (table.prediction.tolist(), table.unpredicted) == ([False, True], ("a",))
    assert table.score is not None
    assert table.score.tolist() == [-np.inf, 0.6]


def test_one_unscored_prediction_leaves_all_without_scores() -> None:
    assert patient_table([*CALLS, SeriesCall("5d", "P5", "DWI", reference=False, prediction=True)]).score is None


def test_unknown_sequence_is_refused() -> None:
    with pytest.raises(InputError, match="no series is of this sequence; expected DWI, T1; got CE"):
        patient_table(CALLS, sequence="CE")
    with pytest.raises(InputError, match="expected at least one series"):
        patient_table([])


def test_lesions_are_added_within_a_sequence_and_not_between() -> None:
    stacks = [SeriesLesions("a", "P1", "T1", 2, 0), SeriesLesions("b", "P1", "T1", 1, 0)]
    series = [*stacks, SeriesLesions("c", "P1", "CE", 3, 0), SeriesLesions("d", "P2", "T1", 0, 4)]
    assert lesions_of_patients(series) == {"P1": 3, "P2": 0}
