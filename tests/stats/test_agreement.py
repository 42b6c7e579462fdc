"""Agreement: published examples, cases by hand, degenerate raters, coverage."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from osteomet.core.errors import InputError, UsageError
from osteomet.stats.agreement import IccForm, KappaWeights, bland_altman, cohen_kappa, fleiss_kappa, icc
from osteomet.stats.bootstrap import index_statistic, jackknife_covariance

# Peak expiratory flow of 17 subjects, l/min: Bland, Altman 1986, https://doi.org/10.1016/S0140-6736(86)90837-8, table.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI_WRIGHT = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

# Six subjects, four judges: Shrout, Fleiss 1979, https://doi.org/10.1037/0033-2909.86.2.420, table 2.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
FORMS: tuple[IccForm, ...] = get_args(IccForm)


def test_bland_altman_1986_example() -> None:
    """The paper prints mean difference -2.1, standard deviation 38.8, interval of the bias -22.0 to 17.8."""
    result = bland_altman(MINI_WRIGHT, WRIGHT)
    assert result.bias.value == pytest.approx(-2.1, abs=0.05)
    assert result.sd == pytest.approx(38.8, abs=0.05)
    assert (result.bias.low, result.bias.high) == pytest.approx((-22.0, 17.8), abs=0.06)
    assert result.n == 17


def test_limits_are_exact_quantiles_of_the_sample_distribution() -> None:
    """The lower limit sits at bias - k s, and P(bias + k s > mu + 1.96 sigma) is the noncentral t tail."""
    result = bland_altman(MINI_WRIGHT, WRIGHT)
    assert result.bias.value is not None
    assert result.sd is not None
    assert result.upper.high is not None
    assert result.upper.low is not None
    assert result.upper.value == pytest.approx(result.bias.value + 1.959964 * result.sd, rel=1e-6)
    for limit, tail in ((result.upper.low, 0.025), (result.upper.high, 0.975)):
        k = (limit - result.bias.value) / result.sd
        assert stats.nct.cdf(k * 17**0.5, 16, 1.959964 * 17**0.5) == pytest.approx(tail, abs=1e-6)


def test_limits_mirror_when_the_methods_are_swapped() -> None:
    a, b = bland_altman(MINI_WRIGHT, WRIGHT), bland_altman(WRIGHT, MINI_WRIGHT)
    assert a.lower.value is not None
    assert a.lower.low is not None
    assert (b.upper.value, b.upper.high) == pytest.approx((-a.lower.value, -a.lower.low))


def test_large_samples_approach_bland_and_altmans_own_interval() -> None:
    x = np.random.default_rng(0).normal(size=2_000)
    result = bland_altman(np.zeros(2_000), x)
    half = 1.96 * x.std(ddof=1) * np.sqrt(1 / 2_000 + 1.96**2 / (2 * 1_999))
    assert result.upper.value is not None
    assert result.upper.low is not None
    assert result.upper.high is not None
    assert (result.upper.high - result.upper.low) / 2 == pytest.approx(half, rel=0.01)


def test_bland_altman_degenerate() -> None:
    assert bland_altman([], []).bias.value is None
    one = bland_altman([1.0], [3.0])
    assert (one.bias.value, one.bias.low, one.sd, one.upper.value) == (2.0, None, None, None)
    same = bland_altman([1.0, 2.0], [1.0, 2.0])
    assert (same.lower.value, same.upper.high) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("form", "value", "low", "high"),
    [
        ("1,1", 0.17, -0.133, 0.72),
        ("2,1", 0.29, 0.019, 0.76),
        ("3,1", 0.71, 0.342, 0.95),
        ("1,k", 0.44, -0.884, 0.91),
        ("2,k", 0.62, 0.071, 0.93),
        ("3,k", 0.91, 0.676, 0.99),
    ],
)
def test_icc_shrout_fleiss_example(form: IccForm, value: float, low: float, high: float) -> None:
    """Values from the paper; limits as R's psych::ICC prints them for these data."""
    e = icc(JUDGES, form=form)
    assert e.value == pytest.approx(value, abs=0.005)
    assert e.low == pytest.approx(low, abs=0.0005)
    assert e.high == pytest.approx(high, abs=0.005)


def test_icc_form_three_ignores_offsets_of_raters_and_form_two_does_not() -> None:
    base = np.array([[1.0, 1.2, 0.9], [2.0, 2.1, 2.3], [3.2, 3.0, 3.1], [4.0, 4.2, 4.1]])
    shifted = base + np.array([0.0, 5.0, -5.0])
    for form, same in (("3,1", True), ("3,k", True), ("2,1", False), ("1,1", False)):
        a, b = icc(base, form=form), icc(shifted, form=form)  # type: ignore[arg-type]
        assert a.value is not None
        assert b.value is not None
        assert (abs(a.value - b.value) < 1e-9) is same


