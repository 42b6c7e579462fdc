"""`osteomet classify`: networks that tell what kind of lesion it is, or which grade an exam has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from osteomet.cli.console import DeviceOption, Json, Verbose, emit, model_folder, progress_or_lines

app = typer.Typer(
    help="Networks that tell what kind of lesion it is, or which grade an exam has.", no_args_is_help=True
)
TaskOption = Annotated[
    Literal["lesion", "exam"], typer.Option("--task", help="What has a class: each lesion, or exam.")
]


@app.command("fit")
def fit(
    data: Annotated[Path, typer.Option(help="Data set in nnU-Net's raw layout; cases.csv holds the classes.")],
    task: TaskOption,
    out: Annotated[Path, typer.Option(help="Folder for everything; it grows.")],
    settings: Annotated[Path | None, typer.Option(help="TOML file with the recipe; without it the defaults.")] = None,
    device: DeviceOption = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints in --out.")] = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Fit networks to lesions or exams and judge them by folds of patients: package, metrics, figures."""
    fit_ = _fit_lesions if task == "lesion" else _fit_exams
    document, text = fit_(data, out, settings, device, resume=resume)
    emit({"out": str(out), **document}, as_json=json, text=text)


def _fit_lesions(
    data: Path, out: Path, settings: Path | None, device: DeviceOption, *, resume: bool
) -> tuple[dict[str, Any], str]:
    """Fit a bagged ensemble to lesions; returns the result and what to print."""
    from osteomet.pipeline.classify import ClassifyJob, fit_classifier
    from osteomet.training.classifier_recipe import ClassifierRecipe, read_classifier_recipe

    recipe = ClassifierRecipe() if settings is None else read_classifier_recipe(settings)
    with progress_or_lines() as tell:
        document = fit_classifier(ClassifyJob(data, out, recipe, device, resume), tell=tell)
    area = next(metric for name, metric in document["metrics"].items() if name.startswith("classification.auc."))
    limits = "" if area["low"] is None else f" ({area['low']:.2f}–{area['high']:.2f})"
    return document, f"{out}: AUC out of fold {area['value']:.2f}{limits}"


def _fit_exams(
    data: Path, out: Path, settings: Path | None, device: DeviceOption, *, resume: bool
) -> tuple[dict[str, Any], str]:
    """Fit graders to exams; returns the result and what to print."""
    from osteomet.pipeline.classify_exams import fit_exam_grader
    from osteomet.training.grading import read_grading

    recipe = read_grading("wangd2023" if settings is None else str(settings))
    with progress_or_lines() as tell:
        document = fit_exam_grader(recipe, data, out, device=device, resume=resume, tell=tell)
    right = {name: document["metrics"][f"{name}/classification.accuracy"] for name in document["packages"]}
    lines = [
        f"{out / 'models' / name / 'package'}: accuracy out of fold {one['value']:.2f}" for name, one in right.items()
    ]
    return document, "\n".join(lines)


@app.command("predict")
def predict(
    model: Annotated[str, typer.Option(metavar="NAME|PATH", help="Package that fit made, or name of an imported one.")],
    source: Annotated[
        Path, typer.Option("--input", help="Data set with the channels of the model, and lesions or bones.")
    ],
    out: Annotated[Path, typer.Option(help="Table to write (CSV).")],
    maps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to make, with what decided about each lesion or exam.")
    ] = None,
    device: DeviceOption = "auto",
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Probability of each class of each lesion, or of each grade of each exam."""
    from dataclasses import asdict

    from osteomet.io.model_package import find_package, read_package

    package = read_package(find_package(model, imported=model_folder()))
    kind = "lesions" if package.description.grader is None else "exams"
    with progress_or_lines() as tell:
        found: tuple[Any, ...]
        if kind == "exams":
            from osteomet.pipeline.classify_exams import grade_exams

            found = grade_exams(package, source, out, maps=maps, device=device, tell=tell)
        else:
            from osteomet.pipeline.classify_predict import classify_dataset

            found = classify_dataset(package, source, out, maps=maps, device=device, tell=tell)
    result = {"out": str(out), "model": package.description.name, kind: [asdict(one) for one in found]}
    emit(result, as_json=json, text=f"{out}: {len(found)} {kind}")
