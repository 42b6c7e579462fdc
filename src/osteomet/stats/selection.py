"""How stable a selection of features is over resamples of the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from osteomet.core.errors import InputError
from osteomet.stats._inputs import check_level
from osteomet.stats.intervals import Estimate


def selection_stability(selected: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Compute the index of Nogueira, Sechidis and Brown.

    Parameters
    ----------
    selected
        Whether each feature was selected in each resample, shape (n_resamples, n_features).
    level
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        1 where all resamples selected the same features, 0 on average where they selected at random, down to
        −1 / (n_resamples − 1); from 0.75 agreement is called excellent, below 0.4 poor. Undefined with fewer than two
        resamples, or where all selected nothing or everything. Without interval where it has no variance.

    References
    ----------
    Nogueira S., Sechidis K., Brown G. 2018. On the stability of feature selection algorithms. JMLR 18(174):1–54,
    https://jmlr.org/papers/v18/17-514.html (definition 4, corollary 9).

    Examples
    --------
    >>> selection_stability([[1, 1, 0, 0], [1, 1, 0, 0]]).value
    1.0
    >>> selection_stability([[1, 1, 0, 0], [0, 0, 1, 1]]).value
    -1.0
    """
    check_level(level)
    table = np.asarray(selected)
    if table.ndim != 2 or not np.isin(table, (0, 1)).all():
        raise InputError("a selection is a table of truth values", expected="a row for each resample")
    table = table.astype(np.float64)
    n, n_features = table.shape
    if n < 2 or table.all() or not table.any():
        return Estimate(None, level=level)
    share, size = table.mean(axis=0), table.sum(axis=1)
    mean = float(share.mean())
    chance = mean * (1 - mean)
    value = float(1 - n / (n - 1) * (share * (1 - share)).mean() / chance)
    part = size / n_features
    own = (table * share).mean(axis=1) - part * mean + value / 2 * (2 * part * mean - part - mean + 1)
    error = float(np.sqrt(4 / n**2 * ((own - own.mean()) ** 2).sum())) / chance
    if error < 1e-12:
        return Estimate(value, level=level)
    half = float(norm.isf((1 - level) / 2)) * error
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0), method="Nogueira", level=level)
