"""`osteomet model`: what models there are and what they say about themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from osteomet.cli.console import Json, Verbose, emit

app = typer.Typer(help="List and show model packages.", no_args_is_help=True)


@app.command("list")
def list_models(json: Json = False, verbose: Verbose = False) -> None:  # noqa: ARG001 - read by the error handler
    """List the models that ship with osteomet."""
    from osteomet.io.model_package import find_package, read_package, shipped_names

    descriptions = [read_package(find_package(name)).description for name in shipped_names()]
    rows = [{"name": d.name, "version": d.version, "modality": d.modality.value, "task": d.task} for d in descriptions]
    emit({"models": rows}, as_json=json, text="\n".join("  ".join(row.values()) for row in rows))


@app.command("show")
def show_model(
    model: Annotated[str, typer.Argument(help="Name of an embedded model, or path of a package.")],
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Check a package against its hashes and print its model card."""
    from osteomet.io.model_package import find_package, read_package

    package = read_package(find_package(model))
    emit(
        {"sha256": package.sha256, **asdict(package.description)},
        as_json=json,
        text=f"{package.card}\nSHA-256 {package.sha256}",
    )
