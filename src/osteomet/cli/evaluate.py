"""`osteomet evaluate`: predictions against references, with every table and figure of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from osteomet.cli.console import Json, OutFolder, Overwrite, Verbose, emit, progress_bars

_TABLE_HELP = "Table of the cases, or of classified cases for wangh2024 and wangd2023."
_PROTOCOL_HELP = "Whose rules and tables to follow."
_READERS_HELP = "Marks of readers: a CSV table, or a folder of JSON files of viewers."


def evaluate(
    out: OutFolder,
    reference: Annotated[Path | None, typer.Option(help="Folder of reference label maps.")] = None,
    prediction: Annotated[Path | None, typer.Option(help="Folder of predicted label maps of the same names.")] = None,
    protocol: Annotated[
        Literal["default", "kim2024", "edelmers2024", "liu2021", "wangh2024", "wangd2023"],
        typer.Option(help=_PROTOCOL_HELP),
    ] = "default",
    table: Annotated[Path | None, typer.Option(help=_TABLE_HELP)] = None,
    readers: Annotated[Path | None, typer.Option(help=_READERS_HELP)] = None,
    keep_going: Annotated[bool, typer.Option("--continue", help="Leave out cases that cannot be used.")] = False,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Compare predictions with references: metrics with intervals, tables, figures, report.html."""
    from osteomet.pipeline.evaluate import EvaluationJob, evaluate_folders

    job = EvaluationJob(reference, prediction, out, protocol, table, readers, keep_going, overwrite)
    with progress_bars() as update:
        document = evaluate_folders(job, progress=lambda done, total: update("cases", done, total))
    emit({"out": str(out), **document}, as_json=json, text=str(out / "report.html"))
