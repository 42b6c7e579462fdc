"""A grading study from data to its report: maps, networks of each round, their grades, tables and decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import Table, Value, fill_paper_table
from osteomet.pipeline.studies.grader_fit import Graded, fit_graders
from osteomet.pipeline.studies.grading import (
    GradingData,
    GradingRun,
    PreparedExam,
)
from osteomet.pipeline.studies.grading_decisions import explain_decisions
from osteomet.pipeline.studies.study_job import StudyJob, Tell, data_in_words, data_of, notice_of
from osteomet.pipeline.studies.study_page import StudyReport, write_study
from osteomet.report.evaluation_page import ChartFile
from osteomet.training.grading import GradingRecipe


def reproduce_grading(job: StudyJob, recipe: GradingRecipe, *, tell: Tell) -> dict[str, Metric]:
    """Go from data to the finished report; folders, results and errors are those of `reproduce_study`.

    Each network leaves a model package in ``models/NAME/package``.
    """
    fitted = fit_graders(job, recipe, data_of(job, tell), resume=True, tell=tell)
    run, data, networks, metrics = fitted.run, fitted.data, fitted.networks, fitted.metrics
    decisions = [explain_decisions(run, name, networks[name], _shown(run, fitted.graded[name])) for name in networks]
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
