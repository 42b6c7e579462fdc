"""A segmentation study on a data set: prepare its stacks, split its patients, train its variants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osteomet.core.errors import DatasetError
from osteomet.inference.engine import Device
from osteomet.io.raw_dataset import read_raw_dataset
from osteomet.pipeline.studies.study_job import Tell
from osteomet.pipeline.studies.study_run import (
    StudyRun,
    patients_of,
    prepare_cases,
    save_split,
    start_run,
    train_network,
)
from osteomet.training.checkpoint import CHECKPOINT
from osteomet.training.prepare import Prepared, prepare_case, stack_of
from osteomet.training.split import balanced_folds, balanced_split, patient_loads
from osteomet.training.study import StudyRecipe, Variant
from osteomet.training.study_part import study_task


@dataclass(frozen=True, slots=True)
class StudySplit:
    """Names of the patients of each fold of the training set, of the internal test set, and of the external centre."""

    folds: tuple[tuple[str, ...], ...]
    test: tuple[str, ...]
    external: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StudyData:
    """Prepared cases, those left out among them, and who is where."""

    cases: tuple[Prepared, ...]
    split: StudySplit

    def cases_of(self, patients: Iterable[str], variant: Variant) -> tuple[Prepared, ...]:
        """Usable cases of some patients that have all that a variant sees."""
        wanted, inputs = set(patients), set(variant.inputs)
        return tuple(
            case
            for case in self.cases
            if case.patient in wanted and not case.left_out and inputs <= set(case.sequences)
        )


def open_study(
    recipe: StudyRecipe, data: Path, out: Path, *, device: Device, resume: bool, tell: Tell
) -> StudyRun[StudyRecipe]:
    """Check what a study starts from, and make its folder.

    Raises
    ------
    UsageError
        If ``out`` holds something and ``resume`` is False, or was made with other settings.
    DatasetError
        If the data set cannot be used or lacks a sequence of the study.
    """
    dataset = read_raw_dataset(data)
    lacking = [name for name in recipe.data.sequences if name not in dataset.sequences]
    if lacking and not recipe.data.dynamic:
        raise DatasetError(
            f"{data} lacks {', '.join(lacking)}",
            expected=f"channel_names with {', '.join(recipe.data.sequences)}",
            got=", ".join(dataset.sequences),
            remedy="name the channels so in dataset.json; for other sequences, copy the recipe and change it",
        )
    return start_run(recipe, dataset, out, device=device, resume=resume, tell=tell)


def prepare_study(run: StudyRun[StudyRecipe]) -> StudyData:
    """Prepare every case and split the patients; writes ``split.json``."""
    cases = prepare_cases(
        run, lambda case: prepare_case(case, run.recipe, run.prepared), lambda prepared: prepared.left_out
    )
    split = _split(run.recipe, [case for case in cases if not case.left_out])
    save_split(run, split)
    return StudyData(cases, split)


def train_study(run: StudyRun[StudyRecipe], data: StudyData, folds: Iterable[int]) -> None:
    """Train every variant on every one of these folds, and draw how it went."""
    for variant in run.recipe.all_variants:
        for fold in folds:
            train_variant(run, data, variant, fold)


def train_variant(run: StudyRun[StudyRecipe], data: StudyData, variant: Variant, fold: int) -> Any:
    """Train one variant, watched by the patients of one fold; returns the network, at once where it is trained."""
    others = [patient for n, patients in enumerate(data.split.folds) if n != fold for patient in patients]
    train, validation = (
        tuple(stack_of(case, run.prepared, variant.inputs) for case in data.cases_of(patients, variant))
        for patients in (others, data.split.folds[fold])
    )
    task = study_task(
        run.recipe,
        variant.network,
        name=f"{variant.name}, fold {fold}",
        dimensions=variant.dimensions,
        classes=run.recipe.data.classes,
        train=train,
        validation=validation,
        fold=fold,
    )
    return train_network(run, run.recipe.network(variant), task, model_folder(run, variant, fold))


def model_folder(run: StudyRun[StudyRecipe], variant: Variant, fold: int) -> Path:
    """Folder of one training."""
    return run.out / "models" / variant.folder / f"fold_{fold}"


def folds_of(run: StudyRun[StudyRecipe], variant: Variant) -> tuple[int, ...]:
    """Folds whose networks are averaged: the first, and every other one of which a training was begun."""
    begun = [n for n in range(run.recipe.split.n_folds) if (model_folder(run, variant, n) / CHECKPOINT).exists()]
    return tuple(sorted({0, *begun}))


def _split(recipe: StudyRecipe, cases: list[Prepared]) -> StudySplit:
    """Hold the external centre out, split the others, and deal the training set into folds."""
    external, rules = patients_of(cases, recipe.data.external), recipe.split
    loads = patient_loads(case for case in cases if case.patient not in external)
    rng = np.random.default_rng([rules.seed, 0])
    train, test = balanced_split(loads, share=rules.test_share, n_candidates=rules.n_candidates, rng=rng)
    of_train = [load for load in loads if load.patient in train]
    folds = balanced_folds(of_train, n_folds=rules.n_folds, rng=np.random.default_rng([rules.seed, 1]))
    return StudySplit(folds, test, external)
