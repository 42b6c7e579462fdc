"""Grey level co-occurrence (GLCM).

References
----------
Haralick R. M., Shanmugam K., Dinstein I. Textural features for image classification.
https://doi.org/10.1109/TSMC.1973.4309314
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.radiomics.correlation import largest_eigenvalue
from osteomet.radiomics.names import GLCM_FEATURES
from osteomet.radiomics.region import LevelRegion, flat_offsets
from osteomet.radiomics.settings import Aggregation


def co_occurrence_features(region: LevelRegion, steps: NDArray[np.int64], aggregation: Aggregation) -> dict[str, float]:
    """Features of the symmetric co-occurrence matrix, averaged over directions or of the matrix of all of them.

    Parameters
    ----------
    region
        A region of one or more voxels.
    steps
        One of each pair of opposite steps to neighbours, shape (n, 3).

    Returns
    -------
    Feature by name; NaN where no two voxels are neighbours. A direction without neighbours is left out of all means;
    one whose neighbours have a single level out of those of Correlation, Imc1 and MCC, which need two levels.

    Notes
    -----
    The matrix is never stored: the voxels are visited level by level, which gives one row at a time. Time therefore
    grows with the number of voxels and not with the square of the number of levels.
    """
    offsets = flat_offsets(steps, region.levels.shape)
    groups = [offsets] if aggregation == "merged" else [offsets[k : k + 1] for k in range(len(offsets))]
    flat = region.levels.ravel()
    rows = [_matrix_features(flat, region.order, region.starts, region.present, group) for group in groups]
    table = np.array(rows)
    valid = np.isfinite(table)
    n_valid = valid.sum(axis=0)
    sums = np.where(valid, table, 0.0).sum(axis=0)
    means = np.divide(sums, n_valid, out=np.full(len(sums), np.nan), where=n_valid > 0)
    return dict(zip(GLCM_FEATURES, means.tolist(), strict=True))


@njit(cache=True, nogil=True)
def _marginal(
    flat: NDArray[np.int32], order: NDArray[np.int64], starts: NDArray[np.int64], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Number of neighbours of the voxels of each level that occurs."""
    marginal = np.zeros(len(starts) - 1)
    for k in range(len(marginal)):
        for v in range(starts[k], starts[k + 1]):
            for offset in offsets:
                marginal[k] += (flat[order[v] + offset] > 0) + (flat[order[v] - offset] > 0)
    return marginal


@njit(cache=True, nogil=True)
def _sparse_matrix(
    flat: NDArray[np.int32],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    rank: NDArray[np.int64],
    offsets: NDArray[np.int64],
    n_pairs: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Where each row begins, and column and count of its non-zero entries; rows and columns are levels that occur."""
    n = len(starts) - 1
    first = np.zeros(n + 1, dtype=np.int64)
    columns = np.empty(min(n_pairs, n * n), dtype=np.int64)
    counts = np.empty(len(columns))
    row = np.zeros(n)
    end = 0
    for k in range(n):
        for v in range(starts[k], starts[k + 1]):
            for offset in offsets:
                for level in (flat[order[v] + offset], flat[order[v] - offset]):
                    if level > 0:
                        column = rank[level]
                        if row[column] == 0:
                            columns[end] = column
                            end += 1
                        row[column] += 1
        for entry in range(first[k], end):
            counts[entry] = row[columns[entry]]
            row[columns[entry]] = 0
        first[k + 1] = end
    return first, columns[:end].copy(), counts[:end].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def _matrix_features(
    flat: NDArray[np.int32],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    present: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Features of the matrix of one or more directions, in the order of their names."""
    n_levels = present[-1]
    rank = np.zeros(n_levels + 1, dtype=np.int64)
    for k in range(len(present)):
        rank[present[k]] = k
    px = _marginal(flat, order, starts, offsets)
    total = px.sum()
    if total == 0:
        return np.full(24, np.nan)
    px /= total
    first, columns, p = _sparse_matrix(flat, order, starts, rank, offsets, int(total))
    p /= total
    mean = (px * present).sum()
    variance = (px * (present - mean) ** 2).sum()
    p_sum, p_difference = np.zeros(2 * n_levels + 1), np.zeros(n_levels)
    product, covariance = 0.0, 0.0
    for k in range(len(present)):
        i = present[k]
        for entry in range(first[k], first[k + 1]):
            j = present[columns[entry]]
            p_sum[i + j] += p[entry]
            p_difference[abs(i - j)] += p[entry]
            product += p[entry] * i * j
            covariance += p[entry] * (i - mean) * (j - mean)
    joint = _entropy(p)
    alone = _entropy(px)
    of_sum, of_difference = _sum_figures(p_sum), _difference_figures(p_difference)
    varied = variance > 0
    figures = np.empty(24)
    figures[0] = product
    figures[1:4] = of_sum[:3]
    figures[4] = of_difference[0]
    figures[5] = covariance / variance if varied else np.nan
    figures[6:13] = of_difference[1:8]
    figures[13] = (joint - 2 * alone) / alone if varied else np.nan
    figures[14] = np.sqrt(max(0.0, 1 - np.exp(-2 * (2 * alone - joint))))
    figures[15] = of_difference[8]
    figures[16] = mean
    figures[17] = (p * p).sum()
    figures[18] = joint
    figures[19] = largest_eigenvalue(first, columns, p, px) if varied else np.nan
    figures[20] = p.max()
    figures[21:23] = of_sum[3:]
    figures[23] = variance
    return figures


@njit(cache=True, nogil=True)
def _entropy(p: NDArray[np.float64]) -> float:
    """Entropy in bits."""
    total = 0.0
    for share in p:
        if share > 0:
            total -= share * np.log2(share)
    return total


@njit(cache=True, nogil=True)
def _sum_figures(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cluster prominence, shade and tendency, average and entropy of the sum of both levels."""
    average = 0.0
    for k in range(len(p)):
        average += p[k] * k
    figures = np.zeros(5)
    for k in range(len(p)):
        if p[k] > 0:
            figures[0] += p[k] * (k - average) ** 4
            figures[1] += p[k] * (k - average) ** 3
            figures[2] += p[k] * (k - average) ** 2
    figures[3] = average
    figures[4] = _entropy(p)
    return figures


@njit(cache=True, nogil=True)
def _difference_figures(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Contrast; average, entropy, variance of the difference; Id, Idm, Idmn, Idn; inverse variance."""
    n_levels = float(len(p))
    figures = np.zeros(9)
    for k in range(len(p)):
        apart = float(k)
        figures[0] += p[k] * apart**2
        figures[1] += p[k] * apart
        figures[4] += p[k] / (1 + apart)
        figures[5] += p[k] / (1 + apart**2)
        figures[6] += p[k] / (1 + (apart / n_levels) ** 2)
        figures[7] += p[k] / (1 + apart / n_levels)
        if k > 0:
            figures[8] += p[k] / apart**2
    for k in range(len(p)):
        figures[3] += p[k] * (k - figures[1]) ** 2
    figures[2] = _entropy(p)
    return figures
