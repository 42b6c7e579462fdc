"""Choice of features that tell two classes apart and do not repeat each other: minimum redundancy, maximum relevance.

Notes
-----
**Estimator of mutual information.** Every feature is cut into a few bins of equally many lesions (three by default, the
number of Peng et al.) and the information is that of the table of counts (plug-in). Bins by rank because radiomic
features are heavy-tailed: bins of equal width, or cuts at mean ± standard deviation, put nearly all lesions of such a
feature into one bin. The result then depends on ranks alone, so that no unit, logarithm or outlier decides. Few bins
because there are few lesions: with r × c cells the estimate from n lesions is too high by about (r − 1)(c − 1) / 2n
nats. The excess is the same for all features that fill their bins, and cancels when these are compared. Estimators by
nearest neighbours have less of it, but scatter more than they inform with some dozens of lesions, and add random
jitter.

References
----------
Peng H., Long F., Ding C. 2005. Feature selection based on mutual information: criteria of max-dependency,
max-relevance, and min-redundancy. https://doi.org/10.1109/TPAMI.2005.159 (equation 7, the difference).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from scipy.stats import rankdata


def select_mrmr(
    features: NDArray[np.float64], truth: NDArray[np.bool_], *, n_selected: int, n_bins: int = 3
) -> tuple[int, ...]:
    """Choose features one after another.

    Parameters
    ----------
    features
        Shape (n_lesions, n_features), finite.
    truth
        Class of each lesion.
    n_selected
        How many to choose.
    n_bins
        Number of bins of each feature.

    Returns
    -------
    tuple of int
        Columns in order of choice: first the one with most information about the class, then at each step the one with
        the largest difference between its information about the class and its mean information about those chosen; of
        equal ones the first. A feature with one bin only (constant, or nearly) is never chosen, so there may be fewer
        than asked for.

    Examples
    --------
    >>> truth = np.array([False, False, True, True, True, True])
    >>> good, weak = np.arange(6.0), np.array([1.0, 4.0, 3.0, 2.0, 6.0, 5.0])
    >>> select_mrmr(np.stack([weak, good, good**2, 0 * good], axis=1), truth, n_selected=2)
    (1, 0)
    """
    members = _members(features, n_bins)
    varies = members.any(axis=1).sum(axis=0) > 1
    table = members.transpose(1, 0, 2).reshape(len(truth), -1).astype(np.float32)
    relevance = np.where(varies, _information(table, np.stack([~truth, truth]), n_bins), -np.inf)
    redundancy = np.zeros(relevance.size)
    chosen: list[int] = []
    for n in range(min(n_selected, int(varies.sum()))):
        gain = relevance - redundancy / max(n, 1)
        gain[chosen] = -np.inf
        chosen.append(int(np.argmax(gain)))
        redundancy += _information(table, members[:, :, chosen[-1]], n_bins)
    return tuple(chosen)


def mutual_information(first: NDArray[np.float64], second: NDArray[np.float64], *, n_bins: int = 3) -> float:
    """Mutual information, in nats, of two features of the same lesions, as `select_mrmr` estimates it.

    Examples
    --------
    >>> value = np.arange(9.0)
    >>> round(mutual_information(value, value), 4)  # the logarithm of 3
    1.0986
    """
    members = _members(np.stack([first, second], axis=1), n_bins)
    table = members.transpose(1, 0, 2).reshape(len(members[0]), -1).astype(np.float32)
    return float(_information(table, members[:, :, 0], n_bins)[1])


def _members(features: NDArray[np.float64], n_bins: int) -> NDArray[np.bool_]:
    """Whether each lesion is in each bin of each feature, shape (n_bins, n, n_features); equal values share a bin."""
    share = (rankdata(features, axis=0) - 0.5) / len(features)
    return np.asarray(np.floor(share * n_bins) == np.arange(n_bins)[:, None, None])


def _information(table: NDArray[np.float32], states: NDArray[np.bool_], n_bins: int) -> NDArray[np.float64]:
    """Mutual information of each feature with a variable whose states have shape (n_states, n).

    ``table`` has a row a lesion and a column for each bin of each feature, the features of a bin side by side.
    """
    n = len(table)
    counts = np.rint(states.astype(np.float32) @ table).astype(np.intp).reshape(len(states), n_bins, -1)
    terms = entr(np.arange(n + 1) / n)  # of a cell that holds so many of the lesions
    joint, bins, totals = counts.reshape(-1, counts.shape[-1]), counts.sum(axis=0), states.sum(axis=1)
    return np.asarray(terms[bins].sum(axis=0) + terms[totals].sum() - terms[joint].sum(axis=0))
