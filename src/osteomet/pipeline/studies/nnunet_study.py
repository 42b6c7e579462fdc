"""A study that trains nnU-Net in two stages on a data set: prepare it, deal its patients, train, choose."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osteomet.core.errors import DatasetError
from osteomet.inference.engine import Device, choose_device
from osteomet.io.raw_dataset import RawCase, RawDataset, read_raw_dataset
from osteomet.pipeline.studies.study_job import Tell, open_folder
from osteomet.report.chart_style import save_chart
from osteomet.report.training_charts import training_chart
from osteomet.training.log import read_curves
from osteomet.training.nnunet.dataset import DATASETS, StageCase, check_classes, write_description, write_stage_case
from osteomet.training.nnunet.deal import cases_of_fold, deal_patients
from osteomet.training.nnunet.driver import check_installed, run_job
from osteomet.training.nnunet.jobs import Place, PlanJob, TrainJob
from osteomet.training.nnunet.recipe import (
    CASCADE,
    CASCADE_NEEDS,
    STAGES,
    ConfigurationName,
    NnunetRecipe,
    StageName,
)
from osteomet.training.nnunet.steps import is_planned, planned
from osteomet.training.nnunet.trainer import SUMMARY, mean_dice, real_dice

SPLITS = "splits_final.json"


@dataclass(frozen=True, slots=True, eq=False)
class NnunetRun:
    """A study under way: everything lies in ``out``, and a stopped run goes on from there."""

    recipe: NnunetRecipe
    data: RawDataset
    out: Path
    device: Device
    tell: Tell

    def place(self, stage: StageName) -> Place:
        """Where nnU-Net works on a stage."""
        prepared = (self.out / "prepared").absolute()
        folders = (prepared / "raw", prepared / "preprocessed", (self.out / "models").absolute())
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        raw, preprocessed, results = (str(folder) for folder in folders)
        return Place(raw, preprocessed, results, DATASETS[stage], self.device)

    def about(self, stage: StageName) -> Tell:
        """Say with every progress which stage it is."""
        return lambda task, done, total, remark: self.tell(f"{stage}: {task}", done, total, remark)

    def raw(self, stage: StageName) -> Path:
        """Data set of a stage, in nnU-Net's raw layout."""
        return self.out / "prepared" / "raw" / DATASETS[stage]


@dataclass(frozen=True, slots=True, eq=False)
class NnunetCases:
    """Cases of each stage, and the patients of each fold."""

    stages: Mapping[StageName, tuple[StageCase, ...]]
    folds: tuple[tuple[str, ...], ...]


def open_nnunet(recipe: NnunetRecipe, data: Path, out: Path, *, device: Device, resume: bool, tell: Tell) -> NnunetRun:
    """Check what a study starts from, and make its folder.

    Raises
    ------
    UsageError
        If nnU-Net is not installed, ``out`` holds something and ``resume`` is False, or was made with other settings.
    DatasetError
        If the data set cannot be used or lacks the channel of the study.
    """
    check_installed()
    dataset = read_raw_dataset(data)
    if recipe.data.channel not in dataset.sequences:
        raise DatasetError(
            f"{data} lacks {recipe.data.channel}",
            expected=f"channel_names with {recipe.data.channel}",
            got=", ".join(dataset.sequences),
            remedy="name the channel so in dataset.json",
        )
    open_folder(recipe, out, resume=resume)
    (out / "prepared").mkdir(exist_ok=True)
    return NnunetRun(recipe, dataset, out, choose_device(device), tell)


def prepare_nnunet(run: NnunetRun) -> NnunetCases:
    """Write the data set of each stage, deal the patients into folds, and let nnU-Net plan; writes ``split.json``.

    Raises
    ------
    DatasetError
        If a class has no example, or no case belongs to a stage.
    InputError
        If a case cannot be used; the message names it.
    """
    cases = [case for case in run.data.cases if case.split != run.recipe.data.external]
    stages: dict[StageName, tuple[StageCase, ...]] = {}
    for stage in STAGES:
        stages[stage] = _written(run, stage, cases)
        check_classes(stages[stage], run.recipe, stage)
        write_description(run.recipe, stage, len(stages[stage]), run.raw(stage))
    classes = {stage: run.recipe.stage(stage).classes for stage in STAGES}
    folds = tuple(tuple(fold) for fold in deal_patients(stages, classes, run.recipe.split))
    (run.out / "split.json").write_text(json.dumps({"folds": folds}, indent=1) + "\n", encoding="utf-8")
    for stage in STAGES:
        _plan(run, stage, stages[stage], folds)
    return NnunetCases(stages, folds)


