"""Table 3 of wangh2024 with both methods: our figures beside the published ones, by ``METHOD/METRIC``."""

from __future__ import annotations

from osteomet.evaluation.paper_tables import Cell, Ours, PaperTable
from osteomet.evaluation.protocols import PROTOCOLS

NETWORKS, RADIOMICS = "Inception-ResNet", "radiomics"
"""The two methods."""
_TITLES = {"Inception-ResNet": NETWORKS, "Radiomics model": RADIOMICS}


def wangh2024_classes_table() -> PaperTable:
    """Table 3: a row of ours above each row of the paper."""
    (paper,) = (table for table in PROTOCOLS["wangh2024"].tables if table.name == "wangh2024_table3")
    (_, *ours), *published = paper.rows
    rows: list[tuple[Cell, ...]] = []
    for title, *figures in published:
        method = _TITLES[str(title)]
        cells = (Ours(f"{method}/{cell.metric}", cell.form) for cell in ours if isinstance(cell, Ours))
        rows += [(f"{title}, ours", *cells), (f"{title}, published", *figures)]
    return PaperTable("wangh2024_table3_study", paper.title, paper.columns, tuple(rows), paper.note)
