"""`osteomet predict`: a model over a batch of cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import DeviceOption, Json, Verbose, cache_folder, emit, model_folder, progress_bars, say


def predict(
    model: Annotated[str, typer.Option(metavar="NAME|PATH", help="Imported model, or path of a package.")],
    source: Annotated[Path, typer.Option("--input", help="Folder of images, CASE_0000.nii.gz for the first channel.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for label maps or grades; a stopped run goes on there.")],
    device: DeviceOption = "auto",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Segment or grade a batch of cases with a model; a stopped run goes on where it ended."""
    from osteomet.io.model_package import find_package, read_package
    from osteomet.pipeline.predict import predict_folder

    package = read_package(find_package(model, imported=model_folder()))
    grades = package.description.grader is not None
    with progress_bars() as update:
        if grades:
            from osteomet.pipeline.grade import grade_folder

            run = grade_folder(package, source, out, device=device, progress=update)
        else:
            run = predict_folder(package, source, out, device=device, cache_dir=cache_folder(), progress=update)
    if verbose:
        say(run.engine)
    result = {"out": str(out), "predicted": run.predicted, "kept": run.kept, "engine": run.engine}
    text = f"{len(run.predicted)} cases {'graded' if grades else 'segmented'}, {len(run.kept)} were there\n{out}"
    emit(result, as_json=json, text=text)
