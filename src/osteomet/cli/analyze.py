"""`osteomet analyze`: a study in, findings out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import (
    DeviceOption,
    Json,
    OutFolder,
    Overwrite,
    Verbose,
    cache_folder,
    emit,
    model_folder,
    progress_bars,
    say,
)
from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import SequenceRole


def analyze(
    out: OutFolder,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="INPUT...", help="DICOM folders or zips, or a NIfTI, NRRD or MHA file."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name of a model, or path of a package; else the one for CT or MR.")
    ] = None,
    device: DeviceOption = "auto",
    sequence: Annotated[
        list[str] | None, typer.Option(metavar="ROLE=PATH", help="State what a series is for, e.g. CT=scan.nii.gz.")
    ] = None,
    classifier: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Package that says what kind each lesion is, or which grade the exam has; may be repeated.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Analyse a study: findings.json, lesion and bone maps, a table and a report."""
    sequences = _parse_sequences(sequence or [])
    if not inputs and not sequences:
        raise UsageError("there is nothing to analyse", remedy="name an input, or a series with --sequence ROLE=PATH")
    from osteomet.io.model_package import find_package
    from osteomet.pipeline.analyze import AnalyzeSettings, analyze_study

    models = model_folder()
    found = None if model is None else str(find_package(model, imported=models))
    with progress_bars() as update:
        result = analyze_study(
            inputs or [],
            out,
            AnalyzeSettings(found, device, cache_folder(), overwrite, models, tuple(classifier or ())),
            sequences=sequences,
            progress=update,
        )
    if verbose:
        for line in result.log:
            say(line)
    lines = (result.statement(), *result.classes(), *result.series_read(), str(out / "report.html"))
    emit(result.summary(), as_json=json, text="\n".join(lines))


def _parse_sequences(entries: list[str]) -> dict[SequenceRole, Path]:
    """Read ``ROLE=PATH`` entries."""
    roles = {role.value.lower(): role for role in SequenceRole}
    found: dict[SequenceRole, Path] = {}
    for entry in entries:
        name, _, path = entry.partition("=")
        if name.lower() not in roles or not path:
            expected = "ROLE=PATH with a role of " + ", ".join(role.value for role in SequenceRole)
            raise UsageError("a sequence is not stated as it should be", expected=expected, got=entry)
        if roles[name.lower()] in found:
            raise UsageError("a role is stated twice", got=entry, remedy="name one path for each role")
        found[roles[name.lower()]] = Path(path)
    return found
