"""ROC curves, their area with DeLong's interval, and the paired DeLong test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from osteomet.stats._inputs import binary, check_choice, check_level, check_paired, orderable
from osteomet.stats.bootstrap import Statistic
from osteomet.stats.hypothesis import SignificanceTest
from osteomet.stats.intervals import Estimate, number

AucMethod = Literal["delong", "delong-logit"]


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """Operating points of "positive when the score is at least the threshold".

    The first point has threshold infinity and calls nobody positive; then one point for each distinct score,
    descending, so that the last calls everybody positive. A rate without cases to count is NaN.
    """

    threshold: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    false_positive_rate: NDArray[np.float64]
    n_positive: int
    n_negative: int


def roc_curve(scores: ArrayLike, truth: ArrayLike) -> RocCurve:
    """Compute every operating point.

    Parameters
    ----------
    scores
        Higher means more likely positive; shape (n,). −infinity means "not marked at all".
    truth
        True for positive; shape (n,).

    Examples
    --------
    >>> curve = roc_curve([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0])
    >>> curve.sensitivity.tolist(), curve.false_positive_rate.tolist()
    ([0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0])
    """
    score, positive = _scored(scores, truth)
    values, where = np.unique(-score, return_inverse=True)
    counts = [np.cumsum(np.bincount(where[group], minlength=values.size)) for group in (positive, ~positive)]
    rates = [np.concatenate([[0], c]) / (c[-1] if c.size and c[-1] else np.nan) for c in counts]
    n_positive = int(positive.sum())
    return RocCurve(np.concatenate([[np.inf], -values]), rates[0], rates[1], n_positive, positive.size - n_positive)


def delong(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas of m scores on the same cases and their covariance.

    Parameters
    ----------
    scores
        Shape (m, n).
    truth
        True for positive; shape (n,).

    Returns
    -------
    tuple
        Areas, shape (m,): the chance that a positive case scores above a negative one, ties counting half; NaN
        without positive or negative cases. Covariance, shape (m, m); NaN unless there are at least two of each.

    Notes
    -----
    Placement values come from mid-ranks, O(n log n) instead of all pairs.

    References
    ----------
    DeLong, DeLong, Clarke-Pearson 1988, https://doi.org/10.2307/2531595.
    Sun, Xu 2014, https://doi.org/10.1109/LSP.2014.2337313.
    """
    table, positive = orderable(scores, "the scores", ndim=2), binary(truth, "the truth")
    check_paired(table, positive, "scores and truth")
    n1, n0 = int(positive.sum()), int((~positive).sum())
    m = table.shape[0]
    if min(n1, n0) == 0:
        return np.full(m, np.nan), np.full((m, m), np.nan)
    ranks = rankdata(table, axis=1)
    placed1 = (ranks[:, positive] - rankdata(table[:, positive], axis=1)) / n0
    placed0 = 1.0 - (ranks[:, ~positive] - rankdata(table[:, ~positive], axis=1)) / n1
    area = placed1.mean(axis=1)
    if min(n1, n0) == 1:
        return area, np.full((m, m), np.nan)
    return area, np.atleast_2d(np.cov(placed1)) / n1 + np.atleast_2d(np.cov(placed0)) / n0


def auc(scores: ArrayLike, truth: ArrayLike, *, method: AucMethod = "delong-logit", level: float = 0.95) -> Estimate:
    """Area under the ROC curve with its interval.

    Parameters
    ----------
    scores
        Higher means more likely positive; shape (n,).
    truth
        True for positive; shape (n,).
    method
        ``delong-logit`` lays the symmetric interval on the log odds of the area and maps it back; ``delong`` is the
        plain one that most papers print.
    level
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        Limits in [0, 1]. Undefined without positive or negative cases; without interval when one of the two classes
        has a single case.

    Notes
    -----
    The logit form is the default because the plain interval undercovers at the sizes of such studies: in 1,500 binormal
    samples of 16 positive and 18 negative cases it covered an area of 0.85 in 91 % and one of 0.93 in 85 %, the logit
    form in 96 and 97 %.

    Where the scores separate the classes without error, or are all equal, DeLong's variance is 0 and its interval would
    claim certainty. The interval is then Newcombe's method 5, which depends on the area and the numbers of cases only,
    and ``method`` of the result says so.

    References
    ----------
    DeLong, DeLong, Clarke-Pearson 1988, https://doi.org/10.2307/2531595.
    Newcombe 2006, https://doi.org/10.1002/sim.2324.
    """
    check_choice(method, ("delong", "delong-logit"), "AUC interval")
    check_level(level)
    score, positive = _scored(scores, truth)
    areas, covariance = delong(score[None], positive)
    area, variance = float(areas[0]), float(covariance[0, 0])
    if np.isnan(variance):
        return Estimate(number(area), level=level)
    z = float(norm.isf((1 - level) / 2))
    if variance <= 1e-15:
        n1 = int(positive.sum())
        low, high = _newcombe(area, n1, positive.size - n1, z)
        return Estimate(area, low, high, method="newcombe-5", level=level)
    if method == "delong":
        half = z * float(np.sqrt(variance))
        return Estimate(area, max(area - half, 0.0), min(area + half, 1.0), method=method, level=level)
    half = z * float(np.sqrt(variance)) / (area * (1 - area))
    low, high = (float(expit(logit(area) + sign * half)) for sign in (-1, 1))
    return Estimate(area, low, high, method=method, level=level)


