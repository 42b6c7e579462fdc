"""Graders of exams by command: fitted to a data set of the user, and applied to new exams."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from osteomet import __version__
from osteomet.core.errors import FormatError, InputError, ModelError, UsageError
from osteomet.core.grader import GraderPart
from osteomet.inference.engine import Device, choose_device
from osteomet.inference.ensemble import build_ensemble
from osteomet.io.exam_cases import ExamCase, list_exams
from osteomet.io.model_package import ModelPackage, read_package
from osteomet.io.output import output_file, output_folder
from osteomet.nn.graders import grade_maps
from osteomet.pipeline.exam_maps import map_of_exam
from osteomet.pipeline.grade import draw_decision
from osteomet.pipeline.studies.grader_fit import fit_graders, package_folder
from osteomet.pipeline.studies.study_job import StudyJob, Tell
from osteomet.training.grading import GradingRecipe


@dataclass(frozen=True, slots=True)
class GradedExam:
    """Probability of each grade of an exam, and the likeliest; both None where it has no map, and ``note`` says why."""

    case: str
    probabilities: tuple[float, ...] | None
    prediction: str | None
    note: str


def fit_exam_grader(
    recipe: GradingRecipe, data: Path, out: Path, *, device: Device, resume: bool, tell: Tell
) -> dict[str, Any]:
    """Fit every network of a recipe to a data set, at full scale, and judge it by folds of patients.

    ``out`` grows: a stopped fit goes on there. It gets ``models/NETWORK/package``, ``predictions/NETWORK.csv`` out of
    fold, ``evaluation/NETWORK`` and ``metrics.json``.

    Returns
    -------
    dict
        Content of ``metrics.json``.

    Raises
    ------
    UsageError, DatasetError, FormatError
        As `osteomet.pipeline.studies.grader_fit.fit_graders`.
    """
    job = StudyJob(recipe, out, data, "full", device)
    command = "osteomet classify fit --data DATASET --task exam --out DIR"
    fitted = fit_graders(job, recipe, data, resume=resume, tell=tell, command=command)
    packages = {name: read_package(package_folder(fitted.run, name)) for name in fitted.networks}
    document = {
        "software": f"osteomet {__version__}",
        "packages": {name: {"name": one.description.name, "sha256": one.sha256} for name, one in packages.items()},
        "recipe": asdict(fitted.run.recipe),
        "left_out": {exam.case.name: exam.left_out for exam in fitted.data.exams if exam.left_out},
        "metrics": {name: metric.as_json() for name, metric in fitted.metrics.items()},
    }
    with output_file(out / "metrics.json") as partial:
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
    return document


def grade_exams(
    package: ModelPackage, source: Path, out: Path, *, maps: Path | None, device: Device, tell: Tell
) -> tuple[GradedExam, ...]:
    """Grade every exam of a folder or data set.

    Parameters
    ----------
    package
        A grader.
    source
        As `osteomet.io.exam_cases.list_exams` takes it.
    out
        Table to write: ``case``, a probability for each grade, ``prediction``, ``note``.
    maps
        Folder to make, with a picture of what each grade draws on, ``CASE.png`` and ``CASE.svg``; None for none.

    Raises
    ------
    UsageError
        If the table or the folder is there already.
    ModelError
        If the package is no grader.
    InputError
        If an exam lacks a file or a file is damaged; the message names the case.
    """
    part = package.description.grader
    if part is None:
        raise ModelError(
            f"model {package.description.name!r} does not grade exams",
            expected="a package that `osteomet classify fit --task exam` made",
        )
    if out.exists():
        raise UsageError(f"{out} exists already", remedy="name a new file")
    cases = list_exams(source, part.sequences)
    chosen = choose_device(device)
    ensemble = build_ensemble(package, part).to(chosen)
    with output_file(out) as target, nullcontext() if maps is None else output_folder(maps, overwrite=False) as folder:
        found = []
        for done, case in enumerate(cases, start=1):
            found.append(_grade(case, part, ensemble, folder, chosen))
            tell("exams", done, len(cases), case.name)
        _write(found, part.outputs, target)
    return tuple(found)


def _grade(case: ExamCase, part: GraderPart, ensemble: Any, folder: Path | None, device: str) -> GradedExam:
    """Grade an exam; one whose spine cannot be straightened has no grade."""
    try:
        exam = map_of_exam(case, part.steps)
    except FormatError:
        raise
    except InputError as error:
        return GradedExam(case.name, None, None, str(error))
    shares = grade_maps(ensemble, exam.array[None], device=device)[0]
    if folder is not None:
        draw_decision(case.name, exam, part, ensemble, folder, device=device)
    return GradedExam(case.name, tuple(shares.tolist()), part.outputs[int(shares.argmax())], "; ".join(exam.notes))


def _write(exams: Sequence[GradedExam], grades: Sequence[str], path: Path) -> None:
    """Write one row an exam."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("case", *(f"probability_{grade}" for grade in grades), "prediction", "note"))
        for one in exams:
            shares = [""] * len(grades) if one.probabilities is None else [f"{p:.6f}" for p in one.probabilities]
            writer.writerow((one.case, *shares, one.prediction or "", one.note))
