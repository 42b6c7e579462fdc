"""Proportions: values by hand, the empty case, coverage over the whole range of true proportions."""

from typing import get_args

import numpy as np
import pytest
from scipy.stats import binom

from osteomet.core.errors import InputError, UsageError
from osteomet.stats.intervals import Estimate, ProportionMethod, number, proportion_interval

METHODS: tuple[ProportionMethod, ...] = get_args(ProportionMethod)


def test_clopper_pearson_ends_have_closed_forms() -> None:
    none = proportion_interval(0, 10)
    every = proportion_interval(10, 10)
    assert (none.value, none.low, every.value, every.high) == (0.0, 0.0, 1.0, 1.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 10))
    assert every.low == pytest.approx(0.025 ** (1 / 10))


def test_clopper_pearson_limits_put_the_count_at_the_tails() -> None:
    e = proportion_interval(7, 20, level=0.9)
    assert e.low is not None
    assert e.high is not None
    assert binom.sf(6, 20, e.low) == pytest.approx(0.05)
    assert binom.cdf(7, 20, e.high) == pytest.approx(0.05)


def test_wilson_by_hand() -> None:
    # k = 1, n = 4, z² = 4: centre (1 + 2) / 8, half sqrt(0.25 * 0.75 * 4 + 1) * 2 / 8
    level = float(1 - 2 * (1 - 0.9772498680518208))
    e = proportion_interval(1, 4, method="wilson", level=level)
    assert e.low == pytest.approx(0.375 - np.sqrt(1.75) / 4)
    assert e.high == pytest.approx(0.375 + np.sqrt(1.75) / 4)


@pytest.mark.parametrize("method", METHODS)
def test_empty_denominator_is_undefined_and_says_so(method: ProportionMethod) -> None:
    assert proportion_interval(0, 0, method=method) == Estimate(None, numerator=0, denominator=0)


@pytest.mark.parametrize("method", METHODS)
def test_successes_and_failures_mirror(method: ProportionMethod) -> None:
    a, b = proportion_interval(3, 11, method=method), proportion_interval(8, 11, method=method)
    assert a.low is not None
    assert a.high is not None
    assert (b.value, b.low, b.high) == pytest.approx((8 / 11, 1 - a.high, 1 - a.low))


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(InputError, match=f"0 <= numerator <= denominator; got {k}/{n}"):
        proportion_interval(k, n)


def test_a_percentage_is_no_level() -> None:
    with pytest.raises(UsageError, match=r"between 0 and 1; got 95; remedy: write 0\.95"):
        proportion_interval(1, 2, level=95)


def test_unknown_method_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown interval method; expected clopper-pearson or wilson; got wald"):
        proportion_interval(1, 2, method="wald")  # type: ignore[arg-type]


def test_nan_is_none() -> None:
    assert number(float("nan")) is None
    assert number(np.float64(0.5)) == 0.5


@pytest.mark.parametrize("n", [16, 34, 63, 175])
@pytest.mark.parametrize("method", METHODS)
def test_coverage_by_summing_the_binomial(method: ProportionMethod, n: int) -> None:
    """No simulation noise: the chance that the interval holds the truth, for 199 true proportions."""
    estimates = [proportion_interval(k, n, method=method) for k in range(n + 1)]
    low, high = (np.array([getattr(e, side) for e in estimates]) for side in ("low", "high"))
    truth = np.linspace(0.005, 0.995, 199)[:, None]
    covered = np.where((low <= truth) & (truth <= high), binom.pmf(np.arange(n + 1), n, truth), 0).sum(axis=1)
    if method == "clopper-pearson":
        assert covered.min() >= 0.95
    else:
        assert 0.945 < covered.mean() < 0.96


@pytest.mark.oracle
@pytest.mark.parametrize(("method", "theirs"), [("clopper-pearson", "beta"), ("wilson", "wilson")])
def test_agrees_with_statsmodels(method: ProportionMethod, theirs: str) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for k, n in [(0, 3), (1, 7), (14, 16), (29, 31), (150, 175), (497, 600), (5, 5)]:
        e = proportion_interval(k, n, method=method, level=0.9)
        low, high = proportion.proportion_confint(k, n, alpha=0.1, method=theirs)
        assert (e.low, e.high) == pytest.approx((low, high), abs=1e-9)
