"""`osteomet synth`: labelled phantom studies as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import Json, OutFolder, Overwrite, Verbose, emit, progress_bars


def synth(
    cohort: Annotated[str, typer.Argument(help="Which cohort: ct-spine.")],
    out: OutFolder,
    cases: Annotated[int, typer.Option(help="Number of cases.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write a DICOM series of each case as well.")] = False,
    anatomy: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Your own bones: label maps in any convention, or meshes.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Make labelled phantom studies in nnU-Net's raw layout."""
    from osteomet.pipeline.synth import write_cohort

    with progress_bars() as update:
        write_cohort(
            cohort,
            out,
            n_cases=cases,
            seed=seed,
            dicom=dicom,
            anatomy=anatomy,
            overwrite=overwrite,
            progress=lambda done, total: update("cases", done, total),
        )
    emit({"out": str(out), "cohort": cohort, "cases": cases, "seed": seed}, as_json=json, text=str(out))
