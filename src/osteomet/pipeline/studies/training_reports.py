"""How the training of a network of a study is told while it runs, and drawn afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from osteomet.pipeline.studies.study_job import Tell
from osteomet.report.chart_style import save_chart
from osteomet.report.training_charts import training_chart
from osteomet.training.log import Progress, read_curves


def tell_training(tell: Tell, title: str, n_steps: int, *, score: str = "patch Dice") -> Callable[[Progress], None]:
    """What passes each line of a training on; ``score`` says what its pseudo-Dice is."""

    def report(line: Progress) -> None:
        dice = "" if line.dice is None else f", Dice {line.dice:.3f}"
        tell(title, line.step, n_steps, f"loss {line.loss:.4f}, {score} {line.pseudo_dice:.3f}{dice}")

    return report


def draw_curves(folder: Path) -> None:
    """Draw how a training went, ``curves.svg`` and ``curves.png`` in its folder."""
    save_chart(training_chart(read_curves(folder)), folder, "curves")
