"""Tables of papers as data.

A table is written as the paper prints it. A cell is text, copied from the paper, or an `Ours`: the name of a metric
that is filled in from the evaluation, in the form that the paper uses. Published figures are text on purpose: they are
shown, never computed with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["interval", "count", "percent interval", "percent count", "percent", "mean sd", "median", "n", "value"]


@dataclass(frozen=True, slots=True)
class Ours:
    """A cell to fill with one of our metrics.

    Parameters
    ----------
    metric
        Name in ``metrics.json``.
    form
        ``interval``: 0.857 (0.805–0.909); ``count``: 0.857 (150/175); the same in per cent; ``mean sd``: 0.79 ± 0.05;
        ``median``: 12.25 (8.89–26.92), median and quartiles; ``n``: the count alone; ``percent`` and ``value``: the
        figure alone.
    """

    metric: str
    form: Form = "interval"


Cell = str | Ours


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table of a paper with cells of ours: ``note`` names what the reader must know to compare."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
