"""What a training writes down as it goes: two tables and TensorBoard events."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path

from osteomet.training.events import EventFile

LOG, VALIDATION_LOG = "log.csv", "validation.csv"


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of the log.

    ``pseudo_dice`` is the mean over foreground classes on training patches: a sanity curve; of a classifier it is the
    F1 score of its batches. ``dice`` is that of the last evaluation on whole images of the validation patients, None
    before there is one.
    """

    step: int
    loss: float
    pseudo_dice: float
    learning_rate: float
    seconds: float
    dice: float | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """Loss, and Dice of the foreground pooled over the voxels of whole images of the validation patients."""

    loss: float
    dice: float


class TrainingLog:
    """``log.csv``, ``validation.csv`` and an event file in a folder, from a step on.

    Lines of a stopped run that lie beyond its checkpoint are dropped: they will be written again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        for name in (LOG, VALIDATION_LOG):
            _cut(folder / name, step)
        now = time.time()
        self._events = EventFile(folder / f"events.out.tfevents.{now:.3f}.osteomet", time_s=now, first_step=step)

    def write_progress(self, line: Progress) -> None:
        """Append a line of training."""
        cells = {
            "step": str(line.step),
            "loss": f"{line.loss:.5f}",
            "pseudo_dice": f"{line.pseudo_dice:.4f}",
            "learning_rate": f"{line.learning_rate:.6f}",
            "seconds": f"{line.seconds:.1f}",
        }
        _append(self._folder / LOG, cells)
        scalars = {"train/loss": line.loss, "train/pseudo_dice": line.pseudo_dice, "learning_rate": line.learning_rate}
        self._events.write(scalars, step=line.step, time_s=time.time())

    def write_validation(self, step: int, found: Validation) -> None:
        """Append an evaluation on whole images."""
        cells = {"step": str(step), "loss": f"{found.loss:.5f}", "dice": f"{found.dice:.5f}"}
        _append(self._folder / VALIDATION_LOG, cells)
        scalars = {"validation/loss": found.loss, "validation/dice": found.dice}
        self._events.write(scalars, step=step, time_s=time.time())


def read_curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Curves of a training by name: ``loss``, ``pseudo_dice``, ``validation loss``, ``validation dice``."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for name, columns, prefix in (
        (LOG, ("loss", "pseudo_dice"), ""),
        (VALIDATION_LOG, ("loss", "dice"), "validation "),
    ):
        path = folder / name
        if path.exists():
            with path.open(encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            for column in columns:
                curves[prefix + column] = [(int(row["step"]), float(row[column])) for row in rows]
    return curves


def _cut(path: Path, step: int) -> None:
    """Drop the lines beyond a step."""
    if path.exists():
        header, *lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if int(line.partition(b",")[0]) <= step]
        path.write_bytes(b"".join([header, *kept]))


def _append(path: Path, cells: dict[str, str]) -> None:
    """Append one line, with a header in a new file."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(cells))
        if is_new:
            writer.writeheader()
        writer.writerow(cells)
