"""ROC: curves and areas by hand, DeLong's published example, degenerate separation, the bootstrap form, coverage."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from osteomet.core.errors import InputError, UsageError
from osteomet.stats.bootstrap import bootstrap, difference_statistic, jackknife_covariance
from osteomet.stats.roc import AucMethod, auc, auc_statistic, compare_auc, delong, roc_curve

# Albumin, total protein, K-G score and outcome (1: operation of no use) of 43 patients with ovarian cancer and bowel
# obstruction: DeLong, DeLong, Clarke-Pearson 1988, https://doi.org/10.2307/2531595, as complete cases in the SAS/STAT
# User's Guide, The LOGISTIC Procedure, example "Comparing Receiver Operating Characteristic Curves".
TABLE = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
OVARIAN = np.array(TABLE.split(), dtype=float).reshape(-1, 4)
ALBUMIN, PROTEIN, KG, OUTCOME = OVARIAN[:, 0], OVARIAN[:, 1], 10 - OVARIAN[:, 2], OVARIAN[:, 3]


def binormal(seed: int, n1: int, n0: int, area: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    scores = np.random.default_rng(seed).normal(size=n1 + n0)
    scores[:n1] += norm.ppf(area) * np.sqrt(2)
    return scores, np.arange(n1 + n0) < n1


def test_curve_by_hand_with_ties() -> None:
    curve = roc_curve([0.9, 0.8, 0.8, 0.8, 0.3], [1, 1, 0, 1, 0])
    assert curve.threshold.tolist() == [np.inf, 0.9, 0.8, 0.3]
    np.testing.assert_allclose(curve.sensitivity, [0, 1 / 3, 1, 1])
    np.testing.assert_allclose(curve.false_positive_rate, [0, 0, 1 / 2, 1])
    assert (curve.n_positive, curve.n_negative) == (3, 2)


def test_area_by_hand_counts_ties_half() -> None:
    # pairs: 0.9 beats both; 0.8 ties one and beats one, twice: (2 + 1.5 + 1.5) / 6
    assert auc([0.9, 0.8, 0.8, 0.8, 0.3], [1, 1, 0, 1, 0]).value == pytest.approx(5 / 6)


def test_area_is_the_trapezoid_under_the_curve() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 6, 80), rng.random(80) < 0.4
    curve = roc_curve(scores, truth)
    assert np.trapezoid(curve.sensitivity, curve.false_positive_rate) == pytest.approx(auc(scores, truth).value)


def test_reversing_scores_or_truth_mirrors_the_area() -> None:
    a = auc(ALBUMIN, OUTCOME)
    for b in (auc(-ALBUMIN, OUTCOME), auc(ALBUMIN, 1 - OUTCOME)):
        assert a.value is not None
        assert a.high is not None
        assert (b.value, b.low) == pytest.approx((1 - a.value, 1 - a.high))


def test_only_the_order_of_scores_matters() -> None:
    a, b = auc(ALBUMIN, OUTCOME), auc(np.exp(ALBUMIN), OUTCOME)
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high))


@pytest.mark.parametrize(
    ("scores", "value", "error", "low", "high"),
    [
        (ALBUMIN, 0.7366, 0.0927, 0.5549, 0.9182),
        (KG, 0.7258, 0.1028, 0.5243, 0.9273),
        (PROTEIN, 0.6478, 0.1000, 0.4518, 0.8439),
    ],
    ids=["albumin", "K-G score", "total protein"],
)
def test_delong_example_areas(scores: NDArray[np.float64], value: float, error: float, low: float, high: float) -> None:
    e = auc(scores, OUTCOME, method="delong")
    assert (e.value, e.low, e.high) == pytest.approx((value, low, high), abs=6e-5)
    assert float(delong(scores[None], OUTCOME)[1][0, 0]) ** 0.5 == pytest.approx(error, abs=6e-5)


@pytest.mark.parametrize(
    ("scores", "change", "low", "high", "chi_square", "p"),
    [(ALBUMIN, 0.0108, -0.1761, 0.1976, 0.0127, 0.9102), (PROTEIN, -0.0780, -0.2830, 0.1271, 0.5554, 0.4561)],
    ids=["albumin - K-G", "total protein - K-G"],
)
def test_delong_example_comparisons(
    scores: NDArray[np.float64], change: float, low: float, high: float, chi_square: float, p: float
) -> None:
    result = compare_auc(KG, scores, OUTCOME)
    difference = result.difference
    assert (difference.value, difference.low, difference.high) == pytest.approx((change, low, high), abs=6e-5)
    assert result.test.statistic is not None
    assert (result.test.statistic**2, result.test.p_value) == pytest.approx((chi_square, p), abs=6e-5)


def test_covariance_equals_the_definition_over_all_pairs() -> None:
    scores, positive = np.stack([ALBUMIN, KG, PROTEIN]), OUTCOME.astype(bool)
    x, y = scores[:, positive, None], scores[:, None, ~positive]
    wins = (x > y) + 0.5 * (x == y)
    expected = np.cov(wins.mean(axis=2)) / positive.sum() + np.cov(wins.mean(axis=1)) / (~positive).sum()
    areas, covariance = delong(scores, OUTCOME)
    np.testing.assert_allclose(areas, wins.mean(axis=(1, 2)))
    np.testing.assert_allclose(covariance, expected)


def test_jackknife_covariance_is_close_to_delong() -> None:
    scores = np.stack([ALBUMIN, KG])
    covariance = jackknife_covariance(auc_statistic(scores, OUTCOME))
    np.testing.assert_allclose(covariance, delong(scores, OUTCOME)[1], rtol=0.08)


def test_logit_interval_by_hand() -> None:
    plain, lodged = auc(ALBUMIN, OUTCOME, method="delong"), auc(ALBUMIN, OUTCOME)
    assert plain.value is not None
    assert plain.high is not None
    assert lodged.low is not None
    assert lodged.high is not None
    half = (plain.high - plain.value) / (plain.value * (1 - plain.value))
    centre = np.log(plain.value / (1 - plain.value))
    assert np.log(lodged.low / (1 - lodged.low)) == pytest.approx(centre - half)
    assert np.log(lodged.high / (1 - lodged.high)) == pytest.approx(centre + half)


@pytest.mark.parametrize("method", get_args(AucMethod))
def test_perfect_separation_does_not_claim_certainty(method: AucMethod) -> None:
    e = auc(np.arange(20.0), np.arange(20) >= 10, method=method)
    assert (e.value, e.high, e.method) == (1.0, 1.0, "newcombe-5")
    assert e.low is not None
    assert 0.7 < e.low < 0.95
    # the limit is where the squared distance equals z² times Newcombe's variance
    theta, extra = e.low, 9.0
    spread = 1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))
    assert (1 - theta) ** 2 == pytest.approx(norm.ppf(0.975) ** 2 * theta * (1 - theta) * spread / 100, rel=1e-6)


def test_perfect_inversion_and_all_ties() -> None:
    wrong = auc(-np.arange(20.0), np.arange(20) >= 10)
    right = auc(np.arange(20.0), np.arange(20) >= 10)
    assert right.low is not None
    assert (wrong.value, wrong.low, wrong.high) == pytest.approx((0.0, 0.0, 1 - right.low))
    flat = auc(np.ones(20), np.arange(20) >= 10)
    assert flat.low is not None
    assert flat.high is not None
    assert flat.value == 0.5
    assert flat.low + flat.high == pytest.approx(1.0)


@pytest.mark.parametrize("truth", [[1, 1, 1], [0, 0, 0]])
def test_one_class_only_is_undefined(truth: list[int]) -> None:
    e = auc([0.1, 0.2, 0.3], truth)
    assert (e.value, e.low, e.high) == (None, None, None)
    assert auc([], []).value is None


def test_single_case_of_a_class_has_a_value_but_no_interval() -> None:
    e = auc([0.1, 0.2, 0.3], [0, 1, 0])
    assert (e.value, e.low) == (0.5, None)
    result = compare_auc([0.1, 0.2, 0.3], [0.1, 0.3, 0.2], [0, 1, 0])
    assert (result.difference.value, result.test.p_value) == (0.5, None)
    assert "two positive" in result.test.note


def test_comparing_scores_of_one_order_gives_p_one() -> None:
    test = compare_auc(ALBUMIN, 2 * ALBUMIN, OUTCOME).test
    assert (test.statistic, test.p_value, test.note) == (0.0, 1.0, "both order the cases alike")


def test_difference_without_variance_is_undefined() -> None:
    test = compare_auc(np.ones(6), np.arange(6.0), [0, 0, 0, 1, 1, 1]).test
    assert (test.p_value, test.note) == (None, "the difference has no variance")


def test_weighted_area_equals_the_area_of_repeated_patients() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 5, (2, 40)).astype(float)
    truth, patient = rng.random(40) < 0.5, rng.integers(0, 12, 40)
    patient[:12] = np.arange(12)
    weights = rng.integers(0, 4, (30, 12)).astype(float)
    ours = auc_statistic(scores, truth, patient=patient).evaluate(weights)
    for row, w in zip(ours, weights, strict=True):
        items = np.repeat(np.arange(40), w[patient].astype(int))
        np.testing.assert_allclose(row, delong(scores[:, items], truth[items])[0])


def test_unmarked_is_minus_infinity() -> None:
    scores = np.array([[-np.inf, 0.5, -np.inf, 0.2]])
    assert auc_statistic(scores, [1, 1, 0, 0]).evaluate(np.ones((1, 4)))[0, 0] == pytest.approx((0.5 + 0 + 1 + 1) / 4)


def test_paired_bootstrap_agrees_with_delong() -> None:
    truth = OUTCOME.astype(bool)
    statistics = [auc_statistic(s[None], truth) for s in (KG, PROTEIN)]
    result = bootstrap(difference_statistic(*statistics), rng=np.random.default_rng(0), n_draws=4_000)
    assert result.value[0] == pytest.approx(-0.0780, abs=6e-5)
    assert float(np.nanstd(result.replicates)) == pytest.approx(0.1046, rel=0.06)


def test_refusals() -> None:
    with pytest.raises(InputError, match="the scores hold values that are not numbers; got 1 of 2"):
        auc([0.1, np.nan], [0, 1])
    with pytest.raises(InputError, match="scores and truth differ in length; got 2 against 3"):
        roc_curve([0.1, 0.2], [0, 1, 1])
    with pytest.raises(InputError, match="the truth must be a vector of truth values"):
        auc([0.1, 0.2], [0, 2])
    with pytest.raises(UsageError, match="unknown AUC interval; expected delong or delong-logit; got exact"):
        auc([0.1, 0.2], [0, 1], method="exact")  # type: ignore[arg-type]


@pytest.mark.oracle
def test_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    scores, truth = rng.integers(0, 30, 300) / 30, rng.random(300) < 0.3
    assert auc(scores, truth).value == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-12)
    curve = roc_curve(scores, truth)
    fpr, tpr, thresholds = metrics.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.sensitivity, tpr, atol=1e-12)
    np.testing.assert_allclose(curve.threshold, thresholds)
    weights = rng.integers(1, 5, 300).astype(float)
    weighted = auc_statistic(scores[None], truth).evaluate(weights[None])[0, 0]
    assert weighted == pytest.approx(metrics.roc_auc_score(truth, scores, sample_weight=weights), abs=1e-12)


def coverage(method: AucMethod, n1: int, n0: int, area: float, studies: int) -> float:
    hits = 0
    for seed in range(studies):
        e = auc(*binormal(seed, n1, n0, area), method=method)
        assert e.low is not None
        assert e.high is not None
        hits += e.low <= area <= e.high
    return hits / studies


def test_coverage_of_the_logit_interval_at_the_size_of_liu2021() -> None:
    assert 0.93 <= coverage("delong-logit", 16, 18, 0.85, 1_500) <= 0.97


def test_the_plain_interval_undercovers_there() -> None:
    """Why it is not the default."""
    assert coverage("delong", 16, 18, 0.93, 600) < 0.90


@pytest.mark.slow
@pytest.mark.parametrize(("n1", "n0"), [(30, 30), (31, 32), (60, 60), (100, 100)])
@pytest.mark.parametrize("area", [0.7, 0.85, 0.93])
def test_coverage_of_the_logit_interval(n1: int, n0: int, area: float) -> None:
    assert 0.93 <= coverage("delong-logit", n1, n0, area, 4_000) <= 0.97
