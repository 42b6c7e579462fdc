"""A classifier of lesions from a data set: judged by folds of patients, fitted to all, and written as a package."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet import __version__
from osteomet.core.errors import DatasetError
from osteomet.evaluation.class_metrics import class_metrics
from osteomet.evaluation.classification import ClassificationResult, evaluate_classification
from osteomet.evaluation.classified_cases import ClassifiedCases
from osteomet.evaluation.tables import Table, write_csv
from osteomet.inference.classify import make_classifier
from osteomet.inference.engine import Device, choose_device
from osteomet.io.feature_table import LesionClass, read_classes
from osteomet.io.lesion_cases import list_lesion_images
from osteomet.pipeline.classified_lesions import classify_lesions, out_of_fold_table
from osteomet.pipeline.classifier_package import part_of, write_classifier
from osteomet.pipeline.evaluation_charts import draw_class_charts
from osteomet.pipeline.lesion_cubes import cut_case
from osteomet.pipeline.studies.study_job import Tell, open_folder
from osteomet.radiomics.cross_validation import check_patients
from osteomet.radiomics.folds import deal_repeats, folds_rng
from osteomet.training.bags import Bagged, Cubes, fit_bagged
from osteomet.training.classifier_recipe import ClassifierRecipe
from osteomet.training.fit import Progress

_N_DRAWS = 2_000
PACKAGE = "package"
"""Folder of the model in that of a fit."""


@dataclass(frozen=True, slots=True)
class ClassifyJob:
    """What to fit a classifier to; the classes are those of ``cases.csv`` of the data set."""

    data: Path
    out: Path
    recipe: ClassifierRecipe = ClassifierRecipe()  # noqa: RUF009 - immutable
    device: Device = "auto"
    resume: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LesionSet:
    """Lesions of a data set with their cubes, classes and patients."""

    channels: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]
    classes: tuple[LesionClass, ...]
    cubes: Cubes


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Fold and out-of-fold probability of each lesion; rows are repeats."""

    folds: NDArray[np.intp]
    probabilities: NDArray[np.float64]


