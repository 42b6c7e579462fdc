"""Multi-class figures by hand, patients with several cases, missing predictions, and tables that are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, InputError
from osteomet.evaluation.classification import compare_classifiers, evaluate_classification
from osteomet.evaluation.classified_cases import (
    EXAM_GRADES,
    NO_PREDICTION,
    TUMOUR_ORIGINS,
    ClassifiedCases,
    read_classified,
)
from osteomet.stats.intervals import proportion_interval


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def grades() -> ClassifiedCases:
    reference = ("none",) * 4 + ("mild",) * 3 + ("apparent",) * 3
    prediction = ("none", "none", "none", "mild", "mild", "mild", "apparent", "apparent", "apparent", "none")
    names = tuple("abcdefghij")
    return ClassifiedCases(EXAM_GRADES, names, names, reference, prediction, None)


def origins(primary: list[float], patients: str) -> ClassifiedCases:
    """Four metastases, then four primary tumours; called primary from 0.5."""
    p = np.array(primary)
    reference = ("metastasis",) * 4 + ("primary",) * 4
    prediction = tuple("primary" if v >= 0.5 else "metastasis" for v in p)
    return ClassifiedCases(
        TUMOUR_ORIGINS, tuple("abcdefgh"), tuple(patients), reference, prediction, np.stack([1 - p, p], axis=1)
    )


PRIMARY = [0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8, 0.9]


def test_three_grades_by_hand() -> None:
    result = evaluate_classification(grades(), rng=rng(), n_draws=500)
    assert result.matrix.tolist() == [[3, 1, 0], [0, 2, 1], [1, 0, 2]]
    assert (result.n_cases, result.n_patients, result.unpredicted) == (10, 10, ())
    assert result.accuracy == proportion_interval(7, 10)
    none, mild, apparent = result.per_class
    assert none.accuracy == proportion_interval(8, 10)
    assert none.recall == proportion_interval(3, 4)
    assert mild.precision == proportion_interval(2, 3)
    assert (apparent.f1.value, apparent.f1.numerator, apparent.f1.denominator) == pytest.approx((4 / 6, 4, 6))
    assert apparent.f1.method == "bootstrap bca"
    assert apparent.f1.low is not None
    assert apparent.f1.high is not None
    assert 0 <= apparent.f1.low < 4 / 6 < apparent.f1.high <= 1
    mean = (3 / 4 + 2 / 3 + 2 / 3) / 3
    assert (result.macro_recall.value, result.macro_f1.value) == pytest.approx((mean, mean))
    assert (none.auc.value, none.roc, none.calibration, none.decision_curve) == (None, None, None, None)


def test_probabilities_give_area_curves_and_calibration() -> None:
    result = evaluate_classification(origins(PRIMARY, "abcdefgh"), rng=rng(), n_draws=200)
    metastasis, primary = result.per_class
    # 0.6 of a metastasis beats 0.4 of a primary: 15 of 16 pairs are right, from either side
    assert (metastasis.auc.value, primary.auc.value) == (0.9375, 0.9375)
    assert primary.auc.method == "delong-logit"
    assert primary.roc is not None
    assert primary.roc.sensitivity[:5].tolist() == [0, 0.25, 0.5, 0.75, 0.75]
    assert primary.calibration is not None
    errors = [0.1, 0.2, 0.3, 0.6, 0.6, 0.3, 0.2, 0.1]
    assert primary.calibration.brier == pytest.approx(np.mean(np.square(errors)))
    assert primary.decision_curve is not None
    # at one half: 3 true positives less 1 false positive, of 8
    assert primary.decision_curve.model[49] == pytest.approx(2 / 8)
    assert primary.decision_curve.threshold[49] == 0.5


def test_patients_with_several_cases_are_resampled() -> None:
    single = evaluate_classification(origins(PRIMARY, "abcdefgh"), rng=rng(), n_draws=300)
    double = evaluate_classification(origins(PRIMARY, "aabbccdd"), rng=rng(), n_draws=300)
    assert (double.n_cases, double.n_patients) == (8, 4)
    for a, b in zip(single.per_class, double.per_class, strict=True):
        for name in ("accuracy", "recall", "precision", "f1", "auc"):
            one, two = getattr(a, name), getattr(b, name)
            assert (one.value, one.numerator, one.denominator) == (two.value, two.numerator, two.denominator)
            assert two.method == "bootstrap bca"
    assert double.accuracy.method == "bootstrap bca"
    assert (double.accuracy.value, double.accuracy.numerator, double.accuracy.denominator) == (0.75, 6, 8)


def test_a_missing_prediction_is_wrong_and_listed() -> None:
    full = origins(PRIMARY, "abcdefgh")
    assert full.probability is not None
    table = full.probability.copy()
    table[0] = np.nan
    cases = replace(full, prediction=(NO_PREDICTION, *full.prediction[1:]), probability=table)
    result = evaluate_classification(cases, rng=rng(), n_draws=100)
    assert result.unpredicted == ("a",)
    assert result.matrix.tolist() == [[2, 1, 1], [1, 3, 0]]
    assert result.accuracy == proportion_interval(5, 8)
    metastasis, primary = result.per_class
    assert metastasis.recall == proportion_interval(2, 4)
    assert metastasis.accuracy == proportion_interval(5, 8)
    assert primary.accuracy == proportion_interval(6, 8)
    assert primary.auc.value == pytest.approx(11 / 12)


def test_a_class_that_nobody_has_is_undefined() -> None:
    cases = replace(grades(), reference=("none",) * 5 + ("mild",) * 5, prediction=("none",) * 10)
    none, mild, apparent = evaluate_classification(cases, rng=rng(), n_draws=50).per_class
    assert (none.recall.value, mild.recall.value, mild.precision.value, mild.f1.value) == (1.0, 0.0, None, 0.0)
    assert (apparent.recall.value, apparent.precision.value, apparent.f1.value) == (None, None, None)


def test_two_classifiers_on_the_same_cases() -> None:
    better, worse = origins(PRIMARY, "abcdefgh"), origins([0.6, 0.7, 0.2, 0.1, 0.4, 0.3, 0.8, 0.9], "abcdefgh")
    result = compare_classifiers(worse, better, positive="primary", rng=rng())
    assert (result.n_cases, result.left_out) == (8, ())
    # wrong: a, b, e, f against d, e
    assert (result.accuracy.statistic, result.accuracy.n, result.accuracy.p_value) == (1.0, 4, 0.625)
    assert result.auc is not None
    assert (result.auc.first.value, result.auc.second.value) == (12 / 16, 15 / 16)
    assert result.auc.difference.value == pytest.approx(3 / 16)
    assert result.auc.test.name == "DeLong"


def test_comparison_resamples_patients_with_several_cases() -> None:
    better, worse = origins(PRIMARY, "abcdabcd"), origins([0.6, 0.7, 0.2, 0.1, 0.4, 0.3, 0.8, 0.9], "abcdabcd")
    result = compare_classifiers(worse, better, positive="primary", rng=rng())
    assert result.auc is not None
    assert result.auc.difference.value == pytest.approx(3 / 16)
    assert result.auc.test.name == "patient bootstrap"
    assert result.auc.test.p_value is not None
    assert 0.05 < result.auc.test.p_value <= 1


def test_comparison_keeps_to_cases_that_both_predicted() -> None:
    first = grades()
    second = replace(first, cases=("z", *first.cases[1:]), prediction=(*first.prediction[:9], NO_PREDICTION))
    result = compare_classifiers(first, second, positive="mild", rng=rng())
    assert (result.n_cases, result.left_out, result.accuracy.p_value, result.auc) == (8, ("a", "j", "z"), 1.0, None)


def test_comparisons_that_are_refused() -> None:
    first = grades()
    with pytest.raises(InputError, match="the class to compare is not one of both classifiers; got severe, among none"):
        compare_classifiers(first, first, positive="severe", rng=rng())
    with pytest.raises(InputError, match="share no predicted case"):
        compare_classifiers(first, replace(first, cases=tuple("klmnopqrst")), positive="mild", rng=rng())
    other = replace(first, reference=("mild", *first.reference[1:]))
    with pytest.raises(InputError, match="disagree about the reference of case “a”; got none and mild"):
        compare_classifiers(first, other, positive="mild", rng=rng())


def test_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    head = "case,patient,reference,prediction,probability_primary,probability_metastasis\n"
    path.write_text(head + "a,P1,primary,primary,0.67,0.33\nb,P1,metastasis,metastasis,0.33,0.66\nc,P2,primary,,,\n")
    cases = read_classified(path, TUMOUR_ORIGINS)
    assert (cases.cases, cases.patients) == (("a", "b", "c"), ("P1", "P1", "P2"))
    assert cases.prediction == ("primary", "metastasis", NO_PREDICTION)
    assert (cases.unpredicted, cases.one_each, cases.patient_index.tolist()) == (("c",), False, [0, 0, 1])
    np.testing.assert_array_equal(cases.probability, [[0.33, 0.67], [0.66, 0.33], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a,P,primary,primary,0.5,0.5\n",
            "the reference holds one class only; expected cases of at least two of metast",
        ),
        ("", "the reference holds one class only; .*got no case"),
        ("a,P,benign,primary,0.5,0.5\n", "line 2: the cell “reference” has an unknown value; expected metastasis or"),
        ("a,P,primary,benign,0.5,0.5\n", "line 2: the cell “prediction” has an unknown value"),
        (
            "a,P,primary,primary,0.5,0.6\nb,P,metastasis,primary,1,0\n",
            "line 2: the probabilities do not sum to 1; got 1.1",
        ),
        ("a,P,primary,primary,1.5,-0.5\nb,P,metastasis,primary,1,0\n", "line 2: a probability lies outside 0–1"),
        ("a,P,primary,primary,0.5,\nb,P,metastasis,primary,1,0\n", "the cell “probability_primary” is empty"),
        ("a,P,primary,primary,1,0\na,P,metastasis,primary,1,0\n", "line 3: the case “a” stands twice"),
    ],
    ids=["one class", "empty", "reference", "prediction", "sum", "range", "missing", "duplicate"],
)
def test_tables_that_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("case,patient,reference,prediction,probability_metastasis,probability_primary\n" + rows)
    with pytest.raises(DatasetError, match=message):
        read_classified(path, TUMOUR_ORIGINS)


def test_probability_columns_must_be_those_of_the_classes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("case,patient,reference,prediction,probability_mild\na,P,mild,mild,1\n")
    with pytest.raises(
        DatasetError, match=r"columns of probabilities are not those of the classes; .*got probability_mild"
    ):
        read_classified(path, EXAM_GRADES)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(DatasetError, match="the columns of the cases differ in length"):
        replace(grades(), patients=("a",))
    with pytest.raises(DatasetError, match="differ in length"):
        replace(grades(), probability=np.zeros((10, 2)))