def train_nnunet(run: NnunetRun, folds: Sequence[int]) -> None:
    """Train every configuration of both stages on some folds; what is trained already is passed over."""
    settings = run.recipe.training
    for stage in STAGES:
        place, todo = run.place(stage), _trainings(run, stage, list(folds))
        open_ones = tuple(item for item in todo if not (place.fold(*item) / SUMMARY).is_file())
        if open_ones:
            job = TrainJob(
                open_ones,
                settings.n_epochs,
                settings.n_iterations,
                settings.n_validation_iterations,
                settings.checkpoint_every,
            )
            run_job(place, job, run.out, tell=run.about(stage))
        for configuration, fold in todo:
            _draw(run, place.fold(configuration, fold))


def score_configurations(run: NnunetRun, stage: StageName) -> dict[ConfigurationName, float]:
    """Dice of each configuration in cross-validation, all folds together, by nnU-Net's rule (`mean_dice`)."""
    place, n_folds = run.place(stage), run.recipe.split.n_folds
    found = {}
    for name in planned(place, run.recipe.plans.configurations):
        paths = [place.fold(name, fold) / SUMMARY for fold in range(n_folds)]
        found[name] = mean_dice([json.loads(path.read_text(encoding="utf-8")) for path in paths])
    return found


def best_of(scores: Mapping[ConfigurationName, float]) -> ConfigurationName:
    """Configuration with the highest Dice; of equal ones the first.

    Examples
    --------
    >>> best_of({"2d": math.nan, "3d_lowres": 0.5, "3d_fullres": 0.5})
    '3d_lowres'
    """
    return max(scores, key=lambda name: -math.inf if math.isnan(scores[name]) else scores[name])


def _written(run: NnunetRun, stage: StageName, cases: Sequence[RawCase]) -> tuple[StageCase, ...]:
    """Write the cases of a stage, or take what is there."""
    found = []
    for done, case in enumerate(cases, start=1):
        found.append(write_stage_case(case, run.recipe, stage, run.raw(stage)))
        run.tell(f"prepare {stage}", done, len(cases), "")
    return tuple(case for case in found if case is not None)


def _plan(run: NnunetRun, stage: StageName, cases: Iterable[StageCase], folds: tuple[tuple[str, ...], ...]) -> None:
    """Let nnU-Net plan and preprocess a stage, and tell it our folds."""
    plans, place, cases = run.recipe.plans, run.place(stage), list(cases)
    job = PlanJob(plans.configurations, plans.gpu_memory_gb, plans.base_features)
    if not is_planned(place, job):
        run_job(place, job, run.out, tell=run.about(stage))
    splits = [cases_of_fold(cases, folds, fold) for fold in range(len(folds))]
    (place.prepared / SPLITS).write_text(json.dumps(splits, indent=1) + "\n", encoding="utf-8")


def _trainings(run: NnunetRun, stage: StageName, folds: list[int]) -> list[tuple[ConfigurationName, int]]:
    """Trainings of a stage in an order that works: the cascade needs the results of its first stage for every case."""
    place, first = run.place(stage), CASCADE_NEEDS[0]
    names = planned(place, run.recipe.plans.configurations)
    todo = [(name, fold) for name in names if name != CASCADE for fold in folds]
    if CASCADE not in names:
        return todo
    awaited = [
        fold
        for fold in range(run.recipe.split.n_folds)
        if fold not in folds and not (place.fold(first, fold) / SUMMARY).is_file()
    ]
    if awaited:
        needed = ", ".join(str(fold) for fold in awaited)
        run.tell(f"{stage}: {CASCADE}", 0, len(folds), f"waits for {first} of fold {needed}; train these, then again")
        return todo
    return todo + [(CASCADE, fold) for fold in folds]


def _draw(run: NnunetRun, folder: Path) -> None:
    """Draw how a training went, with the Dice of whole images that was found in the end."""
    n_steps = run.recipe.training.n_epochs * run.recipe.training.n_iterations
    curves = read_curves(folder)
    found = {
        "loss": curves["loss"],
        "validation pseudo_dice": curves["pseudo_dice"],
        "validation dice": [(n_steps, real_dice(folder))],
    }
    save_chart(training_chart(found), folder, "curves")