@pytest.mark.parametrize("form", FORMS)
def test_icc_degenerate(form: IccForm) -> None:
    assert icc(np.ones((4, 3)), form=form).value is None
    assert icc(np.ones((1, 3)), form=form).value is None
    assert icc([[1.0], [2.0]], form=form).value is None
    perfect = icc([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]], form=form)
    assert (perfect.value, perfect.low) == (1.0, None)
    assert icc([[0.1, 0.2], [0.1, 0.2]], form=form).value is None


def test_icc_of_subjects_that_hardly_differ_is_unbounded_below_for_means() -> None:
    """Between 2/3 d², residual about 1: a mean of two raters would have negative variance."""
    e = icc([[0.0, 1.0], [1.0, 0.0], [0.01, 1.01], [1.01, 0.01]], form="2,k")
    assert (e.value, e.low) == (None, None)
    single = icc([[0.0, 1.0], [1.0, 0.0], [0.01, 1.01], [1.01, 0.01]], form="2,1")
    assert single.value is not None
    assert single.value < -0.9


@pytest.mark.parametrize("form", ["1,1", "2,1", "3,1"])
def test_icc_limits_put_the_observed_ratio_at_the_tails(form: IccForm) -> None:
    """A wider level gives a wider interval, and every interval holds its value."""
    narrow, wide = icc(JUDGES, form=form, level=0.5), icc(JUDGES, form=form, level=0.99)
    assert narrow.low is not None
    assert narrow.high is not None
    assert narrow.value is not None
    assert wide.low is not None
    assert wide.high is not None
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_cohen_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5
    first, second = [1] * 25 + [0] * 25, [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    e = cohen_kappa(first, second)
    assert e.value == pytest.approx(0.4)
    assert e.low is not None
    assert e.high is not None
    assert (e.low + e.high) / 2 == pytest.approx(0.4)


def test_weighted_kappa_by_hand() -> None:
    # ratings 0..2: disagreements of size 2 and 1 among four; chance distances from the margins
    first, second = [0, 0, 1, 2], [2, 0, 1, 1]
    row, column = np.array([2, 1, 1]) / 4, np.array([1, 2, 1]) / 4
    gap = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    for weights, power in (("linear", 1), ("quadratic", 2)):
        expected = 1 - (2**power + 1) / 4 / float(row @ gap**power @ column)
        assert cohen_kappa(first, second, weights=weights).value == pytest.approx(expected)  # type: ignore[arg-type]


def test_unused_grades_count_for_the_distance() -> None:
    """Grades 0, 1 and 10: missing 10 by 9 is worse than missing 0 by 1."""
    near = cohen_kappa([0, 1, 10, 10], [1, 1, 10, 10], weights="linear").value
    far = cohen_kappa([0, 1, 10, 10], [0, 1, 1, 10], weights="linear").value
    assert near is not None
    assert far is not None
    assert near > far


@pytest.mark.parametrize("weights", get_args(KappaWeights))
def test_cohen_degenerate(weights: KappaWeights) -> None:
    assert cohen_kappa([], [], weights=weights).value is None
    assert cohen_kappa([1, 1], [1, 1], weights=weights).value is None
    perfect = cohen_kappa([0, 1, 2], [0, 1, 2], weights=weights)
    assert (perfect.value, perfect.low) == (1.0, None)
    opposite = cohen_kappa([0, 1], [1, 0], weights=weights)
    assert opposite.value == pytest.approx(-1.0)


FLEISS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


def from_counts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ratings that give these counts; who gave which does not matter."""
    return np.array([np.repeat(np.arange(counts.shape[1]), row) for row in counts])


def test_fleiss_by_hand() -> None:
    """14 raters, 10 subjects: mean agreement 0.378, chance 0.213, kappa 0.210."""
    assert fleiss_kappa(from_counts(FLEISS)).value == pytest.approx(0.210, abs=0.0005)


def test_fleiss_standard_error_is_close_to_the_jackknife() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    ratings = np.where(rng.random((200, 4)) < 0.7, truth[:, None], rng.integers(0, 3, (200, 4)))
    e = fleiss_kappa(ratings)
    again = index_statistic(lambda i: [fleiss_kappa(ratings[i]).value or 0.0], 200)
    assert e.low is not None
    assert e.high is not None
    error = (e.high - e.low) / 2 / stats.t.isf(0.025, 199)
    assert error == pytest.approx(float(jackknife_covariance(again)[0, 0]) ** 0.5, rel=0.03)


def test_fleiss_degenerate() -> None:
    assert fleiss_kappa(np.ones((5, 3))).value is None
    assert fleiss_kappa([[0, 1]]).value is None
    perfect = fleiss_kappa([[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    assert (perfect.value, perfect.low) == (1.0, None)


def test_refusals() -> None:
    with pytest.raises(InputError, match="the two measurements differ in length; got 1 against 2"):
        bland_altman([1.0], [1.0, 2.0])
    with pytest.raises(InputError, match=r"ratings must be whole numbers; got \[0\.5\]"):
        cohen_kappa([0.5, 1.0], [0.0, 1.0])
    with pytest.raises(InputError, match=r"the ratings must have 2 axes; got shape \(3,\)"):
        fleiss_kappa([1, 2, 3])
    with pytest.raises(UsageError, match="unknown form of the intraclass correlation"):
        icc(JUDGES, form="4,1")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown kappa weights"):
        cohen_kappa([0, 1], [0, 1], weights="cubic")  # type: ignore[arg-type]


@pytest.mark.oracle
@pytest.mark.parametrize(("weights", "theirs"), [("none", None), ("linear", "linear"), ("quadratic", "quadratic")])
def test_kappas_agree_with_statsmodels_and_scikit_learn(weights: KappaWeights, theirs: str | None) -> None:
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    first = rng.integers(0, 4, 90)
    second = np.where(rng.random(90) < 0.6, first, rng.integers(0, 4, 90))
    e = cohen_kappa(first, second, weights=weights)
    table = np.zeros((4, 4))
    np.add.at(table, (first, second), 1)
    reference = inter_rater.cohens_kappa(table, wt=theirs)
    assert e.value == pytest.approx(reference.kappa, abs=1e-12)
    assert e.value == pytest.approx(metrics.cohen_kappa_score(first, second, weights=theirs), abs=1e-12)
    assert (e.low, e.high) == pytest.approx((reference.kappa_low, reference.kappa_upp), abs=1e-9)
    ratings = np.stack([first, second, rng.integers(0, 4, 90)], axis=1)
    counts = inter_rater.aggregate_raters(ratings)[0]
    assert fleiss_kappa(ratings).value == pytest.approx(inter_rater.fleiss_kappa(counts), abs=1e-12)


def test_coverage_of_the_limits_of_agreement() -> None:
    rng = np.random.default_rng(2)
    hits, n, studies = np.zeros(2), 20, 1_500
    for sample in rng.normal(size=(studies, n)):
        result = bland_altman(np.zeros(n), sample)
        for i, (e, truth) in enumerate(((result.lower, -1.959964), (result.upper, 1.959964))):
            assert e.low is not None
            assert e.high is not None
            hits[i] += e.low <= truth <= e.high
    assert ((hits / studies >= 0.93) & (hits / studies <= 0.97)).all()


def test_coverage_of_kappas() -> None:
    """Each rater sees the truth with chance 0.8 and guesses among three grades otherwise: kappa 0.64."""
    rng = np.random.default_rng(4)
    hits, studies, n = np.zeros(2), 1_500, 100
    for _ in range(studies):
        truth = rng.integers(0, 3, (n, 1))
        ratings = np.where(rng.random((n, 3)) < 0.8, truth, rng.integers(0, 3, (n, 3)))
        for i, e in enumerate((cohen_kappa(ratings[:, 0], ratings[:, 1]), fleiss_kappa(ratings))):
            assert e.low is not None
            assert e.high is not None
            hits[i] += e.low <= 0.64 <= e.high
    assert ((hits / studies >= 0.93) & (hits / studies <= 0.97)).all()


@pytest.mark.parametrize(("form", "truth"), [("1,1", 0.6), ("2,1", 0.6), ("3,1", 0.6 / 0.9), ("2,k", 0.6 / 0.7)])
def test_coverage_of_icc(form: IccForm, truth: float) -> None:
    """Variances 0.6 between subjects, 0.1 of raters, 0.3 residual; for form 1 raters are drawn anew for each subject.

    Thirty subjects and four raters; for form 2,k the mean of four has error (0.1 + 0.3) / 4.
    """
    rng = np.random.default_rng(3)
    studies, n, k = 1_000, 30, 4
    hits = 0
    for _ in range(studies):
        raters = rng.normal(size=(n if form == "1,1" else 1, k)) * 0.1**0.5
        ratings = rng.normal(size=(n, 1)) * 0.6**0.5 + raters + rng.normal(size=(n, k)) * 0.3**0.5
        e = icc(ratings, form=form)
        assert e.low is not None
        assert e.high is not None
        hits += e.low <= truth <= e.high
    assert truth == pytest.approx({"2,k": 0.6 / (0.6 + 0.4 / 4)}.get(form, truth))
    assert 0.93 <= hits / studies <= 0.97
