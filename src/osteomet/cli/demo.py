"""`osteomet demo`: a labelled phantom study, analysed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import DeviceOption, Json, Overwrite, Verbose, cache_folder, emit, progress_bars, say


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to make; it appears whole or not at all.")] = Path("demo"),
    device: DeviceOption = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make a phantom CT with known metastases, analyse it, and compare; prints the path of the report."""
    from osteomet.pipeline.demo import run_demo

    with progress_bars() as update:
        result = run_demo(out, device=device, cache_dir=cache_folder(), overwrite=overwrite, progress=update)
    if verbose:
        for line in result.analysis.log:
            say(line)
    emit(result.summary(), as_json=json, text=result.text())
