"""A study in two steps on a data set: prepare its stacks, split its patients, train the chain of each sequence."""

from __future__ import annotations

import json
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
from osteomet.training.chain import ChainRecipe, StepName
from osteomet.training.chain_part import (
    ChainCase,
    find_bones,
    fit_step,
    mask_file,
    prepare_chain_case,
    stack_of_chain,
)
from osteomet.training.log import Progress, read_curves
from osteomet.training.processes import Team, join_team
from osteomet.training.split import PatientLoad, balanced_split


@dataclass(frozen=True, slots=True)
class ChainSplit:
    """Names of the patients of each part."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    external: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ChainRun:
    """A study under way: everything lies in ``out``, and a stopped run goes on from there."""

    recipe: ChainRecipe
    data: RawDataset
    out: Path
    device: str
    team: Team
    tell: Tell

    @property
    def prepared(self) -> Path:
        """Folder of the prepared stacks."""
        return self.out / "prepared"

    @property
    def sequences(self) -> tuple[str, ...]:
        """Sequences of the study that the data set has."""
        return tuple(name for name in self.recipe.data.sequences if name in self.data.sequences)

    def model_folder(self, step: StepName, sequence: str) -> Path:
        """Folder of one training."""
        return self.out / "models" / sequence / step


def open_chain(recipe: ChainRecipe, data: Path, out: Path, *, device: Device, resume: bool, tell: Tell) -> ChainRun:
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
    team, chosen = join_team(choose_device(device))
    if team.is_first:
        open_folder(recipe, out, resume=resume)
        (out / "prepared").mkdir(exist_ok=True)
    return ChainRun(recipe, dataset, out, chosen, team, tell)


def prepare_chain(run: ChainRun) -> tuple[tuple[ChainCase, ...], ChainSplit]:
    """Prepare every case and split the patients; writes ``split.json``. One process works, the others wait for it."""
    cases: tuple[ChainCase, ...] = ()
    if run.team.is_first:
        cases = _prepared(run)
    run.team.from_first([0.0])
    cases = cases or _prepared(run)
    return cases, _split(run, cases)


def train_chain(run: ChainRun, cases: tuple[ChainCase, ...], split: ChainSplit, sequence: str) -> dict[str, Any]:
    """Train both steps of a sequence; returns their networks by step, at once where they are trained."""
    bones = _train_step(run, cases, split, "bones", sequence)
    mine = [case for case in cases if sequence in case.sequences]
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
    return {"bones": bones, "lesions": _train_step(run, cases, split, "lesions", sequence)}


def _train_step(run: ChainRun, cases: tuple[ChainCase, ...], split: ChainSplit, step: StepName, sequence: str) -> Any:
    """Train one network, and draw how it went."""
    folder, n_steps = run.model_folder(step, sequence), run.recipe.step(step).n_steps

    def report(line: Progress) -> None:
        dice = "" if line.dice is None else f", Dice {line.dice:.3f}"
        remark = f"loss {line.loss:.4f}, patch Dice {line.pseudo_dice:.3f}{dice}"
        run.tell(f"{step} on {sequence}", line.step, n_steps, remark)

    train, validation = (
        [case for case in cases if case.patient in patients] for patients in (split.train, split.validation)
    )
    network = fit_step(
        run.recipe,
        step,
        sequence,
        (train, validation),
        folder,
        prepared=run.prepared,
        device=run.device,
        report=report,
        team=run.team,
    )
    if run.team.is_first:
        save_chart(training_chart(read_curves(folder)), folder, "curves")
    return network


def _prepared(run: ChainRun) -> tuple[ChainCase, ...]:
    """Prepare all cases, or read what is there."""
    cases = []
    for done, case in enumerate(run.data.cases, start=1):
        cases.append(prepare_chain_case(case, run.recipe, run.prepared))
        run.tell("prepare", done, len(run.data.cases), "")
    return tuple(cases)


def _split(run: ChainRun, cases: tuple[ChainCase, ...]) -> ChainSplit:
    """Hold the external set out and split the others in three."""
    recipe = run.recipe.split
    is_external = {case.patient: case.split == run.recipe.data.external for case in cases}
    loads = [
        PatientLoad(
            patient,
            sum(case.n_lesions for case in cases if case.patient == patient),
            sum(case.lesion_area_mm2 for case in cases if case.patient == patient),
        )
        for patient, held_out in is_external.items()
        if not held_out
    ]
    rng = np.random.default_rng(recipe.seed)
    rest, test = balanced_split(loads, share=recipe.test_share, n_candidates=recipe.n_candidates, rng=rng)
    share = recipe.validation_share / (1 - recipe.test_share)
    others = [load for load in loads if load.patient in rest]
    train, validation = balanced_split(others, share=share, n_candidates=recipe.n_candidates, rng=rng)
    split = ChainSplit(train, validation, test, tuple(sorted(p for p, held_out in is_external.items() if held_out)))
    if run.team.is_first:
        (run.out / "split.json").write_text(json.dumps(asdict(split), indent=1) + "\n", encoding="utf-8")
    return split