@dataclass(frozen=True, slots=True)
class AucComparison:
    """Two areas on the same cases; ``difference`` is second minus first."""

    first: Estimate
    second: Estimate
    difference: Estimate
    test: SignificanceTest


def compare_auc(first: ArrayLike, second: ArrayLike, truth: ArrayLike, *, level: float = 0.95) -> AucComparison:
    """Compare two scores of the same cases by the paired DeLong test.

    Parameters
    ----------
    first, second
        Scores of the same n cases.
    truth
        True for positive; shape (n,).
    level
        Confidence level in (0, 1).

    Returns
    -------
    AucComparison
        p is 1 when both order the cases alike; undefined, with a note, with fewer than two cases of a class.

    References
    ----------
    DeLong, DeLong, Clarke-Pearson 1988, https://doi.org/10.2307/2531595.
    """
    a, positive = _scored(first, truth)
    b, _ = _scored(second, truth)
    areas, covariance = delong(np.stack([a, b]), positive)
    change = float(areas[1] - areas[0])
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    estimates = auc(a, positive, level=level), auc(b, positive, level=level)
    name, n = "DeLong", positive.size
    if np.isnan(error):
        test = SignificanceTest(name, None, None, n, "needs two positive and two negative cases")
        return AucComparison(*estimates, Estimate(number(change), level=level), test)
    if error < 1e-9:
        same = abs(change) < 1e-12
        note = "both order the cases alike" if same else "the difference has no variance"
        test = SignificanceTest(name, 0.0 if same else None, 1.0 if same else None, n, note)
        return AucComparison(*estimates, Estimate(change, level=level), test)
    z, half = change / error, float(norm.isf((1 - level) / 2)) * error
    difference = Estimate(change, change - half, change + half, method="delong", level=level)
    return AucComparison(*estimates, difference, SignificanceTest(name, z, float(2 * norm.sf(abs(z))), n))


def auc_statistic(scores: ArrayLike, truth: ArrayLike, *, patient: ArrayLike | None = None) -> Statistic:
    """Area under the ROC curve as a statistic of weighted patients, for the bootstrap.

    Parameters
    ----------
    scores
        Scores of n items, shape (m, n); m areas come out.
    truth
        True for positive; shape (n,).
    patient
        Index of the patient of each item, shape (n,); None when each item is a patient of its own.

    Returns
    -------
    Statistic
        m areas; NaN for a resample without positive or negative items.
    """
    table, positive = orderable(scores, "the scores", ndim=2), binary(truth, "the truth")
    check_paired(table, positive, "scores and truth")
    owner = np.arange(positive.size) if patient is None else np.asarray(patient, dtype=np.intp)
    order = np.argsort(table, axis=1, kind="stable")

    def one(weights: NDArray[np.float64], row: int) -> NDArray[np.float64]:
        ordered = order[row]
        value, drawn = table[row, ordered], weights[:, owner[ordered]]
        starts = np.flatnonzero(np.concatenate([[True], value[1:] != value[:-1]]))
        ones = np.add.reduceat(drawn * positive[ordered], starts, axis=1)
        zeros = np.add.reduceat(drawn * ~positive[ordered], starts, axis=1)
        wins = (ones * (np.cumsum(zeros, axis=1) - 0.5 * zeros)).sum(axis=1)
        pairs = ones.sum(axis=1) * zeros.sum(axis=1)
        return np.asarray(np.divide(wins, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0))

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([one(weights, row) for row in range(table.shape[0])], axis=1)

    return Statistic(int(owner.max(initial=-1)) + 1, evaluate, width=5 * positive.size)


def _scored(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and truth of the same cases."""
    score, positive = orderable(scores, "the scores"), binary(truth, "the truth")
    check_paired(score, positive, "scores and truth")
    return score, positive


def _newcombe(area: float, n1: int, n0: int, z: float) -> tuple[float, float]:
    """Newcombe's method 5: areas whose own variance puts the observed one at ±z."""
    extra = (n1 + n0) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (area - theta) ** 2 - z * z * theta * (1 - theta) * spread / (n1 * n0)

    low = float(brentq(excess, 1e-12, area - 1e-12)) if area > 0 else 0.0
    high = float(brentq(excess, area + 1e-12, 1 - 1e-12)) if area < 1 else 1.0
    return low, high
