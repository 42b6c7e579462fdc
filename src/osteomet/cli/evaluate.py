"""`osteomet evaluate`: predictions against references, with every table and figure of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from osteomet.cli.console import Json, OutFolder, Overwrite, Verbose, emit, progress_bars

MatchingName = Literal["any_overlap", "liu2021", "kim2024", "iou_hungarian", "iou_greedy", "centroid_in_mask", "box"]
_TABLE_HELP = "Table of the cases, or of classified cases for wangh2024 and wangd2023."
_PROTOCOL_HELP = "Whose rules and tables to follow."
_READERS_HELP = "Marks of readers: a CSV table, or a folder of JSON files of viewers."
_AGAINST_HELP = "Second predictions of the same cases to compare with: a folder, or a table of classified cases."
_OBSERVERS_HELP = "Annotation rounds: a folder with one folder of label maps a round, named like A1.2, or a CSV table."
_MATCHING_HELP = "When a lesion is found, if not by the rule of the protocol."
_BETA_HELP = "How many times recall weighs as much as precision in F-beta; F1 and F2 are always given."
_TOLERANCE_HELP = "Distance in mm up to which a surface counts as well placed in NSD."


def evaluate(
    out: OutFolder,
    reference: Annotated[Path | None, typer.Option(help="Folder of reference label maps.")] = None,
    prediction: Annotated[Path | None, typer.Option(help="Folder of predicted label maps of the same names.")] = None,
    protocol: Annotated[
        Literal["default", "kim2024", "edelmers2024", "liu2021", "wangh2024", "wangd2023"],
        typer.Option(help=_PROTOCOL_HELP),
    ] = "default",
    table: Annotated[Path | None, typer.Option(help=_TABLE_HELP)] = None,
    against: Annotated[Path | None, typer.Option(help=_AGAINST_HELP)] = None,
    readers: Annotated[Path | None, typer.Option(help=_READERS_HELP)] = None,
    observers: Annotated[Path | None, typer.Option(help=_OBSERVERS_HELP)] = None,
    matching: Annotated[MatchingName | None, typer.Option(help=_MATCHING_HELP)] = None,
    beta: Annotated[float | None, typer.Option(help=_BETA_HELP)] = None,
    tolerance: Annotated[float, typer.Option(help=_TOLERANCE_HELP)] = 2.0,
    keep_going: Annotated[bool, typer.Option("--continue", help="Leave out cases that cannot be used.")] = False,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Compare predictions with references: metrics with intervals, tables, figures, report.html."""
    from osteomet.pipeline.evaluate import EvaluationJob, evaluate_folders

    job = EvaluationJob(
        reference,
        prediction,
        out,
        protocol,
        table,
        readers,
        continue_on_error=keep_going,
        overwrite=overwrite,
        against=against,
        observers=observers,
        matching=matching,
        beta=beta,
        tolerance_mm=tolerance,
    )
    with progress_bars() as update:
        document = evaluate_folders(job, progress=lambda done, total: update("cases", done, total))
    emit({"out": str(out), **document}, as_json=json, text=str(out / "report.html"))
