"""Tables of kim2024 for all of its models: our figures beside the published ones.

Metrics come by name as ``VARIANT/PART/METRIC``, such as ``2D T1+CE/external/lesion.dice``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from osteomet.evaluation.kim2024 import KIM2024_TABLES
from osteomet.evaluation.paper_tables import Cell, Ours, PaperTable

INTERNAL, EXTERNAL = "internal", "external"
_MODELS = {"T1 + CE": "2D T1+CE", "T1": "2D T1", "CE": "2D CE"}
_VOXEL_METRICS = ("lesion.dice", "lesion.recall", "lesion.precision")


def kim2024_study_tables(variants: Sequence[str]) -> tuple[PaperTable, ...]:
    """Tables 2 to 4 and that of all models, as the paper prints them, with a cell of ours for each cell of its."""
    table2, table3, table4 = KIM2024_TABLES
    return (_all_models(variants), _segmentation(table2), _sensitivity(table3), _detection(table4))


def _all_models(variants: Sequence[str]) -> PaperTable:
    """All models at the internal test, which the paper keeps in a supplement."""
    metrics = (*_VOXEL_METRICS, "detection.sensitivity", "detection.ppv", "detection.fp_per_case")
    columns = (
        "Model",
        "Dice coefficient",
        "Pixel-wise recall",
        "Pixel-wise precision",
        "Sensitivity",
        "PPV",
        "FP/series",
    )
    return PaperTable(
        "kim2024_all_models",
        "All models at internal test (ours)",
        columns,
        tuple((name, *(Ours(f"{name}/{INTERNAL}/{metric}") for metric in metrics)) for name in variants),
        "The paper gives these figures in a supplement that we do not have. In words: 2D T1 + CE and 2D T1 + CE + FO "
        "were consistently ahead of the other models, and 3D models consistently behind 2D ones.",
    )


def _segmentation(paper: PaperTable) -> PaperTable:
    """Table 2: a row of ours above each row of the paper."""
    rows: list[tuple[Cell, ...]] = []
    for title, *published in paper.rows[1:]:
        model = _MODELS[str(title)]
        rows.append((f"{title}, ours", *(Ours(f"{model}/{EXTERNAL}/{metric}") for metric in _VOXEL_METRICS)))
        rows.append((f"{title}, published", *published))
    return PaperTable("kim2024_table2_study", paper.title, paper.columns, tuple(rows), paper.note)


def _sensitivity(paper: PaperTable) -> PaperTable:
    """Table 3: a column of ours before each column of the paper."""
    titles = paper.columns[2:]
    columns = (paper.columns[0], *chain.from_iterable((f"{title}, ours", f"{title}, published") for title in titles))
    rows = []
    for title, ours, *published in paper.rows:
        assert isinstance(ours, Ours)
        cells: list[Cell] = [title]
        for column, figure in zip(titles, published, strict=True):
            model, _, part = column.rpartition(" ")
            cells += [Ours(f"{_MODELS[model]}/{part}/{ours.metric}", "count"), figure]
        rows.append(tuple(cells))
    return PaperTable("kim2024_table3_study", paper.title, columns, tuple(rows), paper.note)


def _detection(paper: PaperTable) -> PaperTable:
    """Table 4: a column of ours before each column of the paper, readers included."""
    models = paper.columns[2:5]
    heads = chain.from_iterable((f"{title}, ours", f"{title}, published") for title in models)
    rows = []
    for title, ours, *published, readers, our_readers in paper.rows:
        assert isinstance(ours, Ours)
        assert isinstance(our_readers, Ours)
        cells: list[Cell] = [title]
        for model, figure in zip(models, published, strict=True):
            cells += [Ours(f"{_MODELS[model]}/{EXTERNAL}/{ours.metric}"), figure]
        first = _MODELS[models[0]]
        rows.append((*cells, Ours(f"{first}/{EXTERNAL}/{our_readers.metric}"), readers))
    columns = (paper.columns[0], *heads, "Readers (mean), ours", "Radiologists (mean of five), published")
    return PaperTable("kim2024_table4_study", paper.title, columns, tuple(rows), paper.note)
