"""`osteomet reproduce`: a whole study, from data to its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from osteomet.cli.console import DeviceOption, Json, Verbose, emit, progress_or_lines


def reproduce(
    recipe: Annotated[str, typer.Argument(help="Name of a study that ships with osteomet, or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for everything; a stopped run goes on in it.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="Data set in nnU-Net's raw layout with cases.csv; phantoms if none.")
    ] = None,
    scale: Annotated[
        Literal["smoke", "small", "full"],
        typer.Option("--scale", help="How much of it runs: minutes, an hour or so on two cores, or all of it."),
    ] = "full",
    device: DeviceOption = "auto",
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Run a whole study: split, prepare, train every model, predict, evaluate, and print its tables."""
    from osteomet.pipeline.studies.reproduce import reproduce_study
    from osteomet.pipeline.studies.study_job import StudyJob, read_any_study

    study = read_any_study(recipe)
    with progress_or_lines() as tell:
        metrics = reproduce_study(StudyJob(study, out, data, scale, device), tell=tell)
    found = {name: metric.as_json() for name, metric in metrics.items()}
    emit({"out": str(out), "metrics": found}, as_json=json, text=str(out / "report.html"))
