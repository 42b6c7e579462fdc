"""Resampling of patients: intervals and comparisons of any statistic, thousands of draws in one matrix product.

A resample is a row of **weights**: how often each patient was drawn. A `Statistic` maps rows of weights to rows of
figures, so the same code serves the point estimate (all weights 1), the bootstrap (random counts) and the jackknife
(one patient at 0). Figures that are quotients of sums over patients — pooled Dice, sensitivity, PPV, F-beta, panoptic
quality, false positives per case — then cost two matrix products for all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from osteomet.core.errors import InputError
from osteomet.stats._inputs import check_choice, check_level, finite
from osteomet.stats.intervals import Estimate, number

BootstrapMethod = Literal["bca", "percentile"]
LEAST_PATIENTS = 3
MOST_UNDEFINED = 0.05
_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """Figures of a weighted set of patients.

    Parameters
    ----------
    n_patients
        Number of patients, the columns of the weights.
    evaluate
        Maps weights, float64, shape (b, n_patients), non-negative whole numbers, to figures, shape (b, m). A figure
        that is undefined for a resample is NaN.
    width
        Numbers that ``evaluate`` holds for each row of weights; blocks are cut by it so that memory stays bounded.
    """

    n_patients: int
    evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    width: int = 0

    def __post_init__(self) -> None:
        if self.n_patients < 1:
            raise InputError("there is no patient to resample")

    @property
    def block_rows(self) -> int:
        """Rows of weights that one block holds."""
        return max(1, _BLOCK_BYTES // (8 * max(self.n_patients, self.width)))


def ratio_statistic(numerator: ArrayLike, denominator: ArrayLike) -> Statistic:
    """Quotients of sums over patients.

    Parameters
    ----------
    numerator, denominator
        What each patient adds to the m numerators and denominators, shape (n_patients, m). Example of one column:
        true positives and reference lesions (sensitivity); twice the overlap and the sum of both volumes (pooled Dice);
        false positives and number of series (false positives per series).

    Returns
    -------
    Statistic
        m figures; NaN where the denominator of a resample sums to 0.

    Raises
    ------
    InputError
        If the tables differ in shape or hold values that are not finite.
    """
    top = finite(numerator, "the numerators", ndim=2)
    bottom = finite(denominator, "the denominators", ndim=2)
    if top.shape != bottom.shape:
        raise InputError("numerators and denominators differ in shape", got=f"{top.shape} against {bottom.shape}")

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights @ bottom
        return np.divide(weights @ top, total, out=np.full_like(total, np.nan), where=total != 0)

    return Statistic(top.shape[0], evaluate, width=top.shape[0] + 3 * top.shape[1])


def mean_statistic(values: ArrayLike) -> Statistic:
    """Means over the patients for whom a figure is defined.

    Parameters
    ----------
    values
        One figure of each patient and metric, shape (n_patients, m); NaN where undefined for that patient, for example
        the Dice of a patient without a lesion in reference and prediction.

    Returns
    -------
    Statistic
        m means; NaN where a resample has no patient with a defined value.
    """
    table = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(table)
    return ratio_statistic(np.where(defined, table, 0.0), defined.astype(np.float64))


def index_statistic(function: Callable[[NDArray[np.intp]], ArrayLike], n_patients: int) -> Statistic:
    """Any statistic at all, given as a function of drawn patient indices; one call a draw, so slower.

    Parameters
    ----------
    function
        Maps indices, sorted, a patient drawn twice standing twice, to m figures.
    n_patients
        Number of patients.

    Examples
    --------
    >>> volumes_ml = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    >>> median = index_statistic(lambda i: [np.median(volumes_ml[i])], 5)
    >>> median.evaluate(np.array([[1.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 5.0]])).tolist()
    [[4.0], [16.0]]
    """
    indices = np.arange(n_patients)

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = [function(np.repeat(indices, row.astype(np.intp))) for row in weights]
        return np.array(rows, dtype=np.float64).reshape(len(rows), -1)

    return Statistic(n_patients, evaluate)


def stack_statistics(statistics: Sequence[Statistic]) -> Statistic:
    """Figures of several statistics of the same patients, side by side, for example of all readers.

    Raises
    ------
    InputError
        If they are not about the same number of patients, or there is none.
    """
    sizes = {s.n_patients for s in statistics}
    if len(sizes) != 1:
        raise InputError("statistics can be combined for the same patients only", got=f"numbers {sorted(sizes)}")

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([s.evaluate(weights) for s in statistics], axis=1)

    return Statistic(sizes.pop(), evaluate, width=max(s.width for s in statistics))


def difference_statistic(first: Statistic, second: Statistic) -> Statistic:
    """Figures of ``second`` minus those of ``first`` on the same drawn patients: a paired comparison.

    Raises
    ------
    InputError
        If the two are not about the same number of patients and figures.
    """
    if first.n_patients != second.n_patients:
        got = f"{first.n_patients} against {second.n_patients}"
        raise InputError("a paired comparison needs the same patients on both sides", got=got)

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = first.evaluate(weights), second.evaluate(weights)
        if a.shape != b.shape:
            raise InputError("the two sides have different figures", got=f"{a.shape[1]} against {b.shape[1]}")
        return b - a

    return Statistic(first.n_patients, evaluate, width=max(first.width, second.width))


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """Outcome of a bootstrap of m figures.

    ``value``, ``low`` and ``high`` have shape (m,), NaN where undefined; ``replicates`` shape (n_draws, m), NaN where a
    figure was undefined for a draw (``n_undefined`` counts those; they take no part in the interval).
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    replicates: NDArray[np.float64]
    method: str
    level: float

    @property
    def n_undefined(self) -> NDArray[np.int64]:
        """Draws for which each figure was undefined, shape (m,)."""
        return np.asarray(np.isnan(self.replicates).sum(axis=0))

    @property
    def p_value(self) -> NDArray[np.float64]:
        """Two-sided achieved significance of "the figure is 0", shape (m,), for differences.

        Twice the smaller share of draws on either side of 0, the observed sample counted as one draw, so never below
        2 / (n_draws + 1) (Davison, Hinkley 1997, section 4.4). NaN where the limits are.
        """
        n = (~np.isnan(self.replicates)).sum(axis=0)
        below, above = (self.replicates <= 0).sum(axis=0), (self.replicates >= 0).sum(axis=0)
        p = np.minimum(1.0, 2.0 * (np.minimum(below, above) + 1) / (n + 1))
        return np.where(np.isnan(self.low), np.nan, p)

    def estimates(self) -> tuple[Estimate, ...]:
        """Return the m figures as `Estimate`, undefined ones as None."""
        return tuple(
            Estimate(number(v), number(low), number(high), method=f"bootstrap {self.method}", level=self.level)
            for v, low, high in zip(self.value, self.low, self.high, strict=True)
        )


