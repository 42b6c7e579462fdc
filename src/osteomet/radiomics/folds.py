"""Folds of patients: nobody is in two of them, and every fold has its share of each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def deal_folds(
    patients: NDArray[np.intp], truth: NDArray[np.bool_], n_folds: int, *, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Deal patients to folds.

    Parameters
    ----------
    patients
        Number of the patient of each lesion.
    truth
        Class of each lesion. A patient with lesions of both is dealt with those of the positive class.
    n_folds
        Number of folds.
    rng
        Source of the order.

    Returns
    -------
    numpy.ndarray
        Fold of each lesion, from 0. Folds differ by at most one patient, in all and in each class.

    Examples
    --------
    >>> folds = deal_folds(np.array([0, 0, 1, 2, 3]), np.array([True, True, True, False, False]), 2,
    ...                    rng=np.random.default_rng(1))
    >>> bool(folds[0] == folds[1] != folds[2] and folds[3] != folds[4])
    True
    """
    known, index = np.unique(patients, return_inverse=True)
    positive = np.zeros(known.size, dtype=bool)
    positive[index[truth]] = True
    order = np.concatenate([rng.permutation(np.flatnonzero(positive == kind)) for kind in (False, True)])
    fold = np.empty(known.size, dtype=np.intp)
    fold[order] = np.arange(known.size) % n_folds
    return np.asarray(fold[index])


def folds_rng(seed: int) -> np.random.Generator:
    """Source of the folds of a study: methods that share seed and patients share their folds."""
    return np.random.default_rng(seed).spawn(1)[0]


def deal_repeats(
    patients: NDArray[np.intp], truth: NDArray[np.bool_], n_folds: int, n_repeats: int, *, rng: np.random.Generator
) -> tuple[NDArray[np.intp], list[np.random.Generator]]:
    """Deal patients to folds several times.

    Returns
    -------
    folds
        Fold of each lesion, from 0; a row for each repeat.
    rngs
        What is left of the chance of each repeat, for what happens within it.
    """
    rngs = rng.spawn(n_repeats)
    return np.stack([deal_folds(patients, truth, n_folds, rng=own) for own in rngs]), rngs


def patients_of_class(patients: NDArray[np.intp], truth: NDArray[np.bool_]) -> tuple[int, int]:
    """Numbers of patients of the positive and of the other class, counted as `deal_folds` does."""
    positive = np.unique(patients[truth]).size
    return positive, np.unique(patients).size - positive
