"""Yes/no and multi-class figures: counts by hand, empty classes, agreement with scikit-learn."""

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.stats.classes import classification_report, diagnostic_accuracy
from osteomet.stats.intervals import proportion_interval

GRADES = ("none", "mild", "apparent")


def test_liu2021_test_set_from_its_patients() -> None:
    """16 with metastases, 14 called; 18 without, 3 called: the DWI column of the paper's Table 5."""
    reference = [1] * 16 + [0] * 18
    prediction = [1] * 14 + [0] * 2 + [1] * 3 + [0] * 15
    result = diagnostic_accuracy(reference, prediction)
    counts = {name: getattr(result, name) for name in ("sensitivity", "specificity", "accuracy", "ppv", "npv")}
    expected = {
        "sensitivity": (14, 16),
        "specificity": (15, 18),
        "accuracy": (29, 34),
        "ppv": (14, 17),
        "npv": (15, 17),
    }
    assert counts == {name: proportion_interval(*kn) for name, kn in expected.items()}


@pytest.mark.parametrize(
    ("reference", "prediction", "defined"),
    [
        ([], [], set()),
        ([0, 0], [0, 0], {"specificity", "accuracy", "npv"}),
        ([1, 1], [0, 0], {"sensitivity", "accuracy", "npv"}),
        ([1, 1], [1, 1], {"sensitivity", "accuracy", "ppv"}),
        ([0, 0], [1, 1], {"specificity", "accuracy", "ppv"}),
    ],
    ids=["no patient", "both empty", "prediction empty", "perfect", "reference empty"],
)
def test_what_has_no_cases_is_undefined(reference: list[int], prediction: list[int], defined: set[str]) -> None:
    result = diagnostic_accuracy(reference, prediction)
    names = ("sensitivity", "specificity", "accuracy", "ppv", "npv")
    assert {n for n in names if getattr(result, n).value is not None} == defined


def test_three_grades_by_hand() -> None:
    reference = ["none"] * 4 + ["mild"] * 3 + ["apparent"] * 3
    prediction = ["none", "none", "none", "mild", "mild", "mild", "apparent", "apparent", "apparent", "none"]
    report = classification_report(reference, prediction, GRADES)
    assert report.matrix.tolist() == [[3, 1, 0], [0, 2, 1], [1, 0, 2]]
    assert report.accuracy.value == 0.7
    none, mild, apparent = report.classes
    assert (none.recall.numerator, none.recall.denominator) == (3, 4)
    assert (none.precision.numerator, none.precision.denominator) == (3, 4)
    assert (none.accuracy.numerator, none.accuracy.denominator) == (8, 10)
    assert mild.f1.value == pytest.approx(4 / 6)
    assert (apparent.f1.numerator, apparent.f1.denominator, apparent.f1.low) == (4, 6, None)
    assert report.macro_recall == pytest.approx((3 / 4 + 2 / 3 + 2 / 3) / 3)
    assert report.macro_f1 == pytest.approx((3 / 4 + 2 / 3 + 2 / 3) / 3)


def test_a_class_that_nobody_has_is_undefined_and_so_is_the_macro_mean() -> None:
    report = classification_report(["none", "mild"], ["none", "none"], GRADES)
    _, mild, apparent = report.classes
    assert (mild.recall.value, mild.precision.value, mild.f1.value) == (0.0, None, 0.0)
    assert (apparent.recall.value, apparent.precision.value, apparent.f1.value) == (None, None, None)
    assert apparent.accuracy.value == 1.0
    assert (report.macro_recall, report.macro_f1) == (None, None)


def test_no_case_at_all() -> None:
    report = classification_report([], [], GRADES)
    assert report.accuracy.value is None
    assert report.matrix.sum() == 0


def test_refusals() -> None:
    with pytest.raises(InputError, match="unknown class; expected none, mild, apparent; got severe"):
        classification_report(["none"], ["severe"], GRADES)
    with pytest.raises(InputError, match="reference and prediction differ in length; got 2 against 1"):
        classification_report(["none", "none"], ["none"], GRADES)
    with pytest.raises(InputError, match="reference and prediction differ in length; got 2 against 1"):
        diagnostic_accuracy([1, 0], [1])
    with pytest.raises(InputError, match="the prediction must be a vector of truth values"):
        diagnostic_accuracy([1, 0], [0.7, 0.2])


@pytest.mark.oracle
def test_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 3, 200)
    prediction = np.where(rng.random(200) < 0.7, reference, rng.integers(0, 3, 200))
    names = np.array(GRADES)
    report = classification_report(names[reference], names[prediction], GRADES)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(reference, prediction)
    assert report.matrix.tolist() == metrics.confusion_matrix(reference, prediction).tolist()
    assert [c.precision.value for c in report.classes] == pytest.approx(precision.tolist(), abs=1e-12)
    assert [c.recall.value for c in report.classes] == pytest.approx(recall.tolist(), abs=1e-12)
    assert [c.f1.value for c in report.classes] == pytest.approx(f1.tolist(), abs=1e-12)
    assert report.macro_f1 == pytest.approx(float(f1.mean()), abs=1e-12)