def bootstrap(
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    n_draws: int = 10_000,
    method: BootstrapMethod = "bca",
    level: float = 0.95,
) -> Bootstrap:
    """Bootstrap figures over patients.

    Parameters
    ----------
    statistic
        What to compute of each resample.
    rng
        Source of the draws; the same seed gives the same intervals whatever the block size.
    n_draws
        Number of resamples.
    method
        ``percentile``, or ``bca``: corrected for bias and skewness, with the acceleration from the jackknife over
        patients.
    level
        Confidence level in (0, 1).

    Returns
    -------
    Bootstrap
        Values of the observed patients, limits, and all replicates. A figure that is undefined for the observed
        patients has NaN limits, and so has one that rests on too few of them: fewer than `LEAST_PATIENTS` in all, or
        so few with anything to count that more than `MOST_UNDEFINED` of the draws hold none. Of n patients of whom k
        count, a share (1 - k/n)^n of draws holds none, about 37, 14, 5 and 2 % for k of 1 to 4.

    Raises
    ------
    InputError
        If fewer than 1 draw is asked for.

    Notes
    -----
    Patients are drawn, not lesions, series or voxels: those of one patient resemble each other, and intervals that
    ignore it are too short. In 3,000 simulated studies 95 % BCa intervals of pooled sensitivity covered 94 % with 20
    patients and 95 % with 60, those of the very skewed false positives per case 93 and 94 %; percentile intervals up to
    one point less. The bias correction counts a replicate equal to the value as half below it, which matters
    for proportions, whose replicates tie.

    References
    ----------
    Efron 1987, https://doi.org/10.1080/01621459.1987.10478410.
    DiCiccio, Efron 1996, https://doi.org/10.1214/ss/1032280214.

    Examples
    --------
    >>> detected, lesions = [[3], [0], [2], [5]], [[4], [1], [2], [6]]
    >>> result = bootstrap(ratio_statistic(detected, lesions), rng=np.random.default_rng(1), n_draws=500)
    >>> round(float(result.value[0]), 3)
    0.769
    """
    check_choice(method, ("bca", "percentile"), "bootstrap method")
    check_level(level)
    if n_draws < 1:
        raise InputError("a bootstrap needs at least one draw", got=str(n_draws))
    value = statistic.evaluate(np.ones((1, statistic.n_patients)))[0]
    replicates = np.concatenate([statistic.evaluate(w) for w in _draws(statistic, n_draws, rng)])
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    shares = np.repeat(tails[:, None], value.size, axis=1)
    if method == "bca":
        shares = _bca_shares(value, replicates, jackknife(statistic), tails)
    too_few = (np.isnan(replicates).mean(axis=0) > MOST_UNDEFINED) | (statistic.n_patients < LEAST_PATIENTS)
    unknown = np.isnan(value) | too_few
    low, high = np.where(unknown, np.nan, _quantiles(replicates, shares))
    return Bootstrap(value, low, high, replicates, method, level)


