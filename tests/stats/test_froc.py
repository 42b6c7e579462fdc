"""Free response: every operating point by hand, the lowest included; AFROC and JAFROC; the patient bootstrap."""

import numpy as np
import pytest

from osteomet.core.errors import InputError, UsageError
from osteomet.stats.bootstrap import bootstrap, jackknife_covariance, stack_statistics
from osteomet.stats.froc import Marks, afroc_curve, froc_curve, froc_statistic, jafroc_statistic


def make(rows: list[tuple[int, int, float]], n_lesions: list[int], patient: list[int] | None = None) -> Marks:
    """Marks from (case, lesion or -1, confidence)."""
    case, lesion, confidence = (np.array(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    owners = np.arange(len(n_lesions)) if patient is None else np.array(patient)
    return Marks(np.array(case), np.array(lesion), np.array(confidence), np.array(n_lesions), owners)


# Case 0 has two lesions, case 1 one, case 2 none. Lesion 0 of case 0 is marked twice.
THREE = make([(0, 0, 0.9), (0, -1, 0.8), (1, 0, 0.7), (2, -1, 0.7), (0, 1, 0.3), (0, 0, 0.2), (2, -1, 0.1)], [2, 1, 0])


def random_marks(seed: int, n_cases: int = 25) -> Marks:
    rng = np.random.default_rng(seed)
    n_lesions = rng.integers(0, 4, n_cases)
    case = rng.integers(0, n_cases, 120)
    lesion = np.where(rng.random(120) < 0.5, (rng.random(120) * n_lesions[case]).astype(int), -1)
    lesion[n_lesions[case] == 0] = -1
    patient = np.arange(n_cases) // 2
    return Marks(case, lesion, rng.integers(1, 15, 120) / 15, n_lesions, patient)


def repeat_cases(marks: Marks, times: list[int]) -> Marks:
    """The same study with each case standing as often as told: the slow way to weigh."""
    rows: list[tuple[int, int, float]] = []
    n_lesions: list[int] = []
    for case, k in enumerate(times):
        for _ in range(k):
            mine = marks.case == case
            new = len(n_lesions)
            rows += [
                (new, int(hit), float(c)) for hit, c in zip(marks.lesion[mine], marks.confidence[mine], strict=True)
            ]
            n_lesions.append(int(marks.n_lesions[case]))
    return make(rows, n_lesions)


def staircase(marks: Marks, rate: float) -> float:
    curve = froc_curve(marks)
    return float(curve.sensitivity[curve.fp_per_case <= rate + 1e-12][-1])


def test_every_operating_point_by_hand() -> None:
    curve = froc_curve(THREE)
    assert curve.threshold.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.3, 0.2, 0.1]
    np.testing.assert_allclose(curve.sensitivity, np.array([0, 1, 1, 2, 3, 3, 3]) / 3)
    np.testing.assert_allclose(curve.fp_per_case, np.array([0, 0, 1, 2, 2, 2, 3]) / 3)
    assert (curve.n_lesions, curve.n_cases) == (3, 3)


def test_the_lowest_confidence_is_an_operating_point() -> None:
    """A published implementation drops it and so loses a lesion here."""
    curve = froc_curve(make([(0, 0, 0.9), (0, 1, 0.1)], [2]))
    assert curve.threshold[-1] == 0.1
    assert curve.sensitivity[-1] == 1.0


@pytest.mark.parametrize(
    ("rows", "n_lesions", "sensitivity", "fp"),
    [
        ([], [0, 0], [np.nan], [0.0]),
        ([], [2, 0], [0.0], [0.0]),
        ([(0, -1, 0.5)], [0, 0], [np.nan, np.nan], [0.0, 0.5]),
        ([(0, 0, 0.5), (0, 1, 0.5)], [2, 0], [0.0, 1.0], [0.0, 0.0]),
    ],
    ids=["both empty", "prediction empty", "reference empty", "perfect"],
)
def test_quartet(
    rows: list[tuple[int, int, float]], n_lesions: list[int], sensitivity: list[float], fp: list[float]
) -> None:
    marks = make(rows, n_lesions)
    curve = froc_curve(marks)
    np.testing.assert_allclose(curve.sensitivity, sensitivity)
    np.testing.assert_allclose(curve.fp_per_case, fp)
    value = froc_statistic(marks, [1.0]).evaluate(np.ones((1, 2)))
    np.testing.assert_allclose(value, [[sensitivity[-1]]])


def test_reading_the_curve_at_given_rates_by_hand() -> None:
    value = froc_statistic(THREE, [0.0, 0.3, 1 / 3, 0.9, 1.0, 8.0]).evaluate(np.ones((1, 3)))[0]
    np.testing.assert_allclose(value, np.array([1, 1, 1, 3, 3, 3]) / 3)


@pytest.mark.parametrize("seed", range(3))
def test_weighted_curve_equals_repeated_cases(seed: int) -> None:
    marks = random_marks(seed)
    weights = np.random.default_rng(seed).multinomial(13, np.full(13, 1 / 13), 8).astype(float)
    rates = [0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0]
    ours = froc_statistic(marks, rates).evaluate(weights)
    figures = [jafroc_statistic(marks, false_positives=kind) for kind in ("normal", "all")]
    areas = stack_statistics(figures).evaluate(weights)
    for i, w in enumerate(weights):
        again = repeat_cases(marks, w[marks.patient].astype(int).tolist())
        np.testing.assert_allclose(ours[i], [staircase(again, rate) for rate in rates])
        one = np.ones((1, again.n_lesions.size))
        expected = [jafroc_statistic(again, false_positives=k).evaluate(one)[0, 0] for k in ("normal", "all")]
        np.testing.assert_allclose(areas[i], expected)


def test_jafroc_by_hand() -> None:
    # lesions 0.9, 0.3, 0.7; normal case 0.7: won, lost, tied
    assert jafroc_statistic(THREE).evaluate(np.ones((1, 3)))[0, 0] == pytest.approx(1.5 / 3)
    # highest false positives of all cases 0.8, none, 0.7: (3 + 1 + 1.5) of 9
    all_cases = jafroc_statistic(THREE, false_positives="all")
    assert all_cases.evaluate(np.ones((1, 3)))[0, 0] == pytest.approx(5.5 / 9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["normal", "all"])
def test_jafroc_is_the_area_under_the_straight_afroc_curve(seed: int, kind: str) -> None:
    marks = random_marks(seed)
    curve = afroc_curve(marks, false_positives=kind)  # type: ignore[arg-type]
    area = np.trapezoid(curve.sensitivity, curve.false_positive_rate)
    figure = jafroc_statistic(marks, false_positives=kind)  # type: ignore[arg-type]
    assert figure.evaluate(np.ones((1, figure.n_patients)))[0, 0] == pytest.approx(area)
    assert (curve.sensitivity[-1], curve.false_positive_rate[-1]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("rows", "n_lesions", "value"),
    [
        ([], [1, 0], 0.5),
        ([(0, 0, 0.9)], [1, 0], 1.0),
        ([(1, -1, 0.9)], [1, 0], 0.0),
        ([(0, 0, 0.9)], [1, 1], np.nan),
        ([(0, -1, 0.9)], [0, 0], np.nan),
    ],
    ids=["nothing marked", "perfect", "only a false positive", "no normal case", "no lesion"],
)
def test_jafroc_ends(rows: list[tuple[int, int, float]], n_lesions: list[int], value: float) -> None:
    np.testing.assert_allclose(jafroc_statistic(make(rows, n_lesions)).evaluate(np.ones((1, 2)))[0, 0], value)


def test_band_holds_the_curve_and_rises() -> None:
    rates = np.array([0.25, 0.5, 1.0, 2.0])
    result = bootstrap(froc_statistic(random_marks(0), rates), rng=np.random.default_rng(0), n_draws=1_000)
    assert (result.low <= result.value).all()
    assert (result.value <= result.high).all()
    assert (np.diff(result.low) >= 0).all()


def test_covariance_of_two_readers_feeds_the_multi_reader_analysis() -> None:
    readers = stack_statistics([jafroc_statistic(random_marks(0)), jafroc_statistic(random_marks(0))])
    covariance = jackknife_covariance(readers)
    np.testing.assert_allclose(covariance, covariance[0, 0])


def test_refusals() -> None:
    with pytest.raises(InputError, match="mark 1 hits a lesion that its case does not have; expected -1 to 0; got 1"):
        make([(0, 0, 0.5), (0, 1, 0.5)], [1])
    with pytest.raises(InputError, match="a mark lies on an unknown case; expected 0 to 0; got 0 to 3"):
        make([(0, -1, 0.5), (3, -1, 0.5)], [1])
    with pytest.raises(InputError, match="marks need at least one case"):
        make([], [])
    with pytest.raises(InputError, match=r"numbered from 0 without gaps; got \[0, 2\]"):
        make([], [1, 1], [0, 2])
    with pytest.raises(InputError, match="do not fit each other"):
        make([(0, -1, 0.5)], [1], [0, 1])
    with pytest.raises(InputError, match="the confidences hold values that are not numbers"):
        make([(0, -1, np.nan)], [1])
    with pytest.raises(UsageError, match="unknown choice of false positive cases; expected normal or all; got none"):
        afroc_curve(THREE, false_positives="none")  # type: ignore[arg-type]
