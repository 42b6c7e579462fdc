"""What a signature is fitted to, read and checked, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError
from osteomet.evaluation.classification import ClassificationResult
from osteomet.evaluation.classified_cases import ClassifiedCases
from osteomet.evaluation.metrics import Metric
from osteomet.io.feature_table import FeatureTable, LesionClass, check_columns, read_classes, read_features
from osteomet.radiomics.cross_validation import CrossValidation, check_patients
from osteomet.radiomics.signature import FittedSignature, Lesions
from osteomet.radiomics.signature_recipe import SignatureRecipe
from osteomet.radiomics.stability import SelectionResamples
from osteomet.stats.agreement import icc
from osteomet.stats.intervals import Estimate


@dataclass(frozen=True, slots=True)
class FitJob:
    """What to fit a signature to.

    Parameters
    ----------
    features
        Table of features (`osteomet.io.feature_table.read_features`).
    labels
        Table of classes (`osteomet.io.feature_table.read_classes`).
    out
        Folder to make.
    recipe
        How to fit and to judge.
    perturbed
        Features of perturbed masks of the same lesions; where given, features that change too much are left out.
    overwrite
        Whether an output folder that osteomet wrote may be replaced.
    """

    features: Path
    labels: Path
    out: Path
    recipe: SignatureRecipe = SignatureRecipe()  # noqa: RUF009 - immutable
    perturbed: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Lesions with their features, those that can be used by index, and why the others cannot."""

    recipe: SignatureRecipe
    table: FeatureTable
    classes: tuple[LesionClass, ...]
    agreement: Mapping[str, Estimate]
    left_out: Mapping[str, str]

    @property
    def usable(self) -> NDArray[np.intp]:
        """Columns of the table that a signature may be made of."""
        return np.flatnonzero([name not in self.left_out for name in self.table.names])

    @property
    def lesions(self) -> Lesions:
        """Features, classes and patients as numbers."""
        patients = np.unique([one.patient for one in self.classes], return_inverse=True)[1]
        truth = np.array([one.label == self.recipe.positive for one in self.classes])
        return Lesions(self.table.values[:, self.usable], truth, patients.astype(np.intp))


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """All that was fitted and computed."""

    study: Study
    fitted: FittedSignature
    validation: CrossValidation
    resamples: SelectionResamples
    cases: ClassifiedCases
    result: ClassificationResult
    metrics: Mapping[str, Metric]

    @property
    def names(self) -> list[str]:
        """Names of the features that mRMR chose, in its order."""
        return [self.study.table.names[self.study.usable[column]] for column in self.fitted.path.selection.columns]


def read_study(job: FitJob) -> Study:
    """Read the tables of a job, and decide which features can be used; the classes take no part in that."""
    recipe = job.recipe
    table = read_features(job.features)
    classes = read_classes(job.labels, table.lesions, column=recipe.label_column, words=recipe.meanings)
    agreement = {} if job.perturbed is None else _agreement(table, read_features(job.perturbed, perturbed=True))
    left_out = _left_out(table, agreement, recipe)
    if len(left_out) == len(table.names):
        worst = int(np.isnan(table.values).sum(axis=1).argmax())
        case, lesion, _ = table.lesions[worst]
        n_missing = int(np.isnan(table.values[worst]).sum())
        raise DatasetError(
            f"{table.path}: no feature can be used",
            expected="features that were computed for every lesion and hardly change with its mask",
            got=f"{n_missing} of {len(table.names)} not computed for lesion {lesion} of case “{case}”",
            remedy="leave such lesions out, or lower least_icc in --settings",
        )
    study = Study(recipe, table, classes, agreement, left_out)
    check_patients(study.lesions.patients, study.lesions.truth, recipe.classes, recipe.n_folds)
    return study


def _agreement(table: FeatureTable, perturbed: FeatureTable) -> dict[str, Estimate]:
    """Intraclass correlation, form 1,1, of each feature over the masks of a lesion; undefined where a value lacks."""
    check_columns(perturbed, table.names)
    column = [perturbed.names.index(name) for name in table.names]
    numbers = sorted({number for _, _, number in perturbed.lesions})
    row_of = {key: row for row, key in enumerate(perturbed.lesions)}
    wanted = [[(case, lesion, number) for number in numbers] for case, lesion, _ in table.lesions]
    missing = next((key for keys in wanted for key in keys if key not in row_of), None)
    if missing is not None:
        raise DatasetError(
            f"{perturbed.path}: the table lacks a perturbed mask",
            expected=f"perturbation {missing[2]} of lesion {missing[1]} of case “{missing[0]}”",
            remedy="extract it from the same images and masks as the features",
        )
    rows = np.array([[row_of[key] for key in keys] for keys in wanted])
    ratings = np.concatenate([table.values[:, None], perturbed.values[rows][:, :, column]], axis=1)
    return {
        name: icc(ratings[:, :, n], form="1,1") if np.isfinite(ratings[:, :, n]).all() else Estimate(None)
        for n, name in enumerate(table.names)
    }


def _left_out(table: FeatureTable, agreement: Mapping[str, Estimate], recipe: SignatureRecipe) -> dict[str, str]:
    """Features that cannot be used, and why."""
    reasons = {}
    for n, name in enumerate(table.names):
        lacking = np.flatnonzero(np.isnan(table.values[:, n]))
        correlation = agreement.get(name, Estimate(1.0)).value
        if lacking.size:
            case, lesion, _ = table.lesions[lacking[0]]
            reasons[name] = f"not computed for {lacking.size} lesions, such as lesion {lesion} of case {case}"
        elif correlation is None:
            reasons[name] = "no intraclass correlation over perturbed masks"
        elif correlation < recipe.least_icc:
            reasons[name] = f"intraclass correlation over perturbed masks below {recipe.least_icc:g}"
    return reasons
