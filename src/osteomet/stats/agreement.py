"""Agreement of two methods or several raters: Bland-Altman, intraclass correlation, Cohen's and Fleiss' kappa."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from osteomet.core.errors import InputError
from osteomet.stats._inputs import check_choice, check_level, check_paired, finite, vanishes
from osteomet.stats.intervals import Estimate

IccForm = Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"]
KappaWeights = Literal["none", "linear", "quadratic"]
_AGREEMENT_Z = float(stats.norm.ppf(0.975))


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Mean difference (second minus first), standard deviation of the differences, and 95 % limits of agreement."""

    n: int
    bias: Estimate
    sd: float | None
    lower: Estimate
    upper: Estimate


def bland_altman(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> BlandAltman:
    """Compute the limits within which 95 % of the differences of two methods lie.

    Parameters
    ----------
    first, second
        Measurements of the same n cases in one unit, for example lesion volume by hand and by model.
    level
        Confidence level of the intervals; the limits themselves are always those of 95 % agreement.

    Returns
    -------
    BlandAltman
        Differences are second minus first. Everything but the bias is undefined with fewer than two cases.

    Notes
    -----
    Limits are bias ± 1.96 SD. Their intervals are exact for normal differences, from the noncentral t distribution,
    each limit taken by itself; the approximation of Bland and Altman (1999), which is symmetric, is too narrow on the
    outer side in samples of a few dozen.

    References
    ----------
    Bland, Altman 1999, https://doi.org/10.1177/096228029900800204.
    Carkeet 2015, https://doi.org/10.1097/OPX.0000000000000513.

    Examples
    --------
    >>> result = bland_altman([1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 5.0, 5.0])
    >>> result.bias.value, round(result.upper.value, 2)
    (1.0, 2.6)
    """
    check_level(level)
    a, b = finite(first, "the first measurements"), finite(second, "the second measurements")
    check_paired(a, b, "the two measurements")
    difference, n = b - a, a.size
    if n < 2:
        bias = Estimate(float(difference[0]) if n else None, level=level)
        return BlandAltman(n, bias, None, Estimate(None, level=level), Estimate(None, level=level))
    mean, sd, tail = float(difference.mean()), float(difference.std(ddof=1)), (1 - level) / 2
    error = sd / float(np.sqrt(n))
    half = float(stats.t.isf(tail, n - 1)) * error
    inner, outer = (float(q) * error for q in stats.nct.ppf([tail, 1 - tail], n - 1, _AGREEMENT_Z * np.sqrt(n)))
    reach, method = _AGREEMENT_Z * sd, "noncentral t"
    return BlandAltman(
        n,
        Estimate(mean, mean - half, mean + half, method="t", level=level),
        sd,
        Estimate(mean - reach, mean - outer, mean - inner, method=method, level=level),
        Estimate(mean + reach, mean + inner, mean + outer, method=method, level=level),
    )


def icc(ratings: ArrayLike, *, form: IccForm, level: float = 0.95) -> Estimate:
    """Intraclass correlation of several raters' measurements.

    Parameters
    ----------
    ratings
        Shape (n_subjects, n_raters), complete.
    form
        Shrout and Fleiss' name. First sign: ``1`` each subject has raters of its own, ``2`` raters are a sample of many
        and their offsets count as disagreement (McGraw and Wong's A), ``3`` only these raters matter and offsets do not
        count (C). Second sign: ``1`` reliability of one rater, ``k`` of the mean of all.
    level
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        At most 1, negative when subjects differ less than chance would make them. Undefined with fewer than two
        subjects or raters, when all subjects have the same mean, and for forms ``k`` where it would be unbounded below
        (a limit then is -infinity); without interval when raters leave no residual.

    References
    ----------
    Shrout, Fleiss 1979, https://doi.org/10.1037/0033-2909.86.2.420.
    McGraw, Wong 1996, https://doi.org/10.1037/1082-989X.1.1.30.

    Examples
    --------
    >>> judges = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> round(icc(judges, form="2,1").value, 2)
    0.29
    """
    check_choice(form, ("1,1", "2,1", "3,1", "1,k", "2,k", "3,k"), "form of the intraclass correlation")
    check_level(level)
    table = finite(ratings, "the ratings", ndim=2)
    n, k = table.shape
    if n < 2 or k < 2:
        return Estimate(None, level=level)
    between, raters, residual, within = _mean_squares(table)
    if vanishes(between, table):
        return Estimate(None, level=level)
    model, unit = form.split(",")
    error = within if model == "1" else residual
    offsets = k * (raters - residual) / n if model == "2" else 0.0
    single = (between - error) / (between + (k - 1) * error + offsets)
    if vanishes(error, table):
        limits: tuple[float, ...] = ()
    elif model == "2":
        limits = _agreement_limits(single, (between, raters, residual), (n, k), (1 - level) / 2)
    else:
        df = n * (k - 1) if model == "1" else (n - 1) * (k - 1)
        limits = _ratio_limits(between / error, (n - 1, df), k, (1 - level) / 2)
    figures = [x if unit == "1" else _stepped_up(x, k) for x in (single, *limits)]
    if not limits or np.isinf(figures[0]):
        return Estimate(None if np.isinf(figures[0]) else figures[0], level=level)
    value, low, high = figures
    return Estimate(value, low, high, method=f"F, ICC({form})", level=level)


def cohen_kappa(
    first: ArrayLike, second: ArrayLike, *, weights: KappaWeights = "none", level: float = 0.95
) -> Estimate:
    """Chance-corrected agreement of two raters.

    Parameters
    ----------
    first, second
        Ratings of the same n cases as whole numbers.
    weights
        ``none`` counts every disagreement alike; ``linear`` and ``quadratic`` by the difference of the two numbers or
        its square, for ordered grades numbered evenly.
    level
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        In [-1, 1]. Undefined when both raters used one and the same grade, where chance alone agrees fully, or there is
        no case; without interval when agreement is perfect, where the standard error is 0.

    References
    ----------
    Cohen 1960, https://doi.org/10.1177/001316446002000104.
    Fleiss, Cohen, Everitt 1969 (standard error), https://doi.org/10.1037/h0028106.
    """
    check_choice(weights, ("none", "linear", "quadratic"), "kappa weights")
    check_level(level)
    a, b = _grades(first, 1), _grades(second, 1)
    check_paired(a, b, "the two ratings")
    n, values = a.size, np.unique(np.concatenate([a, b]))
    if values.size < 2:
        return Estimate(None, level=level)
    table = np.zeros((values.size, values.size))
    np.add.at(table, (np.searchsorted(values, a), np.searchsorted(values, b)), 1.0 / n)
    gap = np.abs(values[:, None] - values).astype(np.float64)
    cost = {"none": (gap > 0).astype(np.float64), "linear": gap, "quadratic": gap**2}[weights]
    credit = 1.0 - cost / cost.max()
    row, column = table.sum(axis=1), table.sum(axis=0)
    chance = float(row @ credit @ column)
    kappa = (float((credit * table).sum()) - chance) / (1 - chance)
    spread = credit - ((credit @ column)[:, None] + row @ credit) * (1 - kappa)
    variance = (float((table * spread**2).sum()) - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    half = float(stats.norm.isf((1 - level) / 2)) * float(np.sqrt(max(variance, 0.0)))
    return _kappa_estimate(kappa, half, "Fleiss-Cohen-Everitt", level)


def fleiss_kappa(ratings: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Chance-corrected agreement of several raters on unordered grades.

    Parameters
    ----------
    ratings
        Whole numbers, shape (n_subjects, n_raters), complete; raters may differ from subject to subject.
    level
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        Undefined with fewer than two subjects or raters, or when only one grade was used; without interval when
        agreement is perfect.

    Notes
    -----
    The standard error is Gwet's, which holds for any true kappa; the one of Fleiss, Nee and Landis (1979) holds only
    for testing that kappa is 0 and makes no interval.

    References
    ----------
    Fleiss 1971, https://doi.org/10.1037/h0031619.
    Gwet 2021, https://doi.org/10.1177/0013164420973080.
    """
    check_level(level)
    table = _grades(ratings, 2)
    n, k = table.shape
    values = np.unique(table)
    if n < 2 or k < 2 or values.size < 2:
        return Estimate(None, level=level)
    counts = (table[:, :, None] == values).sum(axis=1)
    share = counts.sum(axis=0) / (n * k)
    chance = float((share**2).sum())
    agreed = (counts * (counts - 1)).sum(axis=1) / (k * (k - 1))
    kappa = (float(agreed.mean()) - chance) / (1 - chance)
    expected = counts @ share / k
    part = (agreed - chance) / (1 - chance) - 2 * (1 - kappa) * (expected - chance) / (1 - chance)
    error = float(np.sqrt(((part - kappa) ** 2).sum() / (n * (n - 1))))
    half = float(stats.t.isf((1 - level) / 2, n - 1)) * error
    return _kappa_estimate(kappa, half, "Gwet", level)


def _kappa_estimate(kappa: float, half: float, method: str, level: float) -> Estimate:
    """Kappa with limits clipped to [-1, 1], or without interval where the standard error vanishes."""
    if half < 1e-9:
        return Estimate(kappa, level=level)
    return Estimate(kappa, max(kappa - half, -1.0), min(kappa + half, 1.0), method=method, level=level)


def _grades(ratings: ArrayLike, ndim: int) -> NDArray[np.int64]:
    """Ratings as whole numbers."""
    table = finite(ratings, "the ratings", ndim=ndim)
    if (table != np.round(table)).any():
        raise InputError("ratings must be whole numbers", got=str(table[table != np.round(table)][:5].tolist()))
    return table.astype(np.int64)


def _mean_squares(table: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Mean squares between subjects, between raters, residual, and within subjects."""
    n, k = table.shape
    grand, subject, rater = table.mean(), table.mean(axis=1), table.mean(axis=0)
    between = k * float(((subject - grand) ** 2).sum()) / (n - 1)
    raters = n * float(((rater - grand) ** 2).sum()) / (k - 1)
    residual = float(((table - subject[:, None] - rater + grand) ** 2).sum()) / ((n - 1) * (k - 1))
    within = float(((table - subject[:, None]) ** 2).sum()) / (n * (k - 1))
    return between, raters, residual, within


def _stepped_up(single: float, k: int) -> float:
    """Reliability of the mean of k raters (Spearman-Brown), -infinity at and below the pole at -1 / (k - 1)."""
    scale = 1 + (k - 1) * single
    return k * single / scale if scale > 1e-12 else -np.inf


def _ratio_limits(f: float, df: tuple[int, int], k: int, tail: float) -> tuple[float, float]:
    """Limits of forms 1 and 3 for one rater, from the F ratio."""
    low = f / float(stats.f.isf(tail, *df))
    high = f * float(stats.f.isf(tail, df[1], df[0]))
    return (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)


def _agreement_limits(
    rho: float, squares: tuple[float, float, float], size: tuple[int, int], tail: float
) -> tuple[float, float]:
    """Limits of form 2 for one rater, with Satterthwaite's degrees of freedom."""
    (between, raters, residual), (n, k) = squares, size
    f_raters = raters / residual
    rest = n * (1 + (k - 1) * rho) - k * rho
    df = (k - 1) * (n - 1) * (k * rho * f_raters + rest) ** 2 / ((n - 1) * (k * rho * f_raters) ** 2 + rest**2)
    noise = k * raters + (k * n - k - n) * residual
    f_low, f_high = float(stats.f.isf(tail, n - 1, df)), float(stats.f.isf(tail, df, n - 1))
    low = n * (between - f_low * residual) / (f_low * noise + n * between)
    high = n * (f_high * between - residual) / (noise + n * f_high * between)
    return low, high
