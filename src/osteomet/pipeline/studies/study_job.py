"""What every reproduction of a study starts from: the job, its phantoms, its folder, and what its pages say first."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from osteomet.core.errors import UsageError
from osteomet.inference.engine import Device
from osteomet.io.output import refusals_named
from osteomet.pipeline.synth import write_cohort
from osteomet.training.chain import TWO_STEPS, read_chain
from osteomet.training.grading import GRADING, GradingRecipe, read_grading
from osteomet.training.lesion_study import LESION_CLASSES, read_lesion_study
from osteomet.training.nnunet.recipe import NNUNET, NnunetRecipe, read_nnunet
from osteomet.training.recipe import task_of
from osteomet.training.study import read_study
from osteomet.training.study_settings import AnyStudy, ScaleName

PHANTOM_SEED = 2024
SETTINGS, PHANTOMS = "recipe.json", "data"
"""File with all settings of a study, and folder of the phantoms made for it, in its folder."""
AnyRecipe = AnyStudy | NnunetRecipe | GradingRecipe
_READERS: Mapping[str, Callable[[str], AnyRecipe]] = {
    TWO_STEPS: read_chain,
    GRADING: read_grading,
    LESION_CLASSES: read_lesion_study,
    NNUNET: read_nnunet,
}
Tell = Callable[[str, int, int, str], None]
"""Called with a task, how much of it is done, how much there is, and a remark."""


@dataclass(frozen=True, slots=True)
class StudyJob:
    """What to reproduce; ``data`` None makes the phantom cohort of the study. A stopped job goes on where it stood."""

    recipe: AnyRecipe
    out: Path
    data: Path | None = None
    scale: ScaleName = "full"
    device: Device = "auto"


def read_any_study(name_or_path: str) -> AnyRecipe:
    """Read the recipe of a study of any kind, which its task tells; raises as the reader of that kind."""
    return _READERS.get(task_of(name_or_path), read_study)(name_or_path)


def open_folder(recipe: Any, out: Path, *, resume: bool) -> None:
    """Make the folder of a study, with its settings; refuse one that holds anything but it, or its phantoms.

    Parameters
    ----------
    recipe
        The settings, a dataclass.

    Raises
    ------
    UsageError
        If ``out`` holds a study and ``resume`` is False, or a study with other settings, or something else.
    """
    path, settings = out / SETTINGS, json.dumps(asdict(recipe), indent=1) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != settings:
        raise UsageError(f"{out} holds a study with other settings", got=str(path), remedy="name a new folder")
    if path.exists() and not resume:
        raise UsageError(f"{out} holds a study already", remedy="go on with --resume, or name a new folder")
    if not path.exists() and out.exists() and {item.name for item in out.iterdir()} - {PHANTOMS}:
        raise UsageError(f"{out} holds something else", remedy="name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(settings, encoding="utf-8")


def full_disk_named(out: Path) -> AbstractContextManager[None]:
    """Say what to do where the system refuses to write into the folder of a study."""
    return refusals_named(out, remedy="free space, then start it again: it goes on where it stood")


def data_of(job: StudyJob, tell: Tell) -> Path:
    """Data set of a job: the one that was given, or the phantoms of the study, made where they are not there yet."""
    folder = job.out / PHANTOMS
    if job.data is None and not folder.exists():
        scale = job.recipe.scales[job.scale]
        write_cohort(
            job.recipe.cohort,
            folder,
            n_cases=scale.patients,
            seed=PHANTOM_SEED,
            dicom=False,
            anatomy=None,
            overwrite=False,
            progress=lambda done, total: tell("phantom patients", done, total, ""),
            coarse=scale.phantom_coarse,
        )
    return job.data or folder


def notice_of(job: StudyJob) -> str:
    """What every page says first."""
    parts = []
    if job.data is None:
        parts.append(f"Simulated images: the phantom cohort {job.recipe.cohort}; no figure of ours is about patients.")
    if job.scale == "smoke":
        parts.append("Scale smoke: shows that everything runs; its figures mean nothing.")
    elif job.scale == "small":
        parts.append("Scale small: fewer patients and steps and smaller networks than the study had.")
    return " ".join(parts)


def data_in_words(job: StudyJob) -> str:
    """Which data a job used."""
    return job.data.name if job.data else f"phantom cohort {job.recipe.cohort}, seed {PHANTOM_SEED}"
