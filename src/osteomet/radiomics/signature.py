"""Fit one signature: mRMR, LASSO along its path, Rad-score, logistic classifier, all from the lesions given.

Notes
-----
**Penalties.** Choice by mRMR is part of what inner folds do, so that they do not choose too small a penalty. The path
begins where the training part and all inner parts are without a feature: to know nothing is always among the choices.

**Equal classes.** Both classes weigh the same throughout, however many lesions they have. Otherwise the intercept of a
fit would follow the share of the classes in its training part, which is a little low just where the part left out has
many positives; pooled over folds that alone pushes the AUC of a signature without any information far below 0.5
(Parker et al. 2007).

**Classifier.** Its slope and intercept are fitted to Rad-scores that inner folds gave to lesions they had not seen
(Platt 1999, with his targets): fitted to the Rad-scores of the training lesions themselves, it would be too sure.

References
----------
Parker B. J., Günter S., Bedo J. 2007. Stratification bias in low signal microarray studies.
https://doi.org/10.1186/1471-2105-8-326
Platt J. C. 1999. Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods.
In Advances in Large Margin Classifiers, MIT Press, 61–74.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from osteomet.core.errors import InputError
from osteomet.radiomics.folds import deal_folds, patients_of_class
from osteomet.radiomics.lasso import largest_penalty, lasso_path
from osteomet.radiomics.mrmr import select_mrmr
from osteomet.radiomics.signature_recipe import SignatureRecipe

_NEWTON_STEPS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Lesions:
    """What a signature is fitted to: features, shape (n, n_features), class and patient of each lesion."""

    features: NDArray[np.float64]
    truth: NDArray[np.bool_]
    patients: NDArray[np.intp]

    def part(self, rows: NDArray[np.intp]) -> Lesions:
        """Some of the lesions."""
        return Lesions(self.features[rows], self.truth[rows], self.patients[rows])

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of the lesions, by which both classes weigh the same; their mean is 1."""
        counts = np.bincount(self.truth, minlength=2)
        return np.asarray(self.truth.size / (2 * counts))[self.truth.astype(np.intp)]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Features that mRMR chose, by column, with their means and standard deviations in the training part."""

    columns: NDArray[np.intp]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    def standardise(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Chosen features of any lesions, standardised."""
        return np.asarray((features[:, self.columns] - self.centre) / self.scale)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Intercept and coefficients of the selected features at each penalty; the latter have a row for each."""

    selection: Selection
    penalties: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def rad_scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rad-score of each lesion at each penalty, shape (n, n_penalties)."""
        return np.asarray(self.selection.standardise(features) @ self.coefficients.T)


