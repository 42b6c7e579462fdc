"""Do probabilities mean what they say: reliability, expected calibration error, Brier score, decision curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import InputError
from osteomet.stats._inputs import binary, check_paired, finite
from osteomet.stats.intervals import Estimate, proportion_interval

DECISION_THRESHOLDS = np.arange(1, 100) / 100
"""Thresholds at which decision curves are read: 0.01 to 0.99."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Reliability in bins of equal width, and two summaries.

    ``edges`` has shape (n_bins + 1,), ``n`` and ``mean_probability`` (n_bins,), NaN in an empty bin; ``observed`` is
    the share of positives of each bin with its Wilson interval. ``ece`` is the mean distance of the two, weighted by
    the cases; ``brier`` the mean squared error. Both are None without cases.
    """

    edges: NDArray[np.float64]
    n: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    observed: tuple[Estimate, ...]
    ece: float | None
    brier: float | None


def calibration(probability: ArrayLike, truth: ArrayLike, *, n_bins: int = 10, level: float = 0.95) -> Calibration:
    """Compare predicted probabilities with what happened.

    Parameters
    ----------
    probability
        In [0, 1]; shape (n,).
    truth
        True for positive; shape (n,).
    n_bins
        Number of bins of equal width; a bin holds its lower edge, the last also 1.
    level
        Confidence level of the observed shares.

    Raises
    ------
    InputError
        If a probability lies outside [0, 1] or there is no bin.

    References
    ----------
    Naeini, Cooper, Hauskrecht 2015, https://doi.org/10.1609/aaai.v29i1.9602.
    Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Examples
    --------
    >>> result = calibration([0.1, 0.1, 0.9, 0.9], [0, 0, 1, 0], n_bins=2)
    >>> round(result.ece, 2), round(result.brier, 2)
    (0.25, 0.21)
    """
    p, positive = _probabilities(probability, truth)
    if n_bins < 1:
        raise InputError("calibration needs at least one bin", got=str(n_bins))
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    which = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, n_bins - 1)
    n = np.bincount(which, minlength=n_bins)
    hits = np.bincount(which, weights=positive, minlength=n_bins).astype(np.int64)
    total = np.bincount(which, weights=p, minlength=n_bins)
    mean = np.divide(total, n, out=np.full(n_bins, np.nan), where=n > 0)
    observed = tuple(
        proportion_interval(int(k), int(m), method="wilson", level=level) for k, m in zip(hits, n, strict=True)
    )
    ece = float(np.abs(total - hits).sum() / p.size) if p.size else None
    brier = float(((p - positive) ** 2).mean()) if p.size else None
    return Calibration(edges, n, mean, observed, ece, brier)


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit at each threshold probability, of the model and of treating all; treating none has 0."""

    threshold: NDArray[np.float64]
    model: NDArray[np.float64]
    treat_all: NDArray[np.float64]


def decision_curve(probability: ArrayLike, truth: ArrayLike, thresholds: ArrayLike) -> DecisionCurve:
    """Net benefit: true positives less false positives weighed by the odds of the threshold, for each case.

    Parameters
    ----------
    probability
        In [0, 1]; shape (n,), at least one case.
    truth
        True for positive; shape (n,).
    thresholds
        Probabilities in [0, 1) at or above which one would treat; shape (m,).

    Raises
    ------
    InputError
        Without cases, or if a probability or threshold is out of range.

    References
    ----------
    Vickers, Elkin 2006, https://doi.org/10.1177/0272989X06295361.

    Examples
    --------
    >>> curve = decision_curve([0.9, 0.6, 0.2, 0.1], [1, 0, 1, 0], [0.5])
    >>> curve.model.tolist(), curve.treat_all.tolist()
    ([0.0], [0.0])
    """
    p, positive = _probabilities(probability, truth)
    threshold = finite(thresholds, "the thresholds")
    if p.size == 0:
        raise InputError("a decision curve needs at least one case")
    if ((threshold < 0) | (threshold >= 1)).any():
        raise InputError("a threshold probability lies in [0, 1)", got=str(threshold.tolist()))
    odds = threshold / (1 - threshold)
    treated = p >= threshold[:, None]
    model = (treated & positive).mean(axis=1) - odds * (treated & ~positive).mean(axis=1)
    return DecisionCurve(threshold, model, positive.mean() - odds * (~positive).mean())


def _probabilities(probability: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities and truth of the same cases."""
    p, positive = finite(probability, "the probabilities"), binary(truth, "the truth")
    check_paired(p, positive, "probabilities and truth")
    if ((p < 0) | (p > 1)).any():
        raise InputError("a probability lies between 0 and 1", got=f"{p.min()} to {p.max()}")
    return p, positive
