"""The report of an evaluation as one HTML file that needs no network and no script."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from osteomet.core.findings import DISCLAIMER
from osteomet.evaluation.protocols import Protocol
from osteomet.evaluation.tables import UNDEFINED, Table
from osteomet.io.dataset import LeftOut

_LONGEST_TABLE = 200


@dataclass(frozen=True, slots=True)
class ChartFile:
    """A figure on disk, ``svg``, with the words that stand under it."""

    svg: Path
    caption: str

    @property
    def data_uri(self) -> str:
        """The figure as a data URI."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.read_bytes()).decode("ascii")


@dataclass(frozen=True, slots=True)
class EvaluationPage:
    """What the page shows.

    Parameters
    ----------
    protocol
        Which study is followed.
    facts
        What was evaluated, by name.
    published
        Tables of the paper with our figures beside.
    tables
        Tables of our figures; of one with more than 200 rows the page shows the first 200 and names the CSV file.
    charts
        Figures.
    definitions
        Every definition used, by name.
    missing
        Cases without prediction.
    left_out
        Cases that were not evaluated, and why.
    checklist
        CLAIM items; None for a page without.
    software
        Name and version of the program.
    notice
        What the reader must know before all else, such as that the images are simulated; empty for nothing.
    title
        What kind of page it is.
    links
        Other pages: text by address, relative to this one.
    """

    protocol: Protocol
    facts: Mapping[str, str]
    published: Sequence[Table]
    tables: Sequence[Table]
    charts: Sequence[ChartFile]
    definitions: Mapping[str, str]
    missing: Sequence[str]
    left_out: Sequence[LeftOut]
    checklist: Table | None
    software: str
    notice: str = ""
    title: str = "Evaluation"
    links: Mapping[str, str] = field(default_factory=dict)


def render_evaluation(page: EvaluationPage) -> str:
    """Render the report of an evaluation; whatever comes from a file is escaped."""
    environment = Environment(
        loader=PackageLoader("osteomet.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = format_cell
    template = environment.get_template("evaluation.html")
    return template.render(page=page, disclaimer=DISCLAIMER, longest=_LONGEST_TABLE)


def format_cell(value: str | int | float | bool | None) -> str:
    """Write a value for people: whole, or with four significant digits; yes and no; a dash for what is undefined.

    Examples
    --------
    >>> format_cell(0.857142857), format_cell(10490.0), format_cell(None), format_cell(True)
    ('0.8571', '10490', '–', 'yes')
    """
    if value is None or (isinstance(value, float) and value != value):
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
    return str(value)
