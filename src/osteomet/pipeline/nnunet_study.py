"""A study that trains nnU-Net in two stages on a data set: prepare it, deal its patients, train, choose, package."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osteomet.core.errors import DatasetError, ModelError
from osteomet.core.volume import Modality
from osteomet.inference.engine import Device, choose_device, load_nnunet_engines
from osteomet.inference.nnunet.predict import segment_with_stages
from osteomet.io.formats import read_labels, read_volume
from osteomet.io.model_package import ModelPackage
from osteomet.io.raw_dataset import RawDataset, read_raw_dataset
from osteomet.pipeline.models import import_model
from osteomet.pipeline.study_job import Tell, open_folder
from osteomet.report.chart_style import save_chart
from osteomet.report.training_charts import training_chart
from osteomet.training.log import read_curves
from osteomet.training.nnunet.dataset import DATASETS, StageCase, check_classes, write_description, write_stage_case
from osteomet.training.nnunet.deal import cases_of_fold, deal_patients
from osteomet.training.nnunet.driver import check_installed, run_job
from osteomet.training.nnunet.jobs import Place, PlanJob, PredictJob, TrainJob
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
    device: str
    tell: Tell

    def place(self, stage: StageName) -> Place:
        """Where nnU-Net works on a stage."""
        prepared = (self.out / "prepared").absolute()
        folders = (prepared / "raw", prepared / "preprocessed", (self.out / "models").absolute())
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        return Place(*(str(folder) for folder in folders), DATASETS[stage], self.device)

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
        found = []
        for done, case in enumerate(cases, start=1):
            found.append(write_stage_case(case, run.recipe, stage, run.raw(stage)))
            run.tell(f"prepare {stage}", done, len(cases), "")
        stages[stage] = tuple(case for case in found if case is not None)
        check_classes(stages[stage], run.recipe, stage)
        write_description(run.recipe, stage, len(stages[stage]), run.raw(stage))
    classes = {stage: run.recipe.stage(stage).classes for stage in STAGES}
    folds = tuple(tuple(fold) for fold in deal_patients(stages, classes, run.recipe.split))
    (run.out / "split.json").write_text(json.dumps({"folds": folds}, indent=1) + "\n", encoding="utf-8")
    for stage in STAGES:
        _plan(run, stage, stages[stage], folds)
    return NnunetCases(stages, folds)


def train_nnunet(run: NnunetRun, folds: Iterable[int]) -> None:
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
            run_job(place, job, run.out, tell=_about(run, stage))
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


def package_best(run: NnunetRun, stage: StageName, configuration: ConfigurationName) -> ModelPackage:
    """Import a configuration, all folds together, as a model package in ``packages``, in place of an earlier one."""
    packages, name = run.out / "packages", f"{run.recipe.name}-{stage}"
    shutil.rmtree(packages / name, ignore_errors=True)
    trained = Path(run.place(stage).results) / DATASETS[stage]
    return import_model(trained, packages, name=name, configuration=configuration)


def compare_engines(
    run: NnunetRun, stage: StageName, configuration: ConfigurationName, package: ModelPackage
) -> dict[str, float]:
    """Share of voxels in which the packaged model gives nnU-Net's own labels, by case; writes ``agreement.csv``.

    Raises
    ------
    ModelError
        If it is less than the recipe asks for; the message names the case.
    """
    settings, end = run.recipe.prediction, run.recipe.data.file_ending
    images = sorted((run.raw(stage) / "imagesTr").glob(f"*{end}"))[: settings.n_compared]
    folder = run.out / "agreement" / stage / configuration
    folder.mkdir(parents=True, exist_ok=True)
    targets = {image: folder / image.name.replace(f"_0000{end}", end) for image in images}
    missing = [image for image in images if not targets[image].is_file()]
    if missing:
        job = PredictJob(
            configuration,
            tuple(range(run.recipe.split.n_folds)),
            tuple(str(image.absolute()) for image in missing),
            tuple(str(targets[image].absolute()) for image in missing),
        )
        run_job(run.place(stage), job, run.out, tell=_about(run, stage))
    part = package.description.nnunet
    assert part is not None
    engines = load_nnunet_engines(
        package, device="cuda" if run.device == "cuda" else "cpu", cache_dir=run.out / "prepared" / "converted"
    )
    found = {}
    for image, target in targets.items():
        ours = segment_with_stages(engines, part, [read_volume(image, modality=Modality.CT)])
        theirs = read_labels(target, run.recipe.stage(stage).labels)
        found[target.name] = float(np.mean(ours.array == theirs.array))
        if found[target.name] < settings.least_agreement:
            raise ModelError(
                f"the packaged model of the {stage} does not give nnU-Net's labels for {target.name}",
                expected=f"{settings.least_agreement:.2%} of the voxels alike",
                got=f"{found[target.name]:.3%}",
                remedy=f"compare {target} with `osteomet predict --model {run.out / 'packages'}`, and report it",
            )
    with (folder / "agreement.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "agreement"])
        writer.writerows((name, f"{share:.6f}") for name, share in found.items())
    return found


def _plan(run: NnunetRun, stage: StageName, cases: Iterable[StageCase], folds: tuple[tuple[str, ...], ...]) -> None:
    """Let nnU-Net plan and preprocess a stage, and tell it our folds."""
    plans, place, cases = run.recipe.plans, run.place(stage), list(cases)
    job = PlanJob(plans.configurations, plans.gpu_memory_gb, plans.base_features)
    if not is_planned(place, job):
        run_job(place, job, run.out, tell=_about(run, stage))
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


def _about(run: NnunetRun, stage: StageName) -> Tell:
    """Say with every progress which stage it is."""
    return lambda task, done, total, remark: run.tell(f"{stage}: {task}", done, total, remark)


def _draw(run: NnunetRun, folder: Path) -> None:
    """Draw how a training went, with the Dice of whole images that was found in the end."""
    n_steps = run.recipe.training.n_epochs * run.recipe.training.n_iterations
    curves = read_curves(folder) | {"validation dice": [(n_steps, real_dice(folder))]}
    save_chart(training_chart(curves), folder, "curves")
