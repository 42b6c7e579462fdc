"""A study that trains nnU-Net, from data to its report: both stages, all configurations, every case predicted once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osteomet.evaluation.edelmers2024_study import edelmers2024_tables
from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.tables import Table
from osteomet.pipeline.nnunet_packages import compare_engines, package_best
from osteomet.pipeline.studies.nnunet_study import (
    NnunetCases,
    NnunetRun,
    best_of,
    open_nnunet,
    prepare_nnunet,
    score_configurations,
    train_nnunet,
)
from osteomet.pipeline.studies.study_job import StudyJob, Tell, data_in_words, data_of, notice_of
from osteomet.pipeline.studies.study_page import StudyReport, write_study
from osteomet.pipeline.studies.study_prediction import PartFolders, evaluate_in_full, evaluate_in_short
from osteomet.report.evaluation_page import ChartFile
from osteomet.training.nnunet.recipe import STAGES, ConfigurationName, NnunetRecipe, StageName

_PREDICTED = "validation"


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """What became of a stage."""

    scores: Mapping[ConfigurationName, float]
    best: ConfigurationName
    agreement: Mapping[str, float]
    metrics: Mapping[str, Metric]


def reproduce_nnunet(job: StudyJob, recipe: NnunetRecipe, *, tell: Tell) -> dict[str, Metric]:
    """Go from data to the finished report; folders, results and errors are those of `reproduce_study`.

    ``models`` holds what nnU-Net trained, ``packages`` the best configuration of each stage as `osteomet predict` runs
    it, ``agreement`` the labels that nnU-Net itself gave for some scans.

    Raises
    ------
    ModelError
        If a packaged model does not give nnU-Net's labels.
    """
    source = data_of(job, tell)
    run = open_nnunet(recipe.scaled(job.scale), source, job.out, device=job.device, resume=True, tell=tell)
    cases = prepare_nnunet(run)
    train_nnunet(run, range(run.recipe.split.n_folds))
    resampling, notice = Resampling(n_draws=recipe.scales[job.scale].n_bootstrap), notice_of(job)
    stages = {stage: _finish(run, stage, resampling, notice) for stage in STAGES}
    metrics = {name: metric for stage in stages.values() for name, metric in stage.metrics.items()}
    published = [
        table
        for stage, found in stages.items()
        for table in edelmers2024_tables(stage, _in_full(run, stage, found.scores), found.metrics)
    ]
    report = StudyReport(
        title=recipe.title,
        protocol=recipe.protocol,
        notice=notice,
        metrics=metrics,
        published=published,
        tables=[_choice_table(run, stages), _split_table(cases)],
        charts=_curves(run, stages),
        parts={
            f"{stage}_{name}": f"Evaluation of the {stage}, {name}"
            for stage, found in stages.items()
            for name in _in_full(run, stage, found.scores)
        },
        definitions=_definitions(run, job, stages),
    )
    write_study(report, job.out)
    return metrics


def _finish(run: NnunetRun, stage: StageName, resampling: Resampling, notice: str) -> _Stage:
    """Choose the best configuration of a stage, package it, and evaluate all."""
    scores = score_configurations(run, stage)
    best = best_of(scores)
    agreement = compare_engines(run, stage, best, package_best(run, stage, best))
    metrics: dict[str, Metric] = {}
    for number, name in enumerate(scores, start=1):
        run.tell(f"evaluate {stage}", number, len(scores), name)
        folders = _gather(run, stage, name)
        if name in _in_full(run, stage, scores):
            out = run.out / "evaluation" / f"{stage}_{name}"
            found = evaluate_in_full(run.recipe.protocol, folders, out, resampling, notice)
        else:
            found = evaluate_in_short(run.recipe.protocol, folders, resampling)
        metrics |= {f"{stage}/{name}/{key}": metric for key, metric in found.items()}
    return _Stage(scores, best, agreement, metrics)


def _in_full(run: NnunetRun, stage: StageName, scores: Mapping[ConfigurationName, float]) -> list[ConfigurationName]:
    """Configurations that are evaluated in full: those of the paper's tables, and the best."""
    wanted = {*run.recipe.stage(stage).reported, best_of(scores)}
    return [name for name in scores if name in wanted]


