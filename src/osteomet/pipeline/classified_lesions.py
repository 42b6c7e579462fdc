"""Out-of-fold predictions of lesions as classified cases, and as the table that `osteomet evaluate` reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from osteomet.evaluation.classified_cases import ClassifiedCases
from osteomet.evaluation.tables import Table
from osteomet.io.feature_table import LesionClass


def classify_lesions(
    keys: Sequence[tuple[str, str]],
    lesions: Sequence[LesionClass],
    classes: tuple[str, str],
    probability: NDArray[np.float64],
) -> ClassifiedCases:
    """Turn the probability of the first class of each lesion into classified cases.

    Parameters
    ----------
    keys
        Case and number of each lesion; a case with several lesions has one row for each, named ``CASE#LESION``.
    lesions
        Class and patient of each.
    classes
        The positive class and the other; the more probable one is the prediction.
    """
    cases = [case for case, _ in keys]
    single = len(set(cases)) == len(cases)
    return ClassifiedCases(
        classes=classes,
        cases=tuple(cases) if single else tuple(f"{case}#{lesion}" for case, lesion in keys),
        patients=tuple(one.patient for one in lesions),
        reference=tuple(one.label for one in lesions),
        prediction=tuple(classes[0 if p >= 0.5 else 1] for p in probability),
        probability=np.stack([probability, 1 - probability], axis=1),
    )


def out_of_fold_table(cases: ClassifiedCases) -> Table:
    """Predictions in the form that `osteomet.evaluation.classified_cases.read_classified` reads."""
    assert cases.probability is not None
    columns = ("case", "patient", "reference", "prediction", *(f"probability_{label}" for label in cases.classes))
    keys = zip(cases.cases, cases.patients, cases.reference, cases.prediction, strict=True)
    rows = tuple((*key, *p) for key, p in zip(keys, cases.probability.tolist(), strict=True))
    return Table("out_of_fold", "Out-of-fold predictions, averaged over repeats", columns, rows)
