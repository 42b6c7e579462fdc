"""Tables of edelmers2024 for every configuration that is reported: our figures beside the published ones.

Metrics come by name as ``STAGE/CONFIGURATION/METRIC``, such as ``vertebrae/3d_fullres/lesion.dice.L5``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.evaluation.tables import Table, fill_paper_table

_TABLE_OF = {"vertebrae": "edelmers2024_table2", "metastases": "edelmers2024_table3"}


def edelmers2024_tables(stage: str, configurations: Sequence[str], metrics: Mapping[str, Metric]) -> list[Table]:
    """Table 2 (vertebrae) or 3 (metastases), once for each configuration with our figures of it."""
    (paper,) = (table for table in PROTOCOLS["edelmers2024"].tables if table.name == _TABLE_OF[stage])
    tables = []
    for name in configurations:
        start = f"{stage}/{name}/"
        mine = {key.removeprefix(start): metric for key, metric in metrics.items() if key.startswith(start)}
        filled = fill_paper_table(paper, mine)
        tables.append(replace(filled, name=f"{filled.name}_{name}", title=f"{filled.title}: ours with {name}"))
    return tables