def _gather(run: NnunetRun, stage: StageName, configuration: ConfigurationName) -> PartFolders:
    """Set what the networks predicted of cases that they did not see beside the references."""
    folder = run.out / "predictions" / stage / configuration
    folders = PartFolders(folder / "reference", folder / "prediction", None)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run.raw(stage) / "labelsTr", folders.reference)
    folders.prediction.mkdir()
    for fold in range(run.recipe.split.n_folds):
        for path in (run.place(stage).fold(configuration, fold) / _PREDICTED).glob(f"*{run.recipe.data.file_ending}"):
            shutil.copy(path, folders.prediction / path.name)
    content = {"labels": {"background": 0, **run.recipe.stage(stage).labels}}
    (folders.reference / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    shutil.copy(run.data.folder / "cases.csv", folders.reference / "cases.csv")
    return folders


def _choice_table(run: NnunetRun, stages: Mapping[StageName, _Stage]) -> Table:
    """Dice of every configuration in cross-validation, and which was chosen."""
    rows = []
    for stage, found in stages.items():
        for name in run.recipe.plans.configurations:
            score = found.scores.get(name)
            shown = "not planned" if score is None else round(score, 3)
            rows.append((stage, name, shown, "best" if name == found.best else ""))
    note = (
        "Mean over classes of the mean over cases, on whole images, every case predicted by the networks that did not "
        "see it. nnU-Net plans 3d_lowres and the cascade only where a patch of 3d_fullres covers less than a quarter "
        "of the median scan."
    )
    return Table("configurations", "Configurations", ("stage", "configuration", "Dice", ""), tuple(rows), note)


def _split_table(cases: NnunetCases) -> Table:
    """Patients, cases and instances of each fold."""
    rows: list[tuple[int, ...]] = []
    for number, patients in enumerate(cases.folds):
        counts: list[int] = []
        for stage in STAGES:
            mine = [case for case in cases.stages[stage] if case.patient in patients]
            counts += [len(mine), sum(case.n_components for case in mine)]
        rows.append((number, len(patients), *counts))
    columns = ("fold", "patients", *(f"{what} of {stage}" for stage in STAGES for what in ("cases", "components")))
    note = "No patient is in two folds; the folds are those of both stages."
    return Table("split", "Split", columns, tuple(rows), note)


def _curves(run: NnunetRun, stages: Mapping[StageName, _Stage]) -> list[ChartFile]:
    """Training curves of the first fold of every configuration that is evaluated in full."""
    return [
        ChartFile(
            Path(run.place(stage).fold(name, 0)) / "curves.svg",
            f"Training of the {stage} with {name}, fold 0. The pseudo-Dice is that of patches of the validation cases; "
            "only the lowest panel shows whole images, once, at the end.",
        )
        for stage, found in stages.items()
        for name in _in_full(run, stage, found.scores)
    ]


def _definitions(run: NnunetRun, job: StudyJob, stages: Mapping[StageName, _Stage]) -> dict[str, str]:
    """How the figures came about."""
    recipe = run.recipe
    training = recipe.training
    agreement = "; ".join(
        f"{stage}: {min(found.agreement.values()):.3%} of the voxels" for stage, found in stages.items()
    )
    return {
        "data": data_in_words(job),
        "scale": job.scale,
        "training": f"nnU-Net v2, {training.n_epochs} epochs of {training.n_iterations} batches, {training.loss}; "
        f"{recipe.split.n_folds} folds",
        "planning": f"for {recipe.plans.gpu_memory_gb:g} GB, {recipe.plans.base_features} features at the finest stage",
        "prediction": "every case by the networks that did not see it",
        "packaged models": ", ".join(f"{recipe.name}-{stage} ({found.best})" for stage, found in stages.items()),
        "agreement of our engine with nnU-Net": agreement,
        "settings": "all settings are in recipe.json",
    }
