"""`osteomet radiomics`: features of lesions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import Json, Verbose, emit, progress_bars
from osteomet.core.errors import UsageError

app = typer.Typer(help="Radiomic features of lesions.", no_args_is_help=True)
_DATA_HELP = "Data set with imagesTr and instancesTr or labelsTr, instead of an image and a mask."


@app.command("extract")
def extract(
    out: Annotated[Path, typer.Option(help="Table to write (CSV); settings go into a JSON file beside it.")],
    image: Annotated[Path | None, typer.Option(help="Image (NIfTI, NRRD, MHA).")] = None,
    mask: Annotated[Path | None, typer.Option(help="Label map on the same grid; each label is a region.")] = None,
    label: Annotated[int | None, typer.Option(metavar="N", help="Only this label of the mask.")] = None,
    data: Annotated[Path | None, typer.Option(help=_DATA_HELP)] = None,
    channel: Annotated[int | None, typer.Option(metavar="N", help="Channel of the data set, from 0.")] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with settings; without it the defaults.")] = None,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Compute the features of each lesion of an image or a data set, one row a lesion."""
    from osteomet.pipeline.radiomics import extract_from_dataset, extract_from_image

    with progress_bars() as update:
        if data is not None and image is None and mask is None and label is None:
            rows = extract_from_dataset(
                data, out, channel=channel, settings=settings, progress=lambda n, of: update("cases", n, of)
            )
        elif image is not None and mask is not None and data is None and channel is None:
            rows = extract_from_image(
                image, mask, out, label=label, settings=settings, progress=lambda n, of: update("lesions", n, of)
            )
        else:
            raise UsageError(
                "say what to compute features of",
                expected="either --image and --mask (and --label), or --data (and --channel)",
            )
    result = {
        "out": str(out),
        "lesions": [
            {"case": r.case, "lesion": r.lesion, "label": r.label, "n_not_computed": len(r.features.not_computed)}
            for r in rows
        ],
        "n_features": len(rows[0].features.values),
    }
    emit(result, as_json=json, text=f"{out}: {len(rows)} × {result['n_features']} features")
