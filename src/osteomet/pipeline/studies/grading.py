"""A grading study on a data set: make the map of each exam, deal the patients, train the networks of each round."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osteomet.core.errors import DatasetError, FormatError, InputError
from osteomet.inference.engine import Device, choose_device
from osteomet.io.exam_cases import ExamCase, read_graded_exams
from osteomet.io.output import output_file
from osteomet.pipeline.exam_maps import map_of_exam
from osteomet.pipeline.studies.study_job import Tell, open_folder
from osteomet.pipeline.studies.training_reports import draw_curves, tell_training
from osteomet.training.grading import GradingRecipe
from osteomet.training.grading_part import GradedMap, fit_grader
from osteomet.training.processes import Team, join_team
from osteomet.training.split import graded_folds


@dataclass(frozen=True, slots=True, eq=False)
class GradingRun:
    """A study under way: everything lies in ``out``, and a stopped run goes on from there."""

    recipe: GradingRecipe
    cases: tuple[ExamCase, ...]
    out: Path
    device: str
    team: Team
    tell: Tell

    @property
    def prepared(self) -> Path:
        """Folder of the prepared maps."""
        return self.out / "prepared"

    def model_folder(self, name: str, fold: int) -> Path:
        """Folder of one training."""
        return self.out / "models" / name / f"fold_{fold}"


@dataclass(frozen=True, slots=True)
class PreparedExam:
    """An exam, and why it has no map; empty where it has one."""

    case: ExamCase
    left_out: str


@dataclass(frozen=True, slots=True)
class GradingData:
    """Prepared exams in order of their names, and the patients of each fold."""

    exams: tuple[PreparedExam, ...]
    folds: tuple[tuple[str, ...], ...]

    def held_out(self, fold: int) -> tuple[PreparedExam, ...]:
        """Exams of the patients of a fold."""
        return tuple(exam for exam in self.exams if exam.case.patient in self.folds[fold])

    def to_train(self, fold: int) -> tuple[PreparedExam, ...]:
        """Exams with a map of all other patients."""
        return tuple(exam for exam in self.exams if exam.case.patient not in self.folds[fold] and not exam.left_out)


def open_grading(
    recipe: GradingRecipe, data: Path, out: Path, *, device: Device, resume: bool, tell: Tell
) -> GradingRun:
    """Check what a study starts from, and make its folder.

    Raises
    ------
    UsageError
        If ``out`` holds something and ``resume`` is False, or was made with other settings.
    DatasetError
        If the data set cannot be used, or a case lacks something; the message names it.
    """
    cases = read_graded_exams(data, recipe.data.sequences, recipe.data.grades)
    team, chosen = join_team(choose_device(device))
    if team.is_first:
        open_folder(recipe, out, resume=resume)
        (out / "prepared").mkdir(exist_ok=True)
    return GradingRun(recipe, cases, out, chosen, team, tell)


def prepare_grading(run: GradingRun) -> GradingData:
    """Make the map of every exam and deal the patients; writes ``split.json``. One process works, the others wait.

    An exam whose spine cannot be straightened, because no canal is found or its images do not fit each other, is left
    out of the training; where it is to be graded, it counts as wrong.

    Raises
    ------
    FormatError
        If a file is damaged; the message names the case.
    DatasetError
        If a grade would have no exam to learn from.
    """
    exams: tuple[PreparedExam, ...] = ()
    if run.team.is_first:
        exams = _prepared(run)
    run.team.from_first([0.0])
    exams = exams or _prepared(run)
    data = GradingData(exams, _folds(run))
    _check_rounds(run, data)
    if run.team.is_first:
        text = json.dumps({"folds": data.folds, "rounds": run.recipe.split.rounds}, indent=1)
        (run.out / "split.json").write_text(text + "\n", encoding="utf-8")
    return data


def train_grader(run: GradingRun, data: GradingData, name: str, fold: int) -> Any:
    """Train the network of a name without one fold; returns it, at once where it is trained."""
    wanted, folder = run.recipe.networks[name], run.model_folder(name, fold)
    network = fit_grader(
        run.recipe,
        name,
        [map_file(run, exam) for exam in data.to_train(fold)],
        folder,
        fold=fold,
        device=run.device,
        report=tell_training(run.tell, f"{name}, fold {fold}", wanted.n_steps, score="F1 of batches"),
        team=run.team,
    )
    if run.team.is_first:
        draw_curves(folder)
    return network.to(run.device)


def map_file(run: GradingRun, exam: PreparedExam) -> GradedMap:
    """Where the map of an exam lies, and its grade."""
    case = exam.case
    return GradedMap(case.name, run.prepared / f"{case.name}.npy", run.recipe.data.grades.index(case.grade))


def _prepared(run: GradingRun) -> tuple[PreparedExam, ...]:
    """Make all maps, or read what is there."""
    exams = []
    for done, case in enumerate(run.cases, start=1):
        exams.append(PreparedExam(case, _prepare(run, case)))
        run.tell("prepare", done, len(run.cases), exams[-1].left_out)
    return tuple(exams)


def _prepare(run: GradingRun, case: ExamCase) -> str:
    """Write the map of an exam; returns why there is none, if so. What is there is not made again."""
    record = run.prepared / f"{case.name}.json"
    if record.exists():
        return str(json.loads(record.read_text(encoding="utf-8"))["left_out"])
    reason = ""
    notes: tuple[str, ...] = ()
    try:
        exam_map = map_of_exam(case, run.recipe.preprocessing)
        with output_file(run.prepared / f"{case.name}.npy") as partial:
            np.save(partial, exam_map.array)
        notes = exam_map.notes
    except FormatError:
        raise
    except InputError as error:
        reason = str(error)
    with output_file(record) as partial:
        text = json.dumps({"left_out": reason, "notes": notes}, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")
    return reason


def _folds(run: GradingRun) -> tuple[tuple[str, ...], ...]:
    """Deal the patients; one with several exams has the highest grade among them."""
    order = run.recipe.data.grades
    highest: dict[str, str] = {}
    for case in run.cases:
        highest[case.patient] = max(highest.get(case.patient, order[0]), case.grade, key=order.index)
    split = run.recipe.split
    return graded_folds(highest, n_folds=split.n_folds, rng=np.random.default_rng(split.seed))


def _check_rounds(run: GradingRun, data: GradingData) -> None:
    """Refuse a round without a grade to learn."""
    for fold in range(run.recipe.split.rounds):
        grades = {exam.case.grade for exam in data.to_train(fold)}
        lacking = [grade for grade in run.recipe.data.grades if grade not in grades]
        if lacking:
            raise DatasetError(
                f"without fold {fold} there is no exam of grade {' or '.join(lacking)} to learn from",
                expected=f"exams with a map of each of {', '.join(run.recipe.data.grades)}",
                got=", ".join(sorted(grades)) or "none",
                remedy="bring more patients; `prepared/CASE.json` says why an exam has no map",
            )