@dataclass(frozen=True, slots=True, eq=False)
class FittedSignature:
    """A signature with how it came about.

    ``path`` has all penalties, ``chosen`` is the row that counts. ``deviance`` and ``deviance_se`` are the mean
    deviance of lesions left out by inner folds at each penalty and its standard error. The classifier is for classes of
    equal frequency.
    """

    path: Path
    chosen: int
    deviance: NDArray[np.float64]
    deviance_se: NDArray[np.float64]
    intercept: float
    slope: float

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """Coefficients at the chosen penalty, in the order of the selection."""
        return np.asarray(self.path.coefficients[self.chosen])

    @property
    def kept(self) -> NDArray[np.intp]:
        """Features with a coefficient other than 0."""
        return np.asarray(self.path.selection.columns[self.coefficients != 0])

    def rad_scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rad-score of each lesion."""
        return np.asarray(self.path.rad_scores(features)[:, self.chosen])

    def probabilities(self, features: NDArray[np.float64], *, prevalence: float) -> NDArray[np.float64]:
        """Probability of the positive class where it has this share."""
        odds = np.log(prevalence / (1 - prevalence))
        return np.asarray(expit(self.intercept + odds + self.slope * self.rad_scores(features)))


def fit_signature(lesions: Lesions, recipe: SignatureRecipe, *, rng: np.random.Generator) -> FittedSignature:
    """Fit a signature.

    Parameters
    ----------
    lesions
        The training part; nothing else is looked at.
    recipe
        How to fit.
    rng
        Source of the inner folds.

    Returns
    -------
    FittedSignature
        Without any feature, and with the same probability for everybody, where no penalty predicted left-out lesions
        better than that.

    Raises
    ------
    InputError
        If a class has fewer than two patients, or a feature is not finite.
    """
    if not np.isfinite(lesions.features).all():
        raise InputError("a signature is fitted to features that are numbers", got="NaN or infinity")
    n_least = min(patients_of_class(lesions.patients, lesions.truth))
    if n_least < 2:
        raise InputError("a signature needs two patients of each class", got=f"{n_least} of one class")
    folds = deal_folds(lesions.patients, lesions.truth, min(recipe.n_inner_folds, n_least), rng=rng)
    outs = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    parts = [lesions, *(lesions.part(np.setdiff1d(np.arange(folds.size), out)) for out in outs)]
    selections = [_select(part, recipe) for part in parts]
    largest = max(_largest_penalty(*pair) for pair in zip(parts, selections, strict=True))
    penalties = largest * np.geomspace(1, recipe.least_penalty, recipe.n_penalties)
    path, *inner = (_fit_path(*pair, penalties) for pair in zip(parts, selections, strict=True))
    held_out = np.zeros((2, lesions.truth.size, penalties.size))
    for out, one in zip(outs, inner, strict=True):
        held_out[0, out] = one.rad_scores(lesions.features[out])
        held_out[1, out] = held_out[0, out] + one.intercepts
    losses = 2 * np.logaddexp(0, np.where(lesions.truth[:, None], -held_out[1], held_out[1]))
    deviance, error = _mean_of_folds(losses, lesions.weights, folds)
    chosen = int(np.argmin(deviance))
    intercept, slope = _fit_classifier(held_out[0, :, chosen], lesions.truth, lesions.weights)
    return FittedSignature(path, chosen, deviance, error, intercept, slope)


def _select(lesions: Lesions, recipe: SignatureRecipe) -> Selection:
    """Choose features by mRMR, and find how to standardise them."""
    chosen = select_mrmr(lesions.features, lesions.truth, n_selected=recipe.n_candidates, n_bins=recipe.n_bins)
    values = lesions.features[:, list(chosen)]
    return Selection(np.array(chosen, dtype=np.intp), values.mean(axis=0), values.std(axis=0))


def _largest_penalty(lesions: Lesions, selection: Selection) -> float:
    """A penalty that surely leaves no coefficient, rounding included."""
    largest = largest_penalty(selection.standardise(lesions.features), lesions.truth, lesions.weights)
    return max(1.0001 * largest, np.finfo(np.float64).tiny)


def _fit_path(lesions: Lesions, selection: Selection, penalties: NDArray[np.float64]) -> Path:
    """Fit at each penalty."""
    design = selection.standardise(lesions.features)
    intercepts, coefficients = lasso_path(design, lesions.truth, lesions.weights, penalties)
    return Path(selection, penalties, coefficients, intercepts)


def _mean_of_folds(
    losses: NDArray[np.float64], weights: NDArray[np.float64], folds: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean of the losses at each penalty, and its standard error from the means of the folds."""
    sums = np.array([weights[folds == f] @ losses[folds == f] for f in np.unique(folds)])
    shares = np.array([weights[folds == f].sum() for f in np.unique(folds)])
    mean = sums.sum(axis=0) / shares.sum()
    spread = (shares[:, None] * (sums / shares[:, None] - mean) ** 2).sum(axis=0) / shares.sum()
    return mean, np.sqrt(spread / (len(shares) - 1))


def _fit_classifier(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Intercept and slope of the logistic classifier, by Newton's method; a slope below 0 counts as 0."""
    n_each = truth.size / 2  # both classes weigh the same
    target = np.where(truth, (n_each + 1) / (n_each + 2), 1 / (n_each + 2))
    spread = float(scores.std())
    if spread == 0:
        return 0.0, 1.0
    design = np.column_stack([np.ones(truth.size), scores / spread])
    current = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        p = expit(design @ current)
        gradient = design.T @ (weights * (p - target))
        step = np.linalg.solve(design.T @ (design * (weights * p * (1 - p))[:, None]), gradient)
        current = current - step * min(1.0, 2.0 / float(np.abs(step).max()) if step.any() else 1.0)
        if np.abs(step).max() < 1e-10:
            break
    return (float(current[0]), float(current[1] / spread)) if current[1] > 0 else (0.0, 0.0)
