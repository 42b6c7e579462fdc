"""What all commands share: shared options, messages, progress, and where files that outlive a run are kept."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say more on standard error; show the traceback of an error.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output folder that osteomet wrote before.")]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option("--device", help="Where networks run; auto takes a CUDA device if any."),
]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder to make; it appears whole or not at all.")]


def say(text: str) -> None:
    """One line for people, on standard error."""
    print(text, file=sys.stderr, flush=True)


def emit(result: dict[str, Any], *, as_json: bool, text: str) -> None:
    """The result on standard output: JSON for programs or text for people."""
    print(json.dumps(result, indent=2) if as_json else text, flush=True)


@contextmanager
def progress_bars(*, lines: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Yield ``update(task, done, total)``: bars on a terminal; elsewhere nothing or, with ``lines``, a line a step."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console, start = Console(stderr=True), time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def update(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, total=total)
            if lines and not console.is_terminal:
                say(f"{task} {done}/{total} after {time.monotonic() - start:.0f} s")

        yield update


@contextmanager
def progress_or_lines() -> Iterator[Callable[[str, int, int, str], None]]:
    """Yield ``tell(task, done, total, remark)``: bars on a terminal, lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda task, done, total, remark: say(f"{task} {done}/{total}" + (f": {remark}" if remark else ""))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[remark]}"), console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(task: str, done: int, total: int, remark: str) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total, remark=remark)
            bars.update(tasks[task], completed=done, total=total, remark=remark)

        yield tell


def cache_folder() -> Path:
    """Where converted networks are kept: ``$XDG_CACHE_HOME/osteomet``, by default ``~/.cache/osteomet``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osteomet"


def model_folder() -> Path:
    """Where imported models are kept: ``$XDG_DATA_HOME/osteomet/models``, by default below ``~/.local/share``."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "osteomet" / "models"
