"""`osteomet predict`: a segmentation model over a batch of cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import DeviceOption, Json, Verbose, cache_folder, emit, model_folder, progress_bars, say


def predict(
    model: Annotated[str, typer.Option(metavar="NAME|PATH", help="Imported model, or path of a package.")],
    source: Annotated[Path, typer.Option("--input", help="Folder of images, CASE_0000.nii.gz for the first channel.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the label maps; a stopped run goes on there.")],
    device: DeviceOption = "auto",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Segment a batch of cases with an imported model; a stopped run goes on where it ended."""
    from osteomet.io.model_package import find_package, read_package
    from osteomet.pipeline.predict import predict_folder

    package = read_package(find_package(model, imported=model_folder()))
    with progress_bars() as update:
        run = predict_folder(package, source, out, device=device, cache_dir=cache_folder(), progress=update)
    if verbose:
        say(run.engine)
    result = {"out": str(out), "predicted": run.predicted, "kept": run.kept, "engine": run.engine}
    text = f"{len(run.predicted)} cases segmented, {len(run.kept)} were there\n{out}"
    emit(result, as_json=json, text=text)
