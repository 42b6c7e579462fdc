"""`osteomet resample`: bring an image or label map onto another grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import Json, Verbose, emit
from osteomet.core.errors import UsageError


def resample(
    source: Annotated[Path, typer.Argument(help="Image or label map (NIfTI, NRRD, MHA).")],
    out: Annotated[Path, typer.Option("--out", help="File to write; its suffix chooses the format.")],
    like: Annotated[Path | None, typer.Option(help="Image whose grid to take.")] = None,
    spacing: Annotated[
        tuple[float, float, float] | None, typer.Option(help="New spacing in mm along the three array axes.")
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="The file is a label map: never mix labels.")] = False,
    modality: Annotated[str, typer.Option(help="CT or MR; CT has −1024 HU outside of the image, MR 0.")] = "CT",
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Resample to the grid of another image, or to a spacing."""
    if (like is None) == (spacing is None):
        raise UsageError("say where to resample to", expected="either --like IMAGE or --spacing I J K")
    if modality not in ("CT", "MR"):
        raise UsageError("the modality is not known", expected="CT or MR", got=modality)
    if out.exists():
        raise UsageError(f"{out} exists already", remedy="name a new file")
    from osteomet.pipeline.files import resample_file

    grid = resample_file(source, out, like=like, spacing_mm=spacing, is_labels=labels, modality=modality)
    emit({"out": str(out), "grid": grid.describe()}, as_json=json, text=f"{out}: {grid.describe()}")
