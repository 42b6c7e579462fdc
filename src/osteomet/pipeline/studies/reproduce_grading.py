"""A grading study from data to its report: maps, networks of each round, their grades, tables and decisions."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import Table, Value, fill_paper_table
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
from osteomet.pipeline.studies.grading_decisions import explain_decisions
from osteomet.pipeline.studies.study_job import StudyJob, Tell, data_in_words, data_of, notice_of
from osteomet.pipeline.studies.study_page import StudyReport, write_study
from osteomet.pipeline.studies.study_prediction import metric_of
from osteomet.report.evaluation_page import ChartFile
from osteomet.training.grading import GradingRecipe


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """A held-out exam and what the network of its round says; ``probability`` is None for one without a map."""

    exam: PreparedExam
    fold: int
    probability: NDArray[np.float64] | None


def reproduce_grading(job: StudyJob, recipe: GradingRecipe, *, tell: Tell) -> dict[str, Metric]:
    """Go from data to the finished report; folders, results and errors are those of `reproduce_study`.

    Each network leaves a model package in ``models/NAME/package``.
    """
    source = data_of(job, tell)
    run = open_grading(recipe.scaled(job.scale), source, job.out, device=job.device, resume=True, tell=tell)
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
        folder = run.out / "models" / name / "package"
        write_grader(run.recipe, name, networks[name], found, data=f"{notice_of(job)} {words}".strip(), folder=folder)
    decisions = [explain_decisions(run, name, networks[name], _shown(run, graded[name])) for name in networks]
    report = StudyReport(
        title=run.recipe.title,
        protocol=run.recipe.protocol,
        notice=notice_of(job),
        metrics=metrics,
        published=_published(run.recipe, metrics),
        tables=[_split_table(run, data), *(table for table, _ in decisions), _left_out_table(data)],
        parts={name: f"Evaluation of {network.title}" for name, network in run.recipe.networks.items()},
        charts=[*(chart for _, chart in decisions), *_charts(run)],
        definitions=_definitions(run, job),
    )
    write_study(report, job.out)
    return metrics


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


def _shown(run: GradingRun, graded: Sequence[Graded]) -> list[tuple[PreparedExam, int]]:
    """The first exams of each grade, and their rounds."""
    shown = []
    for grade in run.recipe.data.grades:
        mine = [one for one in graded if one.exam.case.grade == grade and one.probability is not None]
        shown += [(one.exam, one.fold) for one in mine[: run.recipe.explanation.exams]]
    return shown


def _published(recipe: GradingRecipe, metrics: Mapping[str, Metric]) -> list[Table]:
    """The tables of the paper, once for each network."""
    tables = []
    for name, network in recipe.networks.items():
        mine = {key.removeprefix(f"{name}/"): metric for key, metric in metrics.items() if key.startswith(f"{name}/")}
        for paper in PROTOCOLS[recipe.protocol].tables:
            table = fill_paper_table(paper, mine)
            tables.append(replace(table, name=f"{table.name}_{name}", title=f"{table.title}: ours by {network.title}"))
    return tables


def _split_table(run: GradingRun, data: GradingData) -> Table:
    """Patients of each fold, and exams of each grade."""
    grades = run.recipe.data.grades
    rows: list[tuple[Value, ...]] = []
    for fold, patients in enumerate(data.folds):
        exams = [exam.case.grade for exam in data.held_out(fold)]
        held_out = "yes" if fold < run.recipe.split.rounds else "no"
        rows.append((fold, held_out, len(patients), *(exams.count(grade) for grade in grades)))
    columns = ("fold", "held out in a round", "patients", *(f"exams, {grade}" for grade in grades))
    note = "No patient is in two folds. The networks of a round learn from all other folds."
    return Table("split", "Split", columns, tuple(rows), note)


def _left_out_table(data: GradingData) -> Table:
    """Exams without a map."""
    rows = tuple((exam.case.name, exam.left_out) for exam in data.exams if exam.left_out)
    note = "They are in no training, and count as wrong where they were to be graded."
    return Table("left_out", "Exams without a map", ("exam", "reason"), rows, note)


def _charts(run: GradingRun) -> list[ChartFile]:
    """Confusion matrix and the curves of the first round of every network."""
    charts = []
    for name, network in run.recipe.networks.items():
        matrix = run.out / "evaluation" / name / "figures" / "confusion_matrix.svg"
        charts.append(ChartFile(matrix, f"Confusion matrix, {network.title}; shares are of each row."))
        curves = run.model_folder(name, 0) / "curves.svg"
        words = f"Training of {network.title}, first round. The pseudo-Dice is the F1 of its batches."
        charts.append(ChartFile(curves, words))
    return charts


def _definitions(run: GradingRun, job: StudyJob) -> dict[str, str]:
    """How the figures came about."""
    recipe, step = run.recipe, run.recipe.straighten
    networks = "; ".join(
        f"{network.title}: {network.n_steps} steps of {network.batch}, {network.optimiser}"
        for network in recipe.networks.values()
    )
    return {
        "data": data_in_words(job),
        "scale": job.scale,
        "preprocessing": ", ".join(one.step for one in recipe.preprocessing),
        "map": f"{step.rows} × {step.columns} pixels of {step.spacing_mm} mm, {step.planes} planes "
        f"{step.plane_spacing_mm} mm apart, of {' and '.join(recipe.data.sequences)}",
        "networks": networks,
        "test": f"{recipe.split.rounds} of {recipe.split.n_folds} folds of patients held out in turn; each exam is "
        "graded once, by networks that saw none of its patient",
        "settings": "all settings are in recipe.json",
    }
