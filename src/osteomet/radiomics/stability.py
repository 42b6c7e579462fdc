"""Which features a signature would have kept had the patients been others: selection over bootstrap resamples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.radiomics.signature import Lesions, fit_signature
from osteomet.radiomics.signature_recipe import SignatureRecipe


@dataclass(frozen=True, slots=True, eq=False)
class SelectionResamples:
    """Whether mRMR chose and the LASSO kept each feature in each resample, shape (n_resamples, n_features)."""

    chosen: NDArray[np.bool_]
    kept: NDArray[np.bool_]


def resample_selection(
    lesions: Lesions,
    recipe: SignatureRecipe,
    *,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> SelectionResamples:
    """Fit a signature to each resample of the patients.

    Parameters
    ----------
    lesions
        All lesions, of at least three patients a class.
    recipe
        How to fit, and the number of resamples.
    rng
        Source of the resamples.
    progress
        Called with the number of resamples done and of all.

    Notes
    -----
    Patients are drawn with replacement within each class, so that every resample has both in the numbers of the table,
    and again where a class came down to one patient. A patient drawn twice is in one inner fold, as one patient.
    """
    n_features = lesions.features.shape[1]
    chosen, kept = np.zeros((2, recipe.n_resamples, n_features), dtype=bool)
    for n in range(recipe.n_resamples):
        signature = fit_signature(lesions.part(_draw(lesions, rng)), recipe, rng=rng)
        chosen[n, signature.path.selection.columns] = True
        kept[n, signature.kept] = True
        progress(n + 1, recipe.n_resamples)
    return SelectionResamples(chosen, kept)


def _draw(lesions: Lesions, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows of a resample of the patients."""
    rows = []
    positive = np.isin(lesions.patients, lesions.patients[lesions.truth])
    for kind in (True, False):
        known = np.unique(lesions.patients[positive == kind])
        drawn = rng.choice(known, known.size)
        while np.unique(drawn).size < 2:
            drawn = rng.choice(known, known.size)
        rows += [np.flatnonzero(lesions.patients == patient) for patient in drawn]
    return np.concatenate(rows)
