"""Table 2 of wangh2024: the network and region growing on the same cases, our figures beside the published ones.

Metrics come by name as ``METHOD/PART/METRIC``.
"""

from __future__ import annotations

from collections.abc import Sequence

from osteomet.evaluation.paper_tables import Cell, Ours, PaperTable
from osteomet.evaluation.protocols import PROTOCOLS

INTERNAL = "internal"
GROWING = "region growing"
_METRICS = ("lesion.accuracy", "lesion.iou", "lesion.dice")


def wangh2024_study_tables(variants: Sequence[str]) -> tuple[PaperTable, ...]:
    """Table 2 as the paper prints it, with a row of ours above each of its."""
    paper = next(table for table in PROTOCOLS["wangh2024"].tables if table.name == "wangh2024_table2")
    published = {str(row[0]): row for row in paper.rows}
    rows: list[tuple[Cell, ...]] = []
    for title, method in (("Improved U-Net method", variants[0]), ("Region growing algorithm", GROWING)):
        ours = (Ours(f"{method}/{INTERNAL}/{metric}", "percent interval") for metric in _METRICS)
        rows += [(f"{title}, ours", *ours), (f"{title}, published", *published[title][1:])]
    note = (
        "Means over the held-out cases with intervals from resampled patients, both methods on the same cases. Pixel "
        "accuracy counts the background and grows with the image. Region growing starts from an outline of the lesion; "
        "the network gets none, and what it calls elsewhere counts against it."
    )
    return (PaperTable("wangh2024_table2_study", paper.title, paper.columns, tuple(rows), note),)