def jackknife(statistic: Statistic) -> NDArray[np.float64]:
    """Figures with each patient left out in turn, shape (n_patients, m)."""
    n, rows = statistic.n_patients, statistic.block_rows
    blocks = (1.0 - np.eye(min(rows, n - start), n, k=start) for start in range(0, n, rows))
    return np.concatenate([statistic.evaluate(block) for block in blocks])


def jackknife_covariance(statistic: Statistic) -> NDArray[np.float64]:
    """Covariance of m figures by the jackknife over patients, shape (m, m): (n-1)/n times the sum of products."""
    left_out = jackknife(statistic)
    deviation = left_out - left_out.mean(axis=0)
    n = statistic.n_patients
    return np.asarray((n - 1) / n * deviation.T @ deviation)


def bootstrap_covariance(
    statistic: Statistic, *, rng: np.random.Generator, n_draws: int = 2_000
) -> NDArray[np.float64]:
    """Covariance of m figures over bootstrap draws, shape (m, m); draws with an undefined figure are left out."""
    replicates = np.concatenate([statistic.evaluate(w) for w in _draws(statistic, n_draws, rng)])
    defined = ~np.isnan(replicates).any(axis=1)
    return np.atleast_2d(np.cov(replicates[defined], rowvar=False))


def _draws(statistic: Statistic, n_draws: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Blocks of weights: how often each patient is drawn when n are drawn with replacement."""
    n, rows = statistic.n_patients, statistic.block_rows
    for start in range(0, n_draws, rows):
        size = min(rows, n_draws - start)
        picks = rng.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        yield np.bincount(picks.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _bca_shares(
    value: NDArray[np.float64],
    replicates: NDArray[np.float64],
    left_out: NDArray[np.float64],
    tails: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Shares of the replicates at which the BCa limits lie, shape (2, m)."""
    n_valid = np.maximum((~np.isnan(replicates)).sum(axis=0), 1)
    below = ((replicates < value).sum(axis=0) + 0.5 * (replicates == value).sum(axis=0)) / n_valid
    bias = norm.ppf(np.clip(below, 0.5 / n_valid, 1 - 0.5 / n_valid))
    defined = ~np.isnan(left_out)
    mean = np.where(defined, left_out, 0.0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    deviation = np.where(defined, mean - left_out, 0.0)
    scale = 6.0 * (deviation**2).sum(axis=0) ** 1.5
    skew = np.divide((deviation**3).sum(axis=0), scale, out=np.zeros_like(scale), where=scale > 0)
    z = bias + norm.ppf(tails)[:, None]
    return np.asarray(norm.cdf(bias + z / (1.0 - skew * z)))


def _quantiles(replicates: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear-interpolated quantiles of each column, NaN left out; shares and result have shape (2, m)."""
    ordered = np.sort(replicates, axis=0)
    last = (~np.isnan(replicates)).sum(axis=0) - 1
    position = shares * np.maximum(last, 0)
    below = np.floor(position).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(last, 0))
    columns = np.arange(replicates.shape[1])
    start = ordered[below, columns]
    return np.asarray(start + (position - below) * (ordered[above, columns] - start))
