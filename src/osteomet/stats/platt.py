"""Calibration of scores by a logistic map with two parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from osteomet.core.calibration import PlattMap
from osteomet.core.errors import InputError
from osteomet.stats._inputs import binary, check_paired, finite

LEAST_SLOPE = 0.01
_LIMIT = 1e-4


def fit_platt(log_odds: ArrayLike, truth: ArrayLike) -> PlattMap:
    """Fit the map from log odds of scores to probabilities by maximum likelihood.

    Parameters
    ----------
    log_odds
        Of the scores; shape (n,), n at least 1.
    truth
        True for positive; shape (n,).

    Returns
    -------
    PlattMap
        Its slope is at least `LEAST_SLOPE`: a score that misleads becomes nearly constant, never reversed.

    Raises
    ------
    InputError
        If there is nothing to fit on.

    Notes
    -----
    The targets are (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2) instead of 1 and 0, as Platt proposed: the fit stays finite
    where the scores separate the classes or there is one class only. Two parameters can be fitted on the few hundred
    calls of a cohort; an isotonic map needs about a thousand (Niculescu-Mizil, Caruana 2005).

    References
    ----------
    Niculescu-Mizil, Caruana 2005, https://doi.org/10.1145/1102351.1102430.

    Examples
    --------
    >>> fitted = fit_platt([0.0, 0.0, 0.0, 0.0], [1, 1, 1, 0])
    >>> round(float(apply_platt(fitted, 0.0)), 3)
    0.683
    """
    x, positive = finite(log_odds, "the log odds"), binary(truth, "the truth")
    check_paired(x, positive, "log odds and truth")
    if x.size == 0:
        raise InputError("a calibration needs at least one score")
    n_positive = int(positive.sum())
    n_negative = x.size - n_positive
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = parameters[0] + parameters[1] * x
        excess = expit(z) - target
        return float((np.logaddexp(0, z) - target * z).sum()), np.array([excess.sum(), excess @ x])

    best = minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (LEAST_SLOPE, None)])
    intercept, slope = best.x.tolist()
    return PlattMap(intercept, slope, int(x.size), n_positive)


def apply_platt(fitted: PlattMap, log_odds: ArrayLike) -> NDArray[np.float64]:
    """Probability of each of these log odds, of their shape."""
    return np.asarray(expit(fitted.intercept + fitted.slope * np.asarray(log_odds, dtype=np.float64)))


def log_odds_of(score: ArrayLike) -> NDArray[np.float64]:
    """Log odds of scores between 0 and 1, which are kept 0.0001 away from either end so that the result is finite.

    Examples
    --------
    >>> log_odds_of([0.5, 1.0]).round(2).tolist()
    [0.0, 9.21]
    """
    p = np.clip(np.asarray(score, dtype=np.float64), _LIMIT, 1 - _LIMIT)
    return np.asarray(np.log(p / (1 - p)))