def fit_classifier(job: ClassifyJob, *, tell: Tell) -> dict[str, Any]:
    """Fit a classifier, judge it, and write everything into one folder, which grows: a stopped fit goes on there.

    Returns
    -------
    dict
        Content of ``metrics.json``.

    Raises
    ------
    UsageError
        If ``out`` holds something and ``resume`` is False, or was made with other settings.
    InputError
        If the data set cannot be used; the message names the case.
    """
    lesions = read_lesion_set(job.data, job.recipe, tell=tell)
    open_folder(job.recipe, job.out, resume=job.resume)
    judged = _judge(job, lesions, tell)
    cases = classify_lesions(lesions.keys, lesions.classes, job.recipe.classes, judged.probabilities.mean(axis=0))
    rng = np.random.default_rng([job.recipe.seed, 1])
    result = evaluate_classification(cases, rng=rng, n_draws=_N_DRAWS)
    metrics = class_metrics(result)
    bagged = _fit(job, lesions.cubes, lesions.channels, (0, 0), "all lesions", tell)
    package = write_classifier(bagged, job.recipe, lesions.cubes, metrics, _emptied(job.out / PACKAGE))
    _write_outputs(job, lesions, judged, cases, result)
    document = {
        "software": f"osteomet {__version__}",
        "package": {"name": job.recipe.name, "sha256": package.sha256},
        "recipe": asdict(job.recipe),
        "definitions": _DEFINITIONS,
        "metrics": {name: metric.as_json() for name, metric in metrics.items()},
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    (job.out / "metrics.json").write_text(text + "\n", encoding="utf-8")
    return document


_DEFINITIONS = {
    "classification": "out-of-fold probabilities of ensembles that had not seen the patient, averaged over repeats; "
    "the class is the more probable one",
    "equal classes": "networks see as many lesions of each class, so that a probability of 0.5 is the middle between "
    "the classes and not their share in the data",
}


def read_lesion_set(data: Path, recipe: ClassifierRecipe, *, tell: Tell) -> LesionSet:
    """Cut the cubes of all lesions of a data set, and read their classes.

    Raises
    ------
    DatasetError
        If the data set lacks a channel, a case an image, no case has a lesion, or a class has fewer patients than there
        are folds.
    """
    names, cases = list_lesion_images(data, recipe.channels)
    found = []
    for done, case in enumerate(cases, start=1):
        found += list(cut_case(case, names, side=recipe.side, edge_mm=recipe.edge_mm))
        tell("cubes", done, len(cases), "")
    if not found:
        raise DatasetError(f"{data}: no case has a lesion", got=f"{len(cases)} empty maps")
    keys = tuple(cube.key for cube in found)
    classes = read_classes(
        data / "cases.csv", [(*key, "") for key in keys], column=recipe.label_column, words=recipe.meanings
    )
    patients = np.unique([one.patient for one in classes], return_inverse=True)[1].astype(np.intp)
    truth = np.array([one.label == recipe.positive for one in classes])
    check_patients(patients, truth, recipe.classes, recipe.n_folds)
    values = np.stack([cube.values for cube in found])
    return LesionSet(names, keys, classes, Cubes(values, truth, patients, tuple(f"{c} #{n}" for c, n in keys)))


def _judge(job: ClassifyJob, lesions: LesionSet, tell: Tell) -> _Judged:
    """Predict every lesion by ensembles that have not seen its patient, once a repeat."""
    recipe, cubes = job.recipe, lesions.cubes
    folds, _ = deal_repeats(cubes.patients, cubes.truth, recipe.n_folds, recipe.n_repeats, rng=folds_rng(recipe.seed))
    probabilities = np.zeros(folds.shape)
    for repeat, fold_of in enumerate(folds):
        for fold in range(recipe.n_folds):
            rest, out = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
            named = f"repeat {repeat + 1}, fold {fold + 1} of {recipe.n_folds}"
            bagged = _fit(job, cubes.part(rest), lesions.channels, (repeat + 1, fold + 1), named, tell)
            classifier = make_classifier(part_of(bagged, recipe), bagged.members, device=job.device)
            probabilities[repeat, out] = classifier.probabilities(cubes.values[out])[:, 0]
    return _Judged(folds, probabilities)


def _fit(
    job: ClassifyJob, cubes: Cubes, channels: tuple[str, ...], key: tuple[int, int], named: str, tell: Tell
) -> Bagged:
    """Train the ensemble of one fold, or with the key (0, 0) of all lesions."""
    recipe, n_steps = job.recipe, job.recipe.n_members * job.recipe.n_steps
    folder = job.out / "models" / ("all" if key == (0, 0) else f"repeat_{key[0]}_fold_{key[1]}")

    def report(member: int, line: Progress) -> None:
        tell(named, member * recipe.n_steps + line.step, n_steps, f"loss {line.loss:.4f}")

    device = choose_device(job.device)
    return fit_bagged(cubes, channels, recipe, folder, key=key, device=device, report=report)


def _emptied(folder: Path) -> Path:
    """The folder, free for a package."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _write_outputs(
    job: ClassifyJob, lesions: LesionSet, judged: _Judged, cases: ClassifiedCases, result: ClassificationResult
) -> None:
    """Write predictions, folds and figures."""
    for name in ("tables", "figures"):
        (job.out / name).mkdir(exist_ok=True)
    write_csv(out_of_fold_table(cases), job.out)
    write_csv(_folds(lesions, judged, job.recipe), job.out / "tables")
    draw_class_charts(result, None, job.out / "figures")


def _folds(lesions: LesionSet, judged: _Judged, recipe: ClassifierRecipe) -> Table:
    """Fold and probability of each lesion in every repeat."""
    rows = [
        (repeat + 1, fold + 1, *key, one.patient, one.label, p)
        for repeat, (folds, probabilities) in enumerate(zip(judged.folds, judged.probabilities, strict=True))
        for key, one, fold, p in zip(lesions.keys, lesions.classes, folds.tolist(), probabilities.tolist(), strict=True)
    ]
    title = "Every repeat: fold of each lesion, and what the ensemble that had not seen its patient said"
    names = ("repeat", "fold", "case", "lesion", "patient", "reference", f"probability_{recipe.positive}")
    return Table("folds", title, names, tuple(rows))
