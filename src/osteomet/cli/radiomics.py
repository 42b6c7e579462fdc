"""`osteomet radiomics`: maps of dynamic series, features of lesions, and signatures made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import Json, OutFolder, Overwrite, Verbose, emit, progress_bars, progress_or_lines, say
from osteomet.core.errors import UsageError

app = typer.Typer(
    help="Maps of dynamic series, radiomic features of lesions, and signatures made of them.", no_args_is_help=True
)
_DATA_HELP = "Data set with imagesTr and instancesTr or labelsTr, instead of an image and a mask."


@app.command("map")
def map_(
    out: OutFolder,
    phase: Annotated[
        list[Path] | None, typer.Option(help="One phase of a series (NIfTI, NRRD, MHA); once for each, in order.")
    ] = None,
    times: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="When each phase was taken, e.g. 0,12,24,36.")
    ] = None,
    series: Annotated[
        Path | None, typer.Option(help="Dynamic DICOM series, a folder or zip, instead of files; it knows its times.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data set whose channels are phases, with phases.csv, instead of one series.")
    ] = None,
    arrival: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="When the contrast medium arrives; without it, found in each series."),
    ] = None,
    still: Annotated[bool, typer.Option("--still", help="Do not look for motion between the phases.")] = False,
    tofts: Annotated[
        Path | None, typer.Option(help="TOML file with T1 and protocol; fits the extended Tofts model too.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Maps of dynamic contrast series: wash-in, wash-out, peak, time to peak, area, and Ktrans, ve and vp."""
    from osteomet.pipeline.dynamic_maps import MapSettings, map_dataset, map_dicom, map_series, read_tofts

    settings = MapSettings(arrival, not still, None if tofts is None else read_tofts(tofts))
    if data is not None and not phase and times is None and series is None:
        with progress_or_lines() as tell:
            cases = map_dataset(data, out, settings, overwrite=overwrite, tell=tell)
        result = {"out": str(out), "maps": list(settings.names), "cases": list(cases)}
        emit(result, as_json=json, text=f"{out}: {len(settings.names)} maps of {len(cases)} cases")
    elif data is None and (series is not None) != bool(phase) and (series is not None or times is not None):
        taken = None if times is None else _numbers(times)
        if series is not None:
            found = map_dicom(series, taken, out, settings, overwrite=overwrite)
        else:
            found = map_series(phase or [], taken or [], out, settings, overwrite=overwrite)
        result = {"out": str(out), "maps": list(settings.names), **found.facts}
        text = f"{out}: {len(settings.names)} maps, contrast medium from {found.facts['arrival_s']:g} s on"
        emit(result, as_json=json, text=text)
    else:
        raise UsageError("say what to map", expected="--phase, once for each, with --times; or --series; or --data")


def _numbers(text: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError("--times holds something other than numbers", expected="0,12,24,36", got=text) from None


@app.command("extract")
def extract(
    out: Annotated[Path, typer.Option(help="Table to write (CSV); settings go into a JSON file beside it.")],
    image: Annotated[Path | None, typer.Option(help="Image (NIfTI, NRRD, MHA).")] = None,
    mask: Annotated[Path | None, typer.Option(help="Label map on the same grid; each label is a region.")] = None,
    label: Annotated[int | None, typer.Option(metavar="N", help="Only this label of the mask.")] = None,
    data: Annotated[Path | None, typer.Option(help=_DATA_HELP)] = None,
    channel: Annotated[int | None, typer.Option(metavar="N", help="Channel of the data set, from 0.")] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with settings; without it the defaults.")] = None,
    perturb: Annotated[
        int | None, typer.Option(metavar="N", help="Features of N slightly changed masks of each lesion instead.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the changes of the masks.")] = 0,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Compute the features of each lesion of an image or a data set, one row a lesion."""
    from osteomet.pipeline.radiomics import Perturbations, extract_from_dataset, extract_from_image
    from osteomet.radiomics.settings import RadiomicsSettings, read_settings

    changes = None if perturb is None else Perturbations(perturb, seed)
    chosen = RadiomicsSettings() if settings is None else read_settings(settings)

    with progress_bars() as update:
        if data is not None and image is None and mask is None and label is None:
            rows = extract_from_dataset(
                data,
                out,
                channel=channel,
                settings=chosen,
                progress=lambda n, of: update("cases", n, of),
                perturbations=changes,
            )
        elif image is not None and mask is not None and data is None and channel is None:
            rows = extract_from_image(
                image,
                mask,
                out,
                label=label,
                settings=chosen,
                progress=lambda n, of: update("lesions", n, of),
                perturbations=changes,
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


@app.command("fit")
def fit(
    features: Annotated[Path, typer.Option(help="Table of features (CSV), as extract writes it.")],
    labels: Annotated[Path, typer.Option(help="Table with the class of each case or lesion, such as cases.csv.")],
    out: OutFolder,
    settings: Annotated[Path | None, typer.Option(help="TOML file with the recipe; without it wangh2024.")] = None,
    perturbed: Annotated[
        Path | None, typer.Option(help="Features of changed masks, as extract --perturb writes them.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Fit a signature and judge it by nested folds of patients: signature.json, metrics, tables, figures."""
    from osteomet.pipeline.signature import fit_from_tables
    from osteomet.pipeline.signature_study import FitJob
    from osteomet.radiomics.signature_recipe import SignatureRecipe, read_signature_recipe

    recipe = SignatureRecipe() if settings is None else read_signature_recipe(settings)
    with progress_bars() as update:
        document = fit_from_tables(FitJob(features, labels, out, recipe, perturbed, overwrite), progress=update)
    area = document["metrics"]["cross_validation.auc"]
    n_kept = len(document["signature"]["features"])
    limits = "" if area["low"] is None else f" ({area['low']:.2f}–{area['high']:.2f})"
    text = f"{out}: {n_kept} feature{'' if n_kept == 1 else 's'}, AUC out of fold {area['value']:.2f}{limits}"
    emit({"out": str(out), **document}, as_json=json, text=text)


@app.command("predict")
def predict(
    model: Annotated[Path, typer.Option(help="Folder that fit made, or its signature.json.")],
    features: Annotated[Path, typer.Option(help="Table of features (CSV), as extract writes it.")],
    out: Annotated[Path, typer.Option(help="Table to write (CSV); a JSON file beside it says more.")],
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Rad-score and probability of each lesion, and which features drive them."""
    from osteomet.pipeline.signature_predict import predict_from_table

    document = predict_from_table(model, features, out)
    if not document["settings_checked"]:
        say("the settings of the extraction are not known on both sides and could not be compared")
    unscored = sum(one["rad_score"] is None for one in document["lesions"])
    text = f"{out}: {len(document['lesions'])} lesions" + (f", {unscored} without a prediction" if unscored else "")
    emit({"out": str(out), **document}, as_json=json, text=text)
