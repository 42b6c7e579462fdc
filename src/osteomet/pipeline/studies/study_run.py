"""A study under way on a data set: its folder, its prepared cases, and one training after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import Any, Generic, TypeVar

from osteomet.inference.engine import Device, choose_device
from osteomet.io.raw_dataset import RawCase, RawDataset
from osteomet.pipeline.studies.study_job import Tell, open_folder
from osteomet.pipeline.studies.training_reports import draw_curves, tell_training
from osteomet.training.processes import Team, join_team
from osteomet.training.stacks import StackTask, fit_stacks
from osteomet.training.study_settings import NetworkRecipe, Study

_R = TypeVar("_R", bound=Study)
_C = TypeVar("_C")


@dataclass(frozen=True, slots=True, eq=False)
class StudyRun(Generic[_R]):
    """A study under way: everything lies in ``out``, and a stopped run goes on from there."""

    recipe: _R
    data: RawDataset
    out: Path
    device: str
    team: Team
    tell: Tell

    @property
    def prepared(self) -> Path:
        """Folder of the prepared stacks."""
        return self.out / "prepared"


def start_run(recipe: _R, data: RawDataset, out: Path, *, device: Device, resume: bool, tell: Tell) -> StudyRun[_R]:
    """Join the other processes, if any, and make the folder of a study; raises as `open_folder`."""
    team, chosen = join_team(choose_device(device))
    if team.is_first:
        open_folder(recipe, out, resume=resume)
        (out / "prepared").mkdir(exist_ok=True)
    return StudyRun(recipe, data, out, chosen, team, tell)


def prepare_cases(
    run: StudyRun[Any], prepare: Callable[[RawCase], _C], remark: Callable[[_C], str] = lambda _: ""
) -> tuple[_C, ...]:
    """Prepare every case, or read what is there. One process works, the others wait for it."""

    def work() -> tuple[_C, ...]:
        cases = []
        for done, case in enumerate(run.data.cases, start=1):
            cases.append(prepare(case))
            run.tell("prepare", done, len(run.data.cases), remark(cases[-1]))
        return tuple(cases)

    cases = work() if run.team.is_first else ()
    run.team.from_first([0.0])
    return cases or work()


def train_network(run: StudyRun[Any], network: NetworkRecipe, task: StackTask, folder: Path) -> Any:
    """Train one network, and draw how it went; returns it, at once where it is trained."""
    report = tell_training(run.tell, task.name, network.n_steps)
    settings = run.recipe.training.settings(network)
    trained = fit_stacks(task, settings, folder, device=run.device, report=report, team=run.team)
    if run.team.is_first:
        draw_curves(folder)
    return trained


def save_split(run: StudyRun[Any], split: Any) -> None:
    """Write who is in which part."""
    if run.team.is_first:
        (run.out / "split.json").write_text(dumps(asdict(split), indent=1) + "\n", encoding="utf-8")


def patients_of(cases: Iterable[Any], part: str) -> tuple[str, ...]:
    """Patients of the cases that the data set puts into some part, sorted."""
    return tuple(sorted({case.patient for case in cases if case.split == part}))
