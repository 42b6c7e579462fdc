"""`osteomet model`: what models there are, what they say about themselves, and how they come in and go out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import DeviceOption, Json, Verbose, cache_folder, emit, model_folder, progress_bars

app = typer.Typer(help="List, show, import, export, calibrate and judge model packages.", no_args_is_help=True)
_CASES_HELP = "Number of phantoms; a folder that holds some goes on from there."


@app.command("list")
def list_models(json: Json = False, verbose: Verbose = False) -> None:  # noqa: ARG001 - read by the error handler
    """List the models that ship with osteomet, and those that were imported."""
    from osteomet.io.model_package import find_package, package_names, read_package

    models = model_folder()
    names = package_names(models)
    descriptions = [read_package(find_package(name, imported=models)).description for name in names]
    rows = [
        {"name": name, "version": d.version, "modality": d.modality.value, "task": d.task}
        for name, d in zip(names, descriptions, strict=True)
    ]
    emit({"models": rows}, as_json=json, text="\n".join("  ".join(row.values()) for row in rows))


@app.command("show")
def show_model(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a package.")],
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Check a package against its hashes and print its model card."""
    from osteomet.io.model_package import find_package, read_package

    package = read_package(find_package(model, imported=model_folder()))
    emit(
        {"sha256": package.sha256, **asdict(package.description)},
        as_json=json,
        text=f"{package.card}\nSHA-256 {package.sha256}",
    )


@app.command("import")
def import_model(
    path: Annotated[Path, typer.Argument(help="Model package, or what nnU-Net v2 trained; folder or zip.")],
    name: Annotated[str | None, typer.Option(help="What to call the model, if not by its own name.")] = None,
    configuration: Annotated[
        str | None, typer.Option(help="Which configuration of nnU-Net to take, e.g. 3d_fullres.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Make a model available by its name; checkpoints of nnU-Net become safetensors."""
    from osteomet.pipeline.models import import_model as run

    package = run(path, model_folder(), name=name, configuration=configuration)
    described = package.description
    emit(
        {"name": described.name, "sha256": package.sha256, "folder": str(model_folder() / described.name)},
        as_json=json,
        text=f"{described.name}: {described.task}\n{described.limitations}\nSHA-256 {package.sha256}",
    )


@app.command("export")
def export_model(
    name: Annotated[str, typer.Argument(help="Name of a model, or path of a package.")],
    file: Annotated[Path, typer.Argument(help="Zip to write.")],
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Write a model package as one zip."""
    from osteomet.pipeline.models import export_model as run

    package = run(name, file, models=model_folder())
    emit({"out": str(file), "sha256": package.sha256}, as_json=json, text=f"{file}\nSHA-256 {package.sha256}")


@app.command("calibrate")
def calibrate_model(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a package.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for cases and the calibrated package; it grows.")],
    cases: Annotated[int, typer.Option(metavar="N", min=1, help=_CASES_HELP)] = 40,
    device: DeviceOption = "auto",
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Fit probabilities of lesions and exams on phantoms, and write the model with them; a stopped run goes on."""
    from osteomet.io.model_package import find_package, read_package
    from osteomet.pipeline.judging.calibrate import CALIBRATION_SEED
    from osteomet.pipeline.judging.calibrate import calibrate_model as run
    from osteomet.pipeline.judging.model_cohort import CohortJob

    package = read_package(find_package(model, imported=model_folder()))
    with progress_bars(lines=True) as update:
        folder = run(package, out, CohortJob(cases, CALIBRATION_SEED, device, cache_folder()), progress=update)
    emit({"package": str(folder)}, as_json=json, text=str(folder))


@app.command("validate")
def validate_model(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a package.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for figures and the package with its card; it grows.")],
    cases: Annotated[int, typer.Option(metavar="N", min=0, help=_CASES_HELP)] = 40,
    real: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Manifest of real scans of which something is known.")
    ] = None,
    device: DeviceOption = "auto",
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Judge a model on phantoms and on real scans, and write the tables of its card; a stopped run goes on."""
    from osteomet.io.model_package import find_package, read_package
    from osteomet.io.real_manifest import read_manifest
    from osteomet.pipeline.judging.model_cohort import CohortJob
    from osteomet.pipeline.judging.validate import VALIDATION_SEED, ValidationJob
    from osteomet.pipeline.judging.validate import validate_model as run

    package = read_package(find_package(model, imported=model_folder()))
    scans = () if real is None else read_manifest(real)
    with progress_bars(lines=True) as update:
        cohort = CohortJob(cases, VALIDATION_SEED, device, cache_folder())
        result = run(package, out, ValidationJob(cohort, scans), progress=update)
    figures = {name: metric.as_json() for name, metric in result.metrics.items()}
    emit({"package": str(result.package), "metrics": figures}, as_json=json, text=f"{result.text}\n\n{result.package}")
