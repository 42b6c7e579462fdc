"""`osteomet train`: fit the networks of a recipe and write a model package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import DeviceOption, Json, Verbose, cache_folder, emit, say


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe that ships with osteomet, or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints, logs and the package.")],
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            "--backgrounds", help="CTs without lesions to insert some into: NAME/image.nii.gz and bones.nii.gz."
        ),
    ] = None,
    device: DeviceOption = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints in --out.")] = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Train on phantoms made on the fly; a stopped training goes on with --resume."""
    from osteomet.pipeline.train import train_model
    from osteomet.training.recipe import read_recipe

    package = train_model(
        read_recipe(recipe),
        out,
        device=device,
        resume=resume,
        cache_dir=cache_folder(),
        report=say,
        backgrounds=backgrounds,
    )
    emit({"package": str(package)}, as_json=json, text=str(package))
