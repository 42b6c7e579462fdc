"""`osteomet model`: what models there are, what they say about themselves, and how they come in and go out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import Json, Verbose, emit, model_folder

app = typer.Typer(help="List, show, import and export model packages.", no_args_is_help=True)


@app.command("list")
def list_models(json: Json = False, verbose: Verbose = False) -> None:  # noqa: ARG001 - read by the error handler
    """List the models that ship with osteomet, and those that were imported."""
    from osteomet.io.model_package import find_package, package_names, read_package

    models = model_folder()
    names = package_names(models)
    descriptions = [read_package(find_package(name, imported=models)).description for name in names]
    rows = [
        {"name": name, "version": d.version, "modality": d.modality.value, "task": d.task}
        for name, d in zip(names, descriptions, strict=True)
    ]
    emit({"models": rows}, as_json=json, text="\n".join("  ".join(row.values()) for row in rows))


@app.command("show")
def show_model(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a package.")],
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Check a package against its hashes and print its model card."""
    from osteomet.io.model_package import find_package, read_package

    package = read_package(find_package(model, imported=model_folder()))
    emit(
        {"sha256": package.sha256, **asdict(package.description)},
        as_json=json,
        text=f"{package.card}\nSHA-256 {package.sha256}",
    )


@app.command("import")
def import_model(
    path: Annotated[Path, typer.Argument(help="Model package, or what nnU-Net v2 trained; folder or zip.")],
    name: Annotated[str | None, typer.Option(help="What to call the model, if not by its own name.")] = None,
    configuration: Annotated[
        str | None, typer.Option(help="Which configuration of nnU-Net to take, e.g. 3d_fullres.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Make a model available by its name; checkpoints of nnU-Net become safetensors."""
    from osteomet.pipeline.models import import_model as run

    package = run(path, model_folder(), name=name, configuration=configuration)
    described = package.description
    emit(
        {"name": described.name, "sha256": package.sha256, "folder": str(model_folder() / described.name)},
        as_json=json,
        text=f"{described.name}: {described.task}\n{described.limitations}\nSHA-256 {package.sha256}",
    )


@app.command("export")
def export_model(
    name: Annotated[str, typer.Argument(help="Name of a model, or path of a package.")],
    file: Annotated[Path, typer.Argument(help="Zip to write.")],
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Write a model package as one zip."""
    from osteomet.pipeline.models import export_model as run

    package = run(name, file, models=model_folder())
    emit({"out": str(file), "sha256": package.sha256}, as_json=json, text=f"{file}\nSHA-256 {package.sha256}")
