"""`osteomet classify`: networks that tell what kind of lesion it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from osteomet.cli.console import DeviceOption, Json, Verbose, emit, model_folder, progress_or_lines

app = typer.Typer(help="Networks that tell what kind of lesion it is.", no_args_is_help=True)
TaskOption = Annotated[Literal["lesion"], typer.Option("--task", help="What has a class: each lesion.")]


@app.command("fit")
def fit(
    data: Annotated[Path, typer.Option(help="Data set in nnU-Net's raw layout; cases.csv holds the classes.")],
    task: TaskOption,  # noqa: ARG001 - there is one so far
    out: Annotated[Path, typer.Option(help="Folder for everything; it grows.")],
    settings: Annotated[Path | None, typer.Option(help="TOML file with the recipe; without it the defaults.")] = None,
    device: DeviceOption = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints in --out.")] = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Fit a bagged ensemble of networks to lesions and judge it by folds of patients: package, metrics, figures."""
    from osteomet.pipeline.classify import ClassifyJob, fit_classifier
    from osteomet.training.classifier_recipe import ClassifierRecipe, read_classifier_recipe

    recipe = ClassifierRecipe() if settings is None else read_classifier_recipe(settings)
    with progress_or_lines() as tell:
        document = fit_classifier(ClassifyJob(data, out, recipe, device, resume), tell=tell)
    area = next(metric for name, metric in document["metrics"].items() if name.startswith("classification.auc."))
    limits = "" if area["low"] is None else f" ({area['low']:.2f}–{area['high']:.2f})"
    emit({"out": str(out), **document}, as_json=json, text=f"{out}: AUC out of fold {area['value']:.2f}{limits}")


@app.command("predict")
def predict(
    model: Annotated[str, typer.Option(metavar="NAME|PATH", help="Package that fit made, or name of an imported one.")],
    source: Annotated[Path, typer.Option("--input", help="Data set with the channels of the model and lesions.")],
    out: Annotated[Path, typer.Option(help="Table to write (CSV).")],
    maps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to make, with an occlusion map of each lesion.")
    ] = None,
    device: DeviceOption = "auto",
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Probability of each class of each lesion of a data set."""
    from dataclasses import asdict

    from osteomet.io.model_package import find_package, read_package
    from osteomet.pipeline.classify_predict import classify_dataset

    package = read_package(find_package(model, imported=model_folder()))
    with progress_or_lines() as tell:
        lesions = classify_dataset(package, source, out, maps=maps, device=device, tell=tell)
    result = {"out": str(out), "model": package.description.name, "lesions": [asdict(one) for one in lesions]}
    emit(result, as_json=json, text=f"{out}: {len(lesions)} lesions")
