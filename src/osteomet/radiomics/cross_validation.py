"""How well a signature predicts lesions of patients that it has not seen: nested, patient-wise, repeated folds.

Everything that learns from the classes or from the values — choice by mRMR, mean and standard deviation, choice of the
penalty, coefficients, classifier — sees the training part of a fold only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError
from osteomet.radiomics.folds import deal_repeats, patients_of_class
from osteomet.radiomics.signature import Lesions, fit_signature
from osteomet.radiomics.signature_recipe import SignatureRecipe
from osteomet.stats.bootstrap import Statistic
from osteomet.stats.roc import auc_statistic


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """Out-of-fold results; rows are repeats, columns lesions.

    ``n_kept`` has how many features each fold kept, shape (n_repeats, n_folds).
    """

    folds: NDArray[np.intp]
    rad_scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    n_kept: NDArray[np.intp]


def cross_validate(
    lesions: Lesions,
    recipe: SignatureRecipe,
    *,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> CrossValidation:
    """Predict every lesion by signatures that have not seen its patient, once a repeat.

    Parameters
    ----------
    lesions
        All lesions; features that are not finite are refused.
    recipe
        How to fit.
    rng
        Source of all folds.
    progress
        Called with the number of signatures fitted and of all.

    Raises
    ------
    DatasetError
        If a class has fewer patients than there are folds.
    """
    check_patients(lesions.patients, lesions.truth, recipe.classes, recipe.n_folds)
    n = lesions.truth.size
    folds, rngs = deal_repeats(lesions.patients, lesions.truth, recipe.n_folds, recipe.n_repeats, rng=rng)
    scores, probabilities = np.zeros((2, recipe.n_repeats, n))
    kept = np.zeros((recipe.n_repeats, recipe.n_folds), dtype=np.intp)
    prevalence = prevalence_of(lesions, recipe)
    for repeat, own_rng in enumerate(rngs):
        for fold in range(recipe.n_folds):
            rest, out = np.flatnonzero(folds[repeat] != fold), np.flatnonzero(folds[repeat] == fold)
            signature = fit_signature(lesions.part(rest), recipe, rng=own_rng)
            scores[repeat, out] = signature.rad_scores(lesions.features[out])
            probabilities[repeat, out] = signature.probabilities(lesions.features[out], prevalence=prevalence)
            kept[repeat, fold] = signature.kept.size
            progress(repeat * recipe.n_folds + fold + 1, recipe.n_repeats * recipe.n_folds)
    return CrossValidation(folds, scores, probabilities, kept)


def check_patients(
    patients: NDArray[np.intp], truth: NDArray[np.bool_], classes: tuple[str, str], n_folds: int
) -> None:
    """Refuse lesions that some fold would leave without a class; raises `DatasetError`."""
    for name, n in zip(classes, patients_of_class(patients, truth), strict=True):
        if n < n_folds:
            raise DatasetError(
                f"there are too few patients of the class “{name}” for {n_folds} folds",
                expected=f"at least {n_folds}",
                got=str(n),
                remedy="add patients, or set a smaller n_folds in --settings",
            )


def prevalence_of(lesions: Lesions, recipe: SignatureRecipe) -> float:
    """Share of the positive class that probabilities are meant for."""
    return float(lesions.truth.mean()) if recipe.prevalence is None else recipe.prevalence


def mean_auc_statistic(scores: NDArray[np.float64], lesions: Lesions) -> Statistic:
    """Mean over repeats of the area under the ROC curve, as a statistic of weighted patients for the bootstrap.

    Parameters
    ----------
    scores
        Out-of-fold scores, shape (n_repeats, n).
    """
    patient = np.unique(lesions.patients, return_inverse=True)[1]
    areas = auc_statistic(scores, lesions.truth, patient=patient)

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(areas.evaluate(weights).mean(axis=1, keepdims=True))

    return Statistic(areas.n_patients, evaluate, width=areas.width)
