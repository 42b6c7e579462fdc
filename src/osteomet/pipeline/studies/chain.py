"""A study in two steps on a data set: prepare its stacks, split its patients, train the chain of each sequence."""

from __future__ import annotations

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
from osteomet.training.chain import ChainRecipe, StepName
from osteomet.training.chain_part import ChainCase, find_bones, mask_file, prepare_chain_case, stack_of_chain
from osteomet.training.split import balanced_split, patient_loads
from osteomet.training.study_part import study_task


@dataclass(frozen=True, slots=True)
class ChainSplit:
    """Names of the patients of each part."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    external: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ChainData:
    """Prepared cases, and who is where."""

    cases: tuple[ChainCase, ...]
    split: ChainSplit

    def cases_of(self, patients: tuple[str, ...]) -> tuple[ChainCase, ...]:
        """Cases of some patients."""
        return tuple(case for case in self.cases if case.patient in patients)


def open_chain(
    recipe: ChainRecipe, data: Path, out: Path, *, device: Device, resume: bool, tell: Tell
) -> StudyRun[ChainRecipe]:
    """Check what a study starts from, and make its folder.

    Raises
    ------
    UsageError
        If ``out`` holds something and ``resume`` is False, or was made with other settings.
    DatasetError
        If the data set cannot be used or has none of the sequences of the study.
    """
    dataset = read_raw_dataset(data)
    if not set(recipe.data.sequences) & set(dataset.sequences):
        raise DatasetError(
            f"{data} has no sequence of the study",
            expected=f"channel_names with {' or '.join(recipe.data.sequences)}",
            got=", ".join(dataset.sequences),
        )
    return start_run(recipe, dataset, out, device=device, resume=resume, tell=tell)


def prepare_chain(run: StudyRun[ChainRecipe]) -> ChainData:
    """Prepare every case and split the patients; writes ``split.json``."""
    cases = prepare_cases(run, lambda case: prepare_chain_case(case, run.recipe, run.prepared))
    split = _split(run.recipe, cases)
    save_split(run, split)
    return ChainData(cases, split)


def sequences_of(run: StudyRun[ChainRecipe]) -> tuple[str, ...]:
    """Sequences of the study that the data set has."""
    return tuple(name for name in run.recipe.data.sequences if name in run.data.sequences)


def model_folder(run: StudyRun[ChainRecipe], step: StepName, sequence: str) -> Path:
    """Folder of one training."""
    return run.out / "models" / sequence / step


def train_chain(run: StudyRun[ChainRecipe], data: ChainData, sequence: str) -> dict[str, Any]:
    """Train both steps of a sequence; returns their networks by step, at once where they are trained."""
    bones = _train_step(run, data, "bones", sequence)
    mine = [case for case in data.cases if sequence in case.sequences]
    for done, case in enumerate(mine if run.team.is_first else (), start=1):
        path = mask_file(case, sequence, run.prepared)
        if not path.exists():
            stack = stack_of_chain(case, "bones", sequence, run.prepared, run.recipe)
            found = find_bones(bones, stack, run.recipe.prediction.largest_components, run.device)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, found > 0)
            partial.replace(path)
        run.tell(f"bones of {sequence}", done, len(mine), "")
    run.team.from_first([0.0])
    return {"bones": bones, "lesions": _train_step(run, data, "lesions", sequence)}


def _train_step(run: StudyRun[ChainRecipe], data: ChainData, step: StepName, sequence: str) -> Any:
    """Train one network on the training patients, watched by those to validate on."""
    train, validation = (
        tuple(
            stack_of_chain(case, step, sequence, run.prepared, run.recipe)
            for case in data.cases_of(patients)
            if sequence in case.sequences
        )
        for patients in (data.split.train, data.split.validation)
    )
    task = study_task(
        run.recipe,
        step,
        name=f"{step} on {sequence}",
        dimensions=3,
        classes=run.recipe.classes(step),
        train=train,
        validation=validation,
    )
    return train_network(run, run.recipe.networks[step], task, model_folder(run, step, sequence))


def _split(recipe: ChainRecipe, cases: tuple[ChainCase, ...]) -> ChainSplit:
    """Hold the external set out and split the others in three."""
    external, rules = patients_of(cases, recipe.data.external), recipe.split
    loads = patient_loads(case for case in cases if case.patient not in external)
    rng = np.random.default_rng(rules.seed)
    rest, test = balanced_split(loads, share=rules.test_share, n_candidates=rules.n_candidates, rng=rng)
    share = rules.validation_share / (1 - rules.test_share)
    others = [load for load in loads if load.patient in rest]
    train, validation = balanced_split(others, share=share, n_candidates=rules.n_candidates, rng=rng)
    return ChainSplit(train, validation, test, external)
