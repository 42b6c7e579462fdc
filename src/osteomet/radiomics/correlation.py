"""Maximal correlation of neighbouring grey levels: the second largest eigenvalue of their co-occurrence, in size."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DENSE = 48
"""Up to this number of levels all eigenvalues are computed."""
_STEPS_BETWEEN_CHECKS = 8
_RESIDUAL = 1e-8
"""Residual of the eigenvector sought at which the iteration ends; the eigenvalue is off by about its square."""


@njit(cache=True, nogil=True, error_model="numpy")
def largest_eigenvalue(
    first: NDArray[np.int64], columns: NDArray[np.int64], p: NDArray[np.float64], marginal: NDArray[np.float64]
) -> float:
    """Largest eigenvalue but one, in size, of p(i, j) / √(p(i) p(j)), whose largest is always 1.

    Parameters
    ----------
    first, columns, p
        Sparse symmetric co-occurrence matrix: row k has the entries ``first[k]`` to ``first[k + 1]``.
    marginal
        Sum of each row; the matrix sums to 1. At least two rows are not empty.

    Notes
    -----
    The eigenvector of the eigenvalue 1 is √p(i), so it can be taken out beforehand. What is left is dense for few
    levels; for many a Lanczos iteration with full orthogonalisation runs until the vector has converged or spans
    everything, which costs as much as the matrix has entries, and not the cube of the number of levels.
    """
    root = np.sqrt(marginal)
    scaled = p.copy()
    for k in range(len(marginal)):
        for entry in range(first[k], first[k + 1]):
            scaled[entry] /= root[k] * root[columns[entry]]
    if len(marginal) <= _DENSE:
        dense = np.zeros((len(marginal), len(marginal)))
        for k in range(len(marginal)):
            for entry in range(first[k], first[k + 1]):
                dense[k, columns[entry]] = scaled[entry]
            dense[k] -= root[k] * root
        return float(np.abs(np.linalg.eigvalsh(dense)).max())
    return _lanczos(first, columns, scaled, root)


@njit(cache=True, nogil=True, error_model="numpy")
def _lanczos(
    first: NDArray[np.int64], columns: NDArray[np.int64], scaled: NDArray[np.float64], root: NDArray[np.float64]
) -> float:
    """Largest eigenvalue, in size, of the sparse matrix without its leading eigenvector."""
    n = len(root)
    basis = np.empty((min(n, 16), n))
    diagonal, beside = np.zeros(n), np.zeros(n)
    vector = root * (np.arange(n) - (root * root * np.arange(n)).sum()) / n + 1e-3 * np.cos(np.arange(n) ** 2.0)
    vector -= (vector * root).sum() * root
    vector /= np.sqrt((vector * vector).sum())
    for step in range(n):
        if step == len(basis):
            grown = np.empty((min(n, 2 * step), n))
            grown[:step] = basis
            basis = grown
        basis[step] = vector
        image = np.zeros(n)
        for k in range(n):
            for entry in range(first[k], first[k + 1]):
                image[k] += scaled[entry] * vector[columns[entry]]
        diagonal[step] = (image * vector).sum()
        for _ in range(2):
            image -= (image * root).sum() * root
            for other in range(step + 1):
                image -= (image * basis[other]).sum() * basis[other]
        beside[step] = np.sqrt((image * image).sum())
        ended = beside[step] < 1e-14 or step == n - 1
        if ended or step % _STEPS_BETWEEN_CHECKS == _STEPS_BETWEEN_CHECKS - 1:
            small = np.diag(diagonal[: step + 1])
            for k in range(step):
                small[k, k + 1] = small[k + 1, k] = beside[k]
            values, vectors = np.linalg.eigh(small)
            best = np.abs(values).argmax()
            if ended or beside[step] * abs(vectors[step, best]) < _RESIDUAL:
                return float(abs(values[best]))
        vector = image / beside[step]
    return float(np.nan)
