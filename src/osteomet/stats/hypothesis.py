"""Significance tests of the five studies: paired t, Wilcoxon, McNemar, one-way ANOVA, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from osteomet.core.errors import InputError
from osteomet.stats._inputs import binary, check_choice, check_paired, finite


@dataclass(frozen=True, slots=True)
class SignificanceTest:
    """Outcome of one test.

    ``statistic`` and ``p_value`` (two-sided) are None where the test is undefined; ``note`` then says why. ``n`` is the
    number of independent units that took part: pairs, discordant pairs for McNemar, observations for ANOVA.
    """

    name: str
    statistic: float | None
    p_value: float | None
    n: int
    note: str = ""


def paired_t(first: ArrayLike, second: ArrayLike) -> SignificanceTest:
    """Student's t of the differences ``first - second`` of the same cases.

    Undefined with fewer than two pairs, or when all differences are equal.
    """
    a, b = _pair(first, second)
    name, difference = "paired t", a - b
    if a.size < 2 or np.ptp(difference) <= 1e-12 * max(np.abs(a).max(), np.abs(b).max()):
        return SignificanceTest(name, None, None, a.size, "fewer than two pairs, or all differences are equal")
    result = stats.ttest_rel(a, b)
    return SignificanceTest(name, float(result.statistic), float(result.pvalue), a.size, f"df = {a.size - 1}")


def wilcoxon_signed_rank(first: ArrayLike, second: ArrayLike) -> SignificanceTest:
    """Wilcoxon's signed-rank test of the differences ``first - second`` of the same cases.

    Zero differences are dropped, as Wilcoxon did; ``n`` counts what remains. Up to 50 untied differences the null
    distribution is exact, otherwise normal with correction for ties. Without any non-zero difference p is 1. The
    statistic is the smaller of the two rank sums.
    """
    a, b = _pair(first, second)
    difference = (a - b)[a != b]
    name = "Wilcoxon signed rank"
    if difference.size == 0:
        return SignificanceTest(name, 0.0, 1.0, 0, "no pair differs")
    exact = difference.size <= 50 and np.unique(np.abs(difference)).size == difference.size
    result = stats.wilcoxon(difference, method="exact" if exact else "asymptotic")
    note = "exact" if exact else "normal approximation"
    return SignificanceTest(name, float(result.statistic), float(result.pvalue), difference.size, note)


def mcnemar(first: ArrayLike, second: ArrayLike, *, method: Literal["exact", "mid-p"] = "exact") -> SignificanceTest:
    """Compare two paired yes/no outcomes, for example "detected" by two models on the same lesions.

    Parameters
    ----------
    first, second
        Truth values of the same units.
    method
        ``exact`` never exceeds its level but is conservative; ``mid-p`` counts the observed table half and is closer
        to it.

    Returns
    -------
    SignificanceTest
        The statistic is the number of units that are true in ``first`` only; p is 1 without any discordant pair.

    References
    ----------
    Fagerland, Lydersen, Laake 2013, https://doi.org/10.1186/1471-2288-13-91.

    Examples
    --------
    >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]).p_value
    0.0625
    """
    check_choice(method, ("exact", "mid-p"), "McNemar method")
    a, b = binary(first, "the first outcomes"), binary(second, "the second outcomes")
    check_paired(a, b, "the two outcomes")
    only_first, only_second = int((a & ~b).sum()), int((~a & b).sum())
    n = only_first + only_second
    p = 1.0
    if n:
        smaller = min(only_first, only_second)
        p = 2.0 * float(stats.binom.cdf(smaller, n, 0.5))
        p -= float(stats.binom.pmf(smaller, n, 0.5)) if method == "mid-p" else 0.0
    note = f"{only_first} against {only_second} discordant of {a.size}"
    return SignificanceTest(f"McNemar {method}", float(only_first), min(p, 1.0), n, note)


def one_way_anova(*groups: ArrayLike) -> SignificanceTest:
    """Compare the means of two or more independent groups by the F statistic.

    Undefined when no group varies or nothing is left for the error term.

    Raises
    ------
    InputError
        With fewer than two groups, or an empty one.
    """
    samples = [finite(g, "the values of a group") for g in groups]
    if len(samples) < 2 or min(s.size for s in samples) == 0:
        raise InputError("an analysis of variance needs two groups with values", got=str([s.size for s in samples]))
    n, between = sum(s.size for s in samples), len(samples) - 1
    if n <= len(samples) or all(np.ptp(s) == 0 for s in samples):
        return SignificanceTest("one-way ANOVA", None, None, n, "no variance within the groups")
    result = stats.f_oneway(*samples)
    note = f"df = {between}, {n - len(samples)}"
    return SignificanceTest("one-way ANOVA", float(result.statistic), float(result.pvalue), n, note)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p values of one family so that the chance of any false rejection stays at the level.

    Parameters
    ----------
    p_values
        Values in [0, 1], shape (m,).

    Returns
    -------
    ndarray
        Adjusted values in the given order; empty for an empty family.

    References
    ----------
    Holm 1979, https://www.jstor.org/stable/4615733.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = finite(p_values, "the p values")
    if ((p < 0) | (p > 1)).any():
        raise InputError("p values lie between 0 and 1", got=str(p.tolist()))
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def holm_by_family(tests: Sequence[tuple[str, float | None]]) -> list[float | None]:
    """Adjust p values within families; an undefined one takes no part and stays None.

    Parameters
    ----------
    tests
        Family and p value of each test.

    Examples
    --------
    >>> holm_by_family([("t", 0.01), ("t", 0.04), ("t", None), ("McNemar", 0.04)])
    [0.02, 0.04, None, 0.04]
    """
    adjusted: list[float | None] = [None] * len(tests)
    for family in dict.fromkeys(name for name, _ in tests):
        members = [(n, p) for n, (name, p) in enumerate(tests) if name == family and p is not None]
        for (n, _), p in zip(members, holm([p for _, p in members]), strict=True):
            adjusted[n] = float(p)
    return adjusted


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two measurements of the same cases."""
    a, b = finite(first, "the first measurements"), finite(second, "the second measurements")
    check_paired(a, b, "the two measurements")
    return a, b
