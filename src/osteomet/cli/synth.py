"""`osteomet synth`: labelled phantom studies as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import Json, OutFolder, Overwrite, Verbose, emit, progress_bars


def synth(
    cohort: Annotated[str, typer.Argument(help="One of those above.")],
    out: OutFolder,
    cases: Annotated[
        int, typer.Option(help="Number of patients. With stacks or time points, a patient has several cases.")
    ],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write a DICOM study of each exam as well.")] = False,
    anatomy: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Your own bones: label maps in any convention, or meshes.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Make labelled phantom studies in nnU-Net's raw layout.

    \b
    Cohorts:
      ct-spine    CT of spine and pelvis: metastases of all types, mimics
      mr-spine    MRI of the whole spine in stacks: T1, CE, FO; four centres
      mr-pelvis   MRI of the pelvis: DWI, ADC, T1 in phase; age and PSA
      ce-dynamic  dynamic MRI: metastasis or primary bone tumour
      graded      MRI of the spine: no, mild or apparent metastasis
      follow-up   pairs of CTs whose metastases change, linked in a table
      readers     MRI of the spine with the marks of five readers
    """  # noqa: D301 - click reads the backspace: lines below it stay as they are
    from osteomet.pipeline.synth import write_cohort

    with progress_bars(lines=True) as update:
        written = write_cohort(
            cohort,
            out,
            n_cases=cases,
            seed=seed,
            dicom=dicom,
            anatomy=anatomy,
            overwrite=overwrite,
            progress=lambda done, total: update("cases", done, total),
        )
    emit({"out": str(out), "cohort": cohort, "seed": seed, **written}, as_json=json, text=str(out))
