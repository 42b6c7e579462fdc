"""Patient bootstrap: exact small cases, the same figures as slow loops and as scipy, bounded memory, coverage."""

import itertools
import time
import tracemalloc

import numpy as np
import pytest
from scipy import stats

import osteomet.stats.bootstrap as module
from osteomet.core.errors import InputError, UsageError
from osteomet.stats.bootstrap import (
    Statistic,
    bootstrap,
    bootstrap_covariance,
    difference_statistic,
    index_statistic,
    jackknife,
    jackknife_covariance,
    mean_statistic,
    ratio_statistic,
    stack_statistics,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_ratio_by_hand() -> None:
    detected, lesions = np.array([[2.0], [1.0], [0.0]]), np.array([[2.0], [3.0], [5.0]])
    s = ratio_statistic(detected, lesions)
    weights = np.array([[1.0, 1, 1], [3, 0, 0], [0, 2, 1]])
    np.testing.assert_allclose(s.evaluate(weights)[:, 0], [0.3, 1.0, 2 / 11])


def test_a_resample_without_denominator_is_undefined() -> None:
    s = ratio_statistic([[0.0], [1.0]], [[0.0], [2.0]])
    assert np.isnan(s.evaluate(np.array([[2.0, 0.0]]))[0, 0])


def test_mean_leaves_undefined_patients_out() -> None:
    s = mean_statistic([[0.8, np.nan], [0.6, np.nan], [np.nan, 0.5]])
    np.testing.assert_allclose(s.evaluate(np.ones((1, 3))), [[0.7, 0.5]])


def test_percentile_limits_are_quantiles_of_all_resamples_of_three_patients() -> None:
    """Of 27 resamples 10 have a mean below 1, 7 a mean of 1: a 20 % interval, from 40 to 60 %, is (1, 1)."""
    result = bootstrap(mean_statistic([[0.0], [1.0], [2.0]]), rng=rng(), n_draws=4_000, method="percentile", level=0.2)
    assert result.value[0] == result.low[0] == result.high[0] == 1.0
    share = (result.replicates == 1.0).mean()
    assert share == pytest.approx(7 / 27, abs=0.03)


def test_jackknife_and_its_covariance_of_a_mean_by_hand() -> None:
    x = np.array([[1.0, 2.0], [2.0, 4.0], [6.0, 3.0]])
    s = mean_statistic(x)
    np.testing.assert_allclose(jackknife(s), [[4, 3.5], [3.5, 2.5], [1.5, 3]])
    np.testing.assert_allclose(jackknife_covariance(s), np.cov(x.T) / 3)


def test_bootstrap_covariance_of_means_tends_to_its_limit() -> None:
    x = rng(3).normal(size=(40, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    limit = np.cov(x.T, ddof=0) / 40
    np.testing.assert_allclose(
        bootstrap_covariance(mean_statistic(x), rng=rng(), n_draws=20_000), limit, rtol=0.1, atol=2e-4
    )


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_same_as_scipy_draw_for_draw(method: str) -> None:
    """scipy draws the same indices from the same seed, so the limits agree to rounding."""
    x = rng(1).exponential(size=37)
    ours = bootstrap(mean_statistic(x[:, None]), rng=rng(5), n_draws=2_000, method=method)  # type: ignore[arg-type]
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=2_000, method="BCa" if method == "bca" else method, rng=rng(5)
    ).confidence_interval
    np.testing.assert_allclose([ours.low[0], ours.high[0]], [theirs.low, theirs.high], rtol=1e-12)


def test_index_statistic_equals_the_matrix_form() -> None:
    top, bottom = rng(2).random((12, 1)), 1 + rng(3).random((12, 1))
    slow = index_statistic(lambda i: top[i].sum(axis=0) / bottom[i].sum(axis=0), 12)
    a = bootstrap(ratio_statistic(top, bottom), rng=rng(7), n_draws=300)
    b = bootstrap(slow, rng=rng(7), n_draws=300)
    np.testing.assert_allclose(a.replicates, b.replicates)
    np.testing.assert_allclose([a.low, a.high], [b.low, b.high])


def test_block_size_does_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    s = ratio_statistic(rng(2).random((50, 3)), np.ones((50, 3)))
    whole = bootstrap(s, rng=rng(1), n_draws=200)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 8 * 50 * 7)
    cut = bootstrap(s, rng=rng(1), n_draws=200)
    np.testing.assert_allclose(whole.replicates, cut.replicates)
    np.testing.assert_allclose(whole.low, cut.low)


def test_memory_is_bounded_by_the_block_not_by_the_draws() -> None:
    s = mean_statistic(rng().random((2_000, 2)))
    tracemalloc.start()
    bootstrap(s, rng=rng(), n_draws=4_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 16 * 2**20  # all draws at once would hold 61 MiB four times over


def test_same_seed_same_result_and_estimates_carry_the_method() -> None:
    s = mean_statistic([[0.1], [0.5], [0.9], [0.7]])
    a, b = (bootstrap(s, rng=rng(4), n_draws=100).estimates()[0] for _ in range(2))
    assert a == b
    assert a.value == pytest.approx(0.55)
    assert (a.method, a.level) == ("bootstrap bca", 0.95)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_figures_without_variation_have_no_width(method: str) -> None:
    s = ratio_statistic([[3.0], [2.0], [5.0]], [[3.0], [2.0], [5.0]])
    result = bootstrap(s, rng=rng(), n_draws=200, method=method)  # type: ignore[arg-type]
    assert result.low[0] == result.value[0] == result.high[0] == 1.0


def test_undefined_figure_is_none_and_does_not_disturb_its_neighbour() -> None:
    s = ratio_statistic([[0.0, 1.0], [0.0, 2.0], [0.0, 0.0]], [[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
    first, second = bootstrap(s, rng=rng(), n_draws=300).estimates()
    assert (first.value, first.low, first.high) == (None, None, None)
    assert second.value == 0.5
    assert second.low is not None


def test_undefined_draws_are_counted_and_left_out() -> None:
    """Only one of three patients has lesions: (2/3)³ of the draws miss it, all others give 1/2."""
    s = ratio_statistic([[1.0], [0.0], [0.0]], [[2.0], [0.0], [0.0]])
    result = bootstrap(s, rng=rng(), n_draws=4_000)
    assert result.n_undefined[0] / 4_000 == pytest.approx(8 / 27, abs=0.03)
    assert set(result.replicates[~np.isnan(result.replicates)]) == {0.5}


def test_a_figure_of_one_or_two_patients_has_neither_limits_nor_a_p_value() -> None:
    """Every draw that holds the one patient with lesions gives the same: that is no certainty."""
    one_counts = ratio_statistic([[1.0], [0.0], [0.0]], [[2.0], [0.0], [0.0]])
    for statistic in (one_counts, mean_statistic([[0.7]]), mean_statistic([[0.7], [0.2]])):
        result = bootstrap(statistic, rng=rng(), n_draws=400)
        assert not np.isnan(result.value).any()
        assert np.isnan([result.low, result.high, result.p_value]).all()
    four_count = np.array([[1.0], [2.0], [1.0], [2.0], *[[0.0]] * 6])
    assert not np.isnan(bootstrap(ratio_statistic(four_count, 2 * four_count), rng=rng(), n_draws=2_000).low).any()


def test_paired_difference_cancels_what_both_share() -> None:
    """One model is better by 0.1 on every patient: however patients differ, the difference has no variance."""
    dice = rng(3).random((30, 1)) * 0.8
    difference = difference_statistic(mean_statistic(dice), mean_statistic(dice + 0.1))
    result = bootstrap(difference, rng=rng(), n_draws=500)
    np.testing.assert_allclose([result.low[0], result.value[0], result.high[0]], 0.1)
    assert result.p_value[0] == pytest.approx(2 / 501)


def test_p_value_is_large_without_difference() -> None:
    x = rng(1).normal(size=(50, 1))
    result = bootstrap(mean_statistic(x - x.mean()), rng=rng(), n_draws=500)
    assert result.p_value[0] > 0.8


def test_p_value_of_no_difference_at_all_is_one() -> None:
    assert bootstrap(mean_statistic(np.zeros((5, 1))), rng=rng(), n_draws=50).p_value[0] == 1.0


def test_stacked_statistics_share_the_draws() -> None:
    x = rng(1).normal(size=(20, 1))
    result = bootstrap(stack_statistics([mean_statistic(x), mean_statistic(2 * x)]), rng=rng(), n_draws=100)
    np.testing.assert_allclose(result.replicates[:, 1], 2 * result.replicates[:, 0])


def test_refusals() -> None:
    with pytest.raises(InputError, match="no patient to resample"):
        mean_statistic(np.empty((0, 1)))
    with pytest.raises(InputError, match=r"differ in shape; got \(2, 1\) against \(3, 1\)"):
        ratio_statistic(np.ones((2, 1)), np.ones((3, 1)))
    with pytest.raises(InputError, match="the numerators hold values that are not numbers; got 1 of 2"):
        ratio_statistic([[np.nan], [1.0]], [[1.0], [1.0]])
    two, three = mean_statistic(np.ones((2, 1))), mean_statistic(np.ones((3, 1)))
    with pytest.raises(InputError, match=r"same patients only; got numbers \[2, 3\]"):
        stack_statistics([two, three])
    with pytest.raises(InputError, match="needs the same patients on both sides; got 2 against 3"):
        difference_statistic(two, three)
    with pytest.raises(InputError, match="different figures; got 1 against 3"):
        bootstrap(difference_statistic(two, mean_statistic(np.ones((2, 3)))), rng=rng())
    with pytest.raises(InputError, match="at least one draw; got 0"):
        bootstrap(mean_statistic([[1.0]]), rng=rng(), n_draws=0)
    with pytest.raises(UsageError, match="unknown bootstrap method; expected bca or percentile; got basic"):
        bootstrap(mean_statistic([[1.0]]), rng=rng(), method="basic")  # type: ignore[arg-type]


def test_bca_follows_the_formula_on_replicates_of_every_resample() -> None:
    """All 27 resamples of three patients once each: bias and acceleration from first principles."""
    x = np.array([0.0, 1.0, 5.0])
    every = np.array([np.bincount(p, minlength=3) for p in itertools.product(range(3), repeat=3)], dtype=float)
    replicates = every @ x / 3
    left_out = np.array([3.0, 2.5, 0.5])
    skew = ((2 - left_out) ** 3).sum() / (6 * ((2 - left_out) ** 2).sum() ** 1.5)
    bias = stats.norm.ppf(((replicates < 2).sum() + 0.5 * (replicates == 2).sum()) / 27)
    z = bias + stats.norm.ppf([0.05, 0.95])
    expected = np.quantile(replicates, stats.norm.cdf(bias + z / (1 - skew * z)))
    shares = module._bca_shares(np.array([2.0]), replicates[:, None], left_out[:, None], np.array([0.05, 0.95]))
    np.testing.assert_allclose(module._quantiles(replicates[:, None], shares)[:, 0], expected)


def test_ten_thousand_draws_of_sixty_figures_of_500_patients_take_seconds() -> None:
    """Measured 0.4 s on one core; the limit is what the project promises."""
    table = rng().random((500, 60))
    start = time.perf_counter()
    result = bootstrap(ratio_statistic(table, table + 1), rng=rng())
    assert time.perf_counter() - start < 10
    assert result.replicates.shape == (10_000, 60)


def clustered_studies(n_patients: int, n_studies: int) -> tuple[Statistic, float]:
    """Many studies as columns of one table: patients have 1 to 20 lesions and a detection rate of their own."""
    r = rng(11)
    lesions = 1 + r.binomial(19, 0.4, (n_patients, n_studies))
    found = r.binomial(lesions, r.beta(4, 2, (n_patients, n_studies)))
    return ratio_statistic(found.astype(float), lesions.astype(float)), 4 / 6


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_coverage_of_pooled_sensitivity_with_clustered_lesions(method: str) -> None:
    statistic, truth = clustered_studies(60, 1_500)
    result = bootstrap(statistic, rng=rng(1), n_draws=1_000, method=method)  # type: ignore[arg-type]
    assert 0.93 <= ((result.low <= truth) & (truth <= result.high)).mean() <= 0.97


def test_resampling_lesions_instead_would_undercover() -> None:
    """Why patients are the unit: binomial limits over lesions cover the same truth far less often."""
    statistic, truth = clustered_studies(60, 1_500)
    value = statistic.evaluate(np.ones((1, 60)))[0]
    half = 1.96 * np.sqrt(value * (1 - value) / (60 * 8.6))
    assert (np.abs(value - truth) <= half).mean() < 0.88
