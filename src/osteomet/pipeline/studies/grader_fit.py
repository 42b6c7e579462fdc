"""Graders of exams fitted to a data set, judged by the exams that they had not seen, and written as packages."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.inference.ensemble import Ensemble
from osteomet.nn.graders import grade_maps
from osteomet.pipeline.evaluate import EvaluationJob, evaluate_folders
from osteomet.pipeline.grader_package import write_grader
from osteomet.pipeline.studies.grading import (
    GradingData,
    GradingRun,
    PreparedExam,
    map_file,
    open_grading,
    prepare_grading,
    train_grader,
)
from osteomet.pipeline.studies.study_job import StudyJob, Tell, data_in_words, notice_of
from osteomet.pipeline.studies.study_prediction import metric_of
from osteomet.training.grading import GradingRecipe


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """A held-out exam and what the network of its round says; ``probability`` is None for one without a map."""

    exam: PreparedExam
    fold: int
    probability: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, eq=False)
class FittedGraders:
    """Networks of each name, one a round, what they said of held-out exams, and metrics by ``NAME/METRIC``."""

    run: GradingRun
    data: GradingData
    networks: Mapping[str, Sequence[Any]]
    graded: Mapping[str, Sequence[Graded]]
    metrics: dict[str, Metric]


def package_folder(run: GradingRun, name: str) -> Path:
    """Where the package of the networks of a name lies."""
    return run.out / "models" / name / "package"


def fit_graders(
    job: StudyJob, recipe: GradingRecipe, source: Path, *, resume: bool, tell: Tell, command: str = ""
) -> FittedGraders:
    """Train every network of a recipe in rounds, judge it out of fold, and write its networks as a package.

    Parameters
    ----------
    job
        Folder, scale and device.
    recipe
        Settings at every scale.
    source
        Data set, as `osteomet.io.exam_cases.read_graded_exams` takes it.
    resume
        Whether to go on with what lies in the folder.
    command
        How to make the packages again, in their words; that of the study where it is not given.

    Raises
    ------
    UsageError, DatasetError, FormatError
        As `open_grading` and `prepare_grading`.
    """
    run = open_grading(recipe.scaled(job.scale), source, job.out, device=job.device, resume=resume, tell=tell)
    data = prepare_grading(run)
    rounds = range(run.recipe.split.rounds)
    networks = {name: [train_grader(run, data, name, fold) for fold in rounds] for name in run.recipe.networks}
    graded = {name: _grade(run, data, some) for name, some in networks.items()}
    tables = {name: _write_predictions(run, name, found) for name, found in graded.items()}
    metrics: dict[str, Metric] = {}
    for name in networks:
        found = _evaluate(job, run, name, tables)
        metrics |= {f"{name}/{key}": metric for key, metric in found.items()}
        words = f"{len(run.cases)} exams of {sum(map(len, data.folds))} patients: {data_in_words(job)}."
        write_grader(
            run.recipe,
            name,
            networks[name],
            found,
            data=f"{notice_of(job)} {words}".strip(),
            command=command or f"osteomet reproduce {recipe.name} --out DIR",
            folder=package_folder(run, name),
        )
    return FittedGraders(run, data, networks, graded, metrics)


def _grade(run: GradingRun, data: GradingData, networks: Sequence[Any]) -> tuple[Graded, ...]:
    """Let the network of each round grade the exams that it was trained without."""
    found = []
    for fold, network in enumerate(networks):
        ensemble = Ensemble([network]).eval()
        for exam in data.held_out(fold):
            probability = None
            if not exam.left_out:
                probability = grade_maps(ensemble, map_file(run, exam).read()[None], device=run.device)[0]
            found.append(Graded(exam, fold, probability))
    return tuple(found)


def _write_predictions(run: GradingRun, name: str, graded: Sequence[Graded]) -> Path:
    """Write a table of classified cases, as `osteomet evaluate` reads it."""
    grades = run.recipe.data.grades
    path = run.out / "predictions" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    columns = ["case", "patient", "reference", "prediction", *(f"probability_{grade}" for grade in grades), "fold"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for one in graded:
            case, found = one.exam.case, one.probability
            called = "" if found is None else grades[int(found.argmax())]
            cells = [""] * len(grades) if found is None else [f"{p:.6f}" for p in found]
            writer.writerow([case.name, case.patient, case.grade, called, *cells, one.fold])
    return path


def _evaluate(job: StudyJob, run: GradingRun, name: str, tables: Mapping[str, Path]) -> dict[str, Metric]:
    """Evaluate a network with every table and figure of the protocol; the first one is compared with the second."""
    others = [table for other, table in tables.items() if other != name]
    evaluation = EvaluationJob(
        None,
        None,
        run.out / "evaluation" / name,
        run.recipe.protocol,
        table=tables[name],
        against=others[0] if others and name == next(iter(tables)) else None,
        overwrite=True,
        notice=notice_of(job),
    )
    resampling = Resampling(n_draws=run.recipe.scales[job.scale].n_bootstrap)
    found = evaluate_folders(evaluation, resampling=resampling)["metrics"]
    return {key: metric_of(entry) for key, entry in found.items()}
