"""`osteomet insert`: metastases with known truth into a real scan without lesions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import Json, OutFolder, Overwrite, Verbose, emit, progress_bars
from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import SequenceRole


def insert(
    image: Annotated[Path, typer.Option(help="Scan without lesions: CT in HU, or MR (NIfTI, NRRD, MHA).")],
    bones: Annotated[Path, typer.Option(help="Label map of its bones, on the same grid, in any label convention.")],
    out: OutFolder,
    lesions: Annotated[int, typer.Option(metavar="N", help="Number of lesions.")],
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same bytes.")] = 0,
    sequence: Annotated[
        str | None, typer.Option(metavar="ROLE", help="What the image is, e.g. T1; needed for MR.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Put metastases with known truth into a real scan without lesions."""
    roles = {role.value.lower(): role for role in SequenceRole}
    if sequence is not None and sequence.lower() not in roles:
        raise UsageError(
            "the role of the image is not known",
            expected=", ".join(SequenceRole),
            got=sequence,
            remedy="pass one of these as --sequence, or leave it out for CT",
        )
    from osteomet.pipeline.insert import insert_lesions

    with progress_bars() as update:
        inserted = insert_lesions(
            image,
            bones,
            out,
            n_lesions=lesions,
            seed=seed,
            role=roles[sequence.lower()] if sequence else None,
            overwrite=overwrite,
            progress=lambda done, total: update("lesions", done, total),
        )
    rows = [{"lesion": x.number, "type": x.type.value, "site": x.site, "volume_ml": x.volume_ml} for x in inserted]
    lines = [f"{x.number}: {x.type.value} metastasis of {x.volume_ml:.2f} ml in {x.site}" for x in inserted]
    emit({"out": str(out), "lesions": rows}, as_json=json, text="\n".join([*lines, str(out)]))
