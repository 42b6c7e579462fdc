"""`osteomet convert`: change the file format, or the ids of a label map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import Json, Verbose, emit
from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import LabelConvention


def convert(
    source: Annotated[Path, typer.Argument(help="DICOM folder or zip with one usable series, or NIfTI, NRRD, MHA.")],
    out: Annotated[Path, typer.Option("--out", help="File to write; its suffix chooses the format.")],
    labels: Annotated[bool, typer.Option("--labels", help="The file is a label map.")] = False,
    ids_from: Annotated[LabelConvention | None, typer.Option(help="Whose ids the label map has now.")] = None,
    ids_to: Annotated[LabelConvention | None, typer.Option(help="Whose ids it shall have.")] = None,
    modality: Annotated[str, typer.Option(help="CT or MR, for an image file.")] = "CT",
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Convert between formats; label maps also between our ids and those of other tools."""
    if (ids_from or ids_to) and not labels:
        raise UsageError("ids belong to a label map", remedy="add --labels")
    if modality not in ("CT", "MR"):
        raise UsageError("the modality is not known", expected="CT or MR", got=modality)
    if out.exists():
        raise UsageError(f"{out} exists already", remedy="name a new file")
    from osteomet.pipeline.files import convert_image, convert_labels

    if labels:
        grid = convert_labels(source, out, old=ids_from, new=ids_to)
    else:
        grid = convert_image(source, out, modality=modality)
    emit({"out": str(out), "grid": grid.describe()}, as_json=json, text=f"{out}: {grid.describe()}")
