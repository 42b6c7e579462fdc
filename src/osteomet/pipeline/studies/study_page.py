"""The report of a whole study: tables beside the published ones, curves, and links to each evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import Table, write_csv
from osteomet.pipeline.evaluation_steps import software
from osteomet.report.evaluation_page import ChartFile, EvaluationPage, render_evaluation


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What the report of a study shows.

    ``published`` are tables of the paper with our figures beside, ``parts`` titles of what is evaluated in full, by the
    name of its folder in ``evaluation``.
    """

    title: str
    protocol: str
    notice: str
    metrics: Mapping[str, Metric]
    published: Sequence[Table]
    tables: Sequence[Table]
    charts: Sequence[ChartFile]
    parts: Mapping[str, str]
    definitions: Mapping[str, str]


def write_study(report: StudyReport, out: Path) -> None:
    """Write ``tables``, ``metrics.json`` and ``report.html`` into the folder of a study."""
    (out / "tables").mkdir(exist_ok=True)
    for table in (*report.published, *report.tables):
        write_csv(table, out / "tables")
    figures = {name: metric.as_json() for name, metric in report.metrics.items()}
    document = {"software": software(), "notice": report.notice, "metrics": figures}
    (out / "metrics.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = EvaluationPage(
        protocol=replace(PROTOCOLS[report.protocol], decisions=()),
        facts={"title": report.title},
        published=report.published,
        tables=report.tables,
        charts=report.charts,
        definitions=report.definitions,
        missing=(),
        left_out=(),
        checklist=None,
        software=software(),
        notice=report.notice,
        title="Study",
        links={f"evaluation/{folder}/report.html": title for folder, title in report.parts.items()},
    )
    (out / "report.html").write_text(render_evaluation(page), encoding="utf-8")
