"""A figure with its interval, and the intervals of a single proportion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import beta, norm

from osteomet.core.errors import InputError
from osteomet.stats._inputs import check_choice, check_level

ProportionMethod = Literal["clopper-pearson", "wilson"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One figure of a report: its value, its interval, and what it was counted from.

    Parameters
    ----------
    value
        The figure, or None where it is undefined (empty denominator, AUC with one class only). Undefined is never 0.
    low, high
        Limits of the interval, None where no interval can be given.
    numerator, denominator
        What the value is the quotient of, None where it is no quotient.
    method
        How the interval was made, for the report; empty without an interval.
    level
        Confidence level of the interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    method: str = ""
    level: float = 0.95


def number(value: float) -> float | None:
    """Turn the NaN by which arrays mark an undefined figure into None."""
    return None if np.isnan(value) else float(value)


def proportion_interval(
    numerator: int, denominator: int, *, method: ProportionMethod = "clopper-pearson", level: float = 0.95
) -> Estimate:
    """Estimate a proportion from a count, with a binomial interval.

    Parameters
    ----------
    numerator, denominator
        Successes among independent trials, ``0 <= numerator <= denominator``.
    method
        ``clopper-pearson`` is exact: it covers at least ``level`` for every proportion, at the price of width.
        ``wilson`` inverts the score test: it covers ``level`` on average and is shorter.
    level
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        Value and limits in [0, 1]; all three None when the denominator is 0.

    Raises
    ------
    InputError
        If the counts are negative or the numerator exceeds the denominator.
    UsageError
        If the method or the level does not exist.

    Notes
    -----
    The simple Wald interval is not offered: it gives no width at 0 and 1 and undercovers near them. Trials must be
    independent; for lesions, of which one patient has many, resample patients instead (`osteomet.stats.bootstrap`).

    References
    ----------
    Clopper, Pearson 1934, https://doi.org/10.1093/biomet/26.4.404.
    Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    Brown, Cai, DasGupta 2001, https://doi.org/10.1214/ss/1009213286.

    Examples
    --------
    >>> e = proportion_interval(14, 16)
    >>> f"{e.value:.3f} ({e.low:.3f}-{e.high:.3f})"
    '0.875 (0.617-0.984)'
    """
    check_choice(method, ("clopper-pearson", "wilson"), "interval method")
    check_level(level)
    if not 0 <= numerator <= denominator:
        raise InputError("a proportion needs 0 <= numerator <= denominator", got=f"{numerator}/{denominator}")
    if denominator == 0:
        return Estimate(None, numerator=0, denominator=0, level=level)
    limits = _clopper_pearson if method == "clopper-pearson" else _wilson
    low, high = limits(numerator, denominator, (1 - level) / 2)
    return Estimate(numerator / denominator, low, high, numerator, denominator, method, level)


def _clopper_pearson(k: int, n: int, tail: float) -> tuple[float, float]:
    """Quantiles of the two beta distributions that invert the binomial tails."""
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.isf(tail, k + 1, n - k)) if k < n else 1.0
    return low, high


def _wilson(k: int, n: int, tail: float) -> tuple[float, float]:
    """Roots of the score equation; exactly 0 and 1 at the ends, where rounding would leave 1e-17."""
    z = float(norm.isf(tail))
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * float(np.sqrt(k * (n - k) / n + z * z / 4))
    return (centre - half if k > 0 else 0.0), (centre + half if k < n else 1.0)
