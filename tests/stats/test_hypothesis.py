"""Tests: p values by hand, degenerate inputs, agreement with scipy and statsmodels."""

import numpy as np
import pytest
from scipy import stats

from osteomet.core.errors import InputError, UsageError
from osteomet.stats.hypothesis import holm, mcnemar, one_way_anova, paired_t, wilcoxon_signed_rank


def test_paired_t_by_hand() -> None:
    # differences 1, 2, 3: mean 2, sd 1, t = 2 sqrt 3; p from the t distribution with 2 df, 1 - t / sqrt(t² + 2)
    result = paired_t([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert result.statistic == pytest.approx(2 * np.sqrt(3))
    assert result.p_value == pytest.approx(1 - np.sqrt(12 / 14))
    assert (result.n, result.note) == (3, "df = 2")


@pytest.mark.parametrize(
    ("a", "b"), [([], []), ([1.0], [2.0]), ([1.0, 2.0], [1.0, 2.0]), ([0.3, 0.5, 0.8], [0.1, 0.3, 0.6])]
)
def test_paired_t_is_undefined_without_variation(a: list[float], b: list[float]) -> None:
    result = paired_t(a, b)
    assert (result.statistic, result.p_value) == (None, None)
    assert "all differences are equal" in result.note


def test_wilcoxon_exact_by_hand() -> None:
    # five positive differences: only one of 2⁵ sign patterns is as extreme on either side
    result = wilcoxon_signed_rank([1.1, 2.2, 3.3, 4.4, 5.5], [0.0] * 5)
    assert (result.statistic, result.p_value, result.n, result.note) == (0.0, 2 / 32, 5, "exact")


def test_wilcoxon_drops_zero_differences() -> None:
    result = wilcoxon_signed_rank([1.0, 2.0, 3.0, 9.0], [1.0, 1.0, 1.0, 1.0])
    assert (result.n, result.p_value) == (3, 2 / 8)


def test_wilcoxon_without_any_difference_has_p_one() -> None:
    assert wilcoxon_signed_rank([1.0, 2.0], [1.0, 2.0]).p_value == 1.0


def test_wilcoxon_with_ties_uses_the_corrected_normal() -> None:
    a = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    b = a - np.array([1.0, 1.0, 2.0, -1.0, 2.0, 3.0, 2.0, 1.0])
    result = wilcoxon_signed_rank(a, b)
    assert result.note == "normal approximation"
    # ranks: four of size 1 share 2.5, three of size 2 share 6, one is 8; one of size 1 is negative
    variance = (8 * 9 * 17 - ((4**3 - 4) + (3**3 - 3)) / 2) / 24
    assert result.statistic == 2.5
    assert result.p_value == pytest.approx(2 * stats.norm.sf((18 - 2.5) / np.sqrt(variance)))


@pytest.mark.parametrize(
    ("b", "c", "exact", "mid"),
    [
        (5, 0, 2 / 32, 1 / 32),
        (1, 4, 12 / 32, 12 / 32 - 5 / 32),
        (3, 3, 1.0, 1.0),
        (0, 0, 1.0, 1.0),
    ],
)
def test_mcnemar_by_hand(b: int, c: int, exact: float, mid: float) -> None:
    first = [1] * b + [0] * c + [1, 0]
    second = [0] * b + [1] * c + [1, 0]
    assert mcnemar(first, second).p_value == pytest.approx(exact)
    assert mcnemar(first, second, method="mid-p").p_value == pytest.approx(mid)
    result = mcnemar(first, second)
    assert (result.statistic, result.n) == (b, b + c)
    assert result.note == f"{b} against {c} discordant of {b + c + 2}"


def test_anova_by_hand() -> None:
    # groups (1, 3) and (5, 7): between 16 with 1 df, within 4 with 2 df, F = 8
    result = one_way_anova([1.0, 3.0], [5.0, 7.0])
    assert result.statistic == pytest.approx(8.0)
    assert result.p_value == pytest.approx(stats.f.sf(8, 1, 2))
    assert (result.n, result.note) == (4, "df = 1, 2")


def test_anova_of_two_groups_is_the_square_of_t() -> None:
    a, b = [1.0, 4.0, 2.0], [6.0, 3.0, 7.0, 5.0]
    assert one_way_anova(a, b).statistic == pytest.approx(stats.ttest_ind(a, b).statistic ** 2)


def test_anova_without_variance_within_is_undefined() -> None:
    assert one_way_anova([1.0, 1.0], [2.0, 2.0]).p_value is None
    assert one_way_anova([1.0], [2.0]).p_value is None


def test_holm_by_hand_and_in_order() -> None:
    np.testing.assert_allclose(holm([0.04, 0.01, 0.5, 0.02]), [0.08, 0.04, 0.5, 0.06])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])
    assert holm([]).size == 0


def test_refusals() -> None:
    with pytest.raises(InputError, match="the two measurements differ in length; got 2 against 3"):
        paired_t([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="the first measurements hold values that are not numbers; got 1 of 2"):
        wilcoxon_signed_rank([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(InputError, match="the second outcomes must be a vector of truth values"):
        mcnemar([1, 0], [1, 2])
    with pytest.raises(UsageError, match="unknown McNemar method; expected exact or mid-p; got chi2"):
        mcnemar([1], [1], method="chi2")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"two groups with values; got \[2, 0\]"):
        one_way_anova([1.0, 2.0], [])
    with pytest.raises(InputError, match="p values lie between 0 and 1"):
        holm([0.5, 1.5])


@pytest.mark.oracle
def test_agrees_with_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(0)
    first, second = rng.random(80) < 0.7, rng.random(80) < 0.5
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    assert mcnemar(first, second).p_value == pytest.approx(tables.mcnemar(table, exact=True).pvalue, abs=1e-12)
    p = rng.random(20) ** 3
    np.testing.assert_allclose(holm(p), multitest.multipletests(p, method="holm")[1], atol=1e-12)
