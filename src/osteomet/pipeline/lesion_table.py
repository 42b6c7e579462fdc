"""The lesions of a study as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from osteomet.core.classification import ClassifierKind, ClassifierUse
from osteomet.core.findings import Findings
from osteomet.core.lesion import Lesion

_COLUMNS = (
    "id", "type", "site", "subsite", "x_mm", "y_mm", "z_mm", "long_axis_mm", "short_axis_mm", "volume_ml",
    "mean_intensity", "confidence", "tracking_uid",
)  # fmt: skip


def write_lesion_table(findings: Findings, path: Path) -> None:
    """Write one row a lesion; the header is there also when nothing was found.

    For each package that classified the lesions there is a column ``KIND.PACKAGE.CLASS`` with the probability of each
    of its classes; it is empty where the package has none.
    """
    uses = [use for use in findings.provenance.classifiers if use.kind is not ClassifierKind.GRADER]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS, *(f"{use.kind}.{use.package}.{label}" for use in uses for label in use.classes)])
        writer.writerows([*_row(lesion), *_shares(lesion, uses)] for lesion in findings.lesions)


def _row(x: Lesion) -> list[object]:
    place = [f"{v:.2f}" for v in x.centroid_xyz_mm]
    sizes = [f"{x.long_axis_mm:.2f}", f"{x.short_axis_mm:.2f}", f"{x.volume_ml:.4f}", f"{x.mean_intensity:.1f}"]
    return [x.id, x.type.value, x.site, x.subsite or "", *place, *sizes, x.confidence, x.tracking_uid]


def _shares(lesion: Lesion, uses: Sequence[ClassifierUse]) -> list[object]:
    """Probabilities in the order of the columns."""
    said = {(one.kind, one.package): one.probabilities or {} for one in lesion.classifications}
    return [said[use.kind, use.package].get(label, "") for use in uses for label in use.classes]
