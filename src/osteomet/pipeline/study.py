"""A segmentation study on a data set: prepare its stacks, split its patients, train its variants."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osteomet.core.errors import DatasetError
from osteomet.inference.engine import Device, choose_device
from osteomet.io.raw_dataset import RawDataset, read_raw_dataset
from osteomet.pipeline.study_job import Tell, open_folder
from osteomet.report.chart_style import save_chart
from osteomet.report.training_charts import training_chart
from osteomet.training.log import Progress, read_curves
from osteomet.training.prepare import Prepared, patient_loads, prepare_case
from osteomet.training.processes import Team, join_team
from osteomet.training.split import balanced_folds, balanced_split
from osteomet.training.study import StudyRecipe, Variant
from osteomet.training.study_part import fit_variant


@dataclass(frozen=True, slots=True)
class StudySplit:
    """Names of the patients of each fold of the training set, of the internal test set, and of the external centre."""

    folds: tuple[tuple[str, ...], ...]
    test: tuple[str, ...]
    external: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StudyRun:
    """A study under way: everything lies in ``out``, and a stopped run goes on from there."""

    recipe: StudyRecipe
    data: RawDataset
    out: Path
    device: str
    team: Team
    tell: Tell

    @property
    def prepared(self) -> Path:
        """Folder of the prepared stacks."""
        return self.out / "prepared"

    def model_folder(self, variant: Variant, fold: int) -> Path:
        """Folder of one training."""
        return self.out / "models" / variant.folder / f"fold_{fold}"


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


def open_run(recipe: StudyRecipe, data: Path, out: Path, *, device: Device, resume: bool, tell: Tell) -> StudyRun:
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
    if lacking:
        raise DatasetError(
            f"{data} lacks {', '.join(lacking)}",
            expected=f"channel_names with {', '.join(recipe.data.sequences)}",
            got=", ".join(dataset.sequences),
            remedy="name the channels so in dataset.json; for other sequences, copy the recipe and change it",
        )
    team, chosen = join_team(choose_device(device))
    if team.is_first:
        open_folder(recipe, out, resume=resume)
        (out / "prepared").mkdir(exist_ok=True)
    return StudyRun(recipe, dataset, out, chosen, team, tell)


def prepare_study(run: StudyRun) -> StudyData:
    """Prepare every case and split the patients; writes ``split.json``. One process works, the others wait for it."""
    cases: tuple[Prepared, ...] = ()
    if run.team.is_first:
        cases = _prepared(run)
    run.team.from_first([0.0])
    cases = cases or _prepared(run)
    return StudyData(cases, _split(run, cases))


def train_study(run: StudyRun, data: StudyData, folds: Iterable[int]) -> None:
    """Train every variant on every one of these folds, and draw how it went."""
    for variant in run.recipe.all_variants:
        for fold in folds:
            train_variant(run, data, variant, fold)


def train_variant(run: StudyRun, data: StudyData, variant: Variant, fold: int) -> Any:
    """Train one variant, watched by the patients of one fold; returns the network, at once where it is trained."""
    others = [patient for n, patients in enumerate(data.split.folds) if n != fold for patient in patients]
    n_steps = run.recipe.training.settings(variant.dimensions).n_steps

    def report(line: Progress) -> None:
        dice = "" if line.dice is None else f", Dice {line.dice:.3f}"
        remark = f"loss {line.loss:.4f}, patch Dice {line.pseudo_dice:.3f}{dice}"
        run.tell(f"{variant.name}, fold {fold}", line.step, n_steps, remark)

    folder = run.model_folder(variant, fold)
    network = fit_variant(
        run.recipe,
        variant,
        data.cases_of(others, variant),
        data.cases_of(data.split.folds[fold], variant),
        folder,
        prepared=run.prepared,
        fold=fold,
        device=run.device,
        report=report,
        team=run.team,
    )
    if run.team.is_first:
        save_chart(training_chart(read_curves(folder)), folder, "curves")
    return network


def _prepared(run: StudyRun) -> tuple[Prepared, ...]:
    """Prepare all cases, or read what is there."""
    cases = []
    for done, case in enumerate(run.data.cases, start=1):
        cases.append(prepare_case(case, run.recipe, run.prepared))
        run.tell("prepare", done, len(run.data.cases), cases[-1].left_out)
    return tuple(cases)


def _split(run: StudyRun, cases: tuple[Prepared, ...]) -> StudySplit:
    """Hold the external centre out, split the others, and deal the training set into folds."""
    recipe = run.recipe
    usable = [case for case in cases if not case.left_out]
    external = tuple(sorted({case.patient for case in usable if case.split == recipe.data.external}))
    loads = patient_loads([case for case in usable if case.split != recipe.data.external])
    rng = np.random.default_rng([recipe.split.seed, 0])
    train, test = balanced_split(loads, share=recipe.split.test_share, n_candidates=recipe.split.n_candidates, rng=rng)
    of_train = [load for load in loads if load.patient in train]
    folds = balanced_folds(of_train, n_folds=recipe.split.n_folds, rng=np.random.default_rng([recipe.split.seed, 1]))
    split = StudySplit(folds, test, external)
    if run.team.is_first:
        (run.out / "split.json").write_text(json.dumps(asdict(split), indent=1) + "\n", encoding="utf-8")
    return split
