"""Patient-level figures counted by hand, liu2021's table from its patients, comparisons on the same patients."""

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.evaluation.patient_figures import compare_patients, patient_figures, subgroup_figures
from osteomet.evaluation.patients import PatientTable, SeriesCall, patient_table
from osteomet.stats.intervals import Estimate, proportion_interval


def table(name: str, reference: list[int], prediction: list[int], score: list[float] | None = None) -> PatientTable:
    patients = tuple(f"P{i}" for i in range(len(reference)))
    scores = None if score is None else np.array(score)
    return PatientTable(name, patients, np.array(reference, dtype=bool), np.array(prediction, dtype=bool), scores)


def test_figures_by_hand() -> None:
    figures = patient_figures(table("T1", [1, 1, 0, 0], [1, 0, 1, 0], [0.9, 0.4, 0.4, 0.1]))
    assert (figures.name, figures.n_patients, figures.n_positive) == ("T1", 4, 2)
    for result, method in ((figures.clopper_pearson, "clopper-pearson"), (figures.wilson, "wilson")):
        assert result.sensitivity == proportion_interval(1, 2, method=method)  # type: ignore[arg-type]
        assert result.accuracy == proportion_interval(2, 4, method=method)  # type: ignore[arg-type]
    assert figures.auc.value == 0.875  # 0.9 beats both, 0.4 beats 0.1 and ties with 0.4: 3.5 of 4 pairs
    assert figures.auc_of_calls.value == 0.5


@pytest.mark.parametrize(
    ("dwi_found", "dwi_clear", "t1_found", "t1_clear", "n1", "n0", "areas"),
    [(14, 15, 13, 14, 16, 18, (0.854, 0.795)), (29, 30, 27, 29, 31, 32, (0.936, 0.889))],
    ids=["test set", "external"],
)
def test_liu2021_from_its_patients(
    dwi_found: int, dwi_clear: int, t1_found: int, t1_clear: int, n1: int, n0: int, areas: tuple[float, float]
) -> None:
    """Counts of Table 5 and of the external set, staged from series; its AUC are those of the calls."""
    calls = []
    for i in range(n1 + n0):
        ill, rank = i < n1, i if i < n1 else i - n1
        for sequence, found, clear in (("DWI", dwi_found, dwi_clear), ("T1-IP", t1_found, t1_clear)):
            called = rank < found if ill else rank >= clear
            calls.append(SeriesCall(f"{i}{sequence}", f"P{i:02}", sequence, ill, called))
    dwi, t1 = (patient_table(calls, sequence=name) for name in ("DWI", "T1-IP"))
    figures = [patient_figures(t) for t in (dwi, t1)]
    assert [f.clopper_pearson.sensitivity.numerator for f in figures] == [dwi_found, t1_found]
    assert [f.clopper_pearson.specificity.numerator for f in figures] == [dwi_clear, t1_clear]
    assert [f.auc_of_calls.value for f in figures] == pytest.approx(list(areas), abs=0.0005)
    assert figures[0].auc.value is None
    comparison = compare_patients(dwi, t1)
    # patients are nested here: DWI finds those that T1 finds and dwi_found - t1_found more
    more = dwi_found - t1_found
    assert (comparison.sensitivity.n, comparison.sensitivity.p_value) == (more, min(1.0, 2 * 0.5**more))
    assert comparison.auc is None
    assert comparison.auc_of_calls.difference.value == pytest.approx(areas[1] - areas[0], abs=0.001)


@pytest.mark.parametrize(
    ("reference", "prediction", "defined"),
    [
        ([0, 0], [0, 0], {"specificity", "accuracy", "npv"}),
        ([1, 1], [0, 0], {"sensitivity", "accuracy", "npv"}),
        ([0, 0], [1, 1], {"specificity", "accuracy", "ppv"}),
        ([1, 0], [1, 0], {"sensitivity", "specificity", "accuracy", "ppv", "npv"}),
    ],
    ids=["both empty", "prediction empty", "reference empty", "perfect"],
)
def test_quartet(reference: list[int], prediction: list[int], defined: set[str]) -> None:
    figures = patient_figures(table("x", reference, prediction))
    names = ("sensitivity", "specificity", "accuracy", "ppv", "npv")
    assert {n for n in names if getattr(figures.wilson, n).value is not None} == defined
    assert (figures.auc_of_calls.value is None) == (len(set(reference)) == 1)


def test_comparison_counts_discordant_patients() -> None:
    truth = [1] * 6 + [0] * 4
    first = table("A", truth, [1, 1, 1, 1, 1, 0, 0, 0, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.6])
    second = table("B", truth, [0, 0, 0, 0, 0, 0, 1, 0, 0, 1], [0.1] * 10)
    result = compare_patients(first, second)
    assert (result.first, result.second, result.n_patients, result.left_out) == ("A", "B", 10, ())
    assert (result.sensitivity.n, result.sensitivity.p_value) == (5, 0.0625)
    assert (result.specificity.n, result.specificity.p_value) == (1, 1.0)
    assert (result.accuracy.n, result.accuracy.p_value) == pytest.approx((6, 2 / 64))  # all six for A
    assert compare_patients(first, second, method="mid-p").sensitivity.p_value == pytest.approx(1 / 32)
    assert result.auc is not None
    # 21 of the 24 pairs are ordered right; 0.5 and 0.4 lose to 0.6, and 0.6 ties with it
    assert result.auc.first.value == pytest.approx(21.5 / 24)
    assert (result.auc.second.value, result.auc.difference.value) == pytest.approx((0.5, 0.5 - 21.5 / 24))


def test_comparison_keeps_to_common_patients() -> None:
    first = PatientTable("A", ("P1", "P2"), np.array([True, False]), np.array([True, False]), None)
    second = PatientTable("B", ("P2", "P3"), np.array([False, True]), np.array([True, True]), None)
    result = compare_patients(first, second)
    assert (result.n_patients, result.left_out, result.accuracy.n) == (1, ("P1", "P3"), 1)
    assert result.sensitivity.p_value == 1.0


def test_comparisons_that_are_refused() -> None:
    first = PatientTable("A", ("P1",), np.array([True]), np.array([True]), None)
    with pytest.raises(InputError, match="the two readings share no patient; got A against B"):
        compare_patients(first, PatientTable("B", ("P2",), np.array([True]), np.array([True]), None))
    with pytest.raises(InputError, match="disagree about the reference; got patient P1: A and B"):
        compare_patients(first, PatientTable("B", ("P1",), np.array([False]), np.array([True]), None))


def test_subgroups_follow_the_order_given_and_keep_the_unknown() -> None:
    whole = table("T1", [1, 1, 0, 0], [1, 0, 0, 1], [0.9, 0.1, 0.2, 0.3])
    groups = subgroup_figures(whole, {"P2": "Intera", "P0": "Achieva", "P9": "Discovery", "P1": "Intera"})
    assert [(g.value, g.figures.n_patients) for g in groups] == [("Intera", 2), ("Achieva", 1), ("unknown", 1)]
    assert groups[0].figures.clopper_pearson.sensitivity == proportion_interval(0, 1)
    assert groups[0].figures.auc == Estimate(0.0)
    assert sum(g.figures.clopper_pearson.accuracy.numerator or 0 for g in groups) == 2
