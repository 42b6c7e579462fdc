"""Tables of radiomic features, and of the classes of lesions."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError, FormatError
from osteomet.io.csv_rows import Row, check_unique, read_rows

PERTURBATION = "perturbation"
"""Column that numbers the perturbed masks of a lesion."""

_KEYS = ("case", "lesion", "label", "n_voxels", PERTURBATION)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features of lesions.

    Parameters
    ----------
    path
        Where the table stands.
    lesions
        Case and number of each row, and of a perturbed mask the number of the perturbation, otherwise empty.
    names
        Names of the features.
    values
        Shape (n_rows, n_features); NaN where a feature could not be computed.
    settings
        Settings of the extraction, from the JSON file of the same name beside the table; None without one.
    image
        Name of the channel that all features are of, from that file; None where it does not say.
    """

    path: Path
    lesions: tuple[tuple[str, str, str], ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    settings: Mapping[str, Any] | None
    image: str | None = None


def read_features(path: Path, *, perturbed: bool = False) -> FeatureTable:
    """Read a table of features, as `osteomet radiomics extract` writes it.

    Parameters
    ----------
    path
        CSV with the columns ``case`` and ``lesion``, may have ``label`` and ``n_voxels``; every other column is a
        feature. An empty cell is a feature that could not be computed.
    perturbed
        Whether it has the column ``perturbation``, as `osteomet radiomics extract --perturb` writes it.

    Raises
    ------
    InputError
        If the file cannot be opened.
    DatasetError
        If a column is missing, a cell is no finite number, a lesion stands twice, or there is no lesion or feature.
    FormatError
        If the file is no CSV, or the JSON file beside it is damaged.
    """
    keys = ("case", "lesion", PERTURBATION) if perturbed else ("case", "lesion")
    rows = read_rows(path, keys)
    if not rows:
        raise DatasetError(f"{path}: the table has no lesion")
    if not perturbed and PERTURBATION in rows[0].cells:
        raise DatasetError(f"{path}: these are features of perturbed masks", remedy="pass the table as --perturbed")
    check_unique(rows, keys, "the lesion")
    names = tuple(name for name in rows[0].cells if name not in _KEYS)
    if not names:
        raise DatasetError(f"{path}: the table has no feature", expected="a column for each", got=", ".join(keys))
    values = np.array([[_value(row, name) for name in names] for row in rows])
    lesions = tuple((row.text("case"), row.text("lesion"), row.cells.get(PERTURBATION, "")) for row in rows)
    settings, image = _extraction(path.with_suffix(".json"))
    return FeatureTable(path, lesions, names, values, settings, image)


@dataclass(frozen=True, slots=True)
class LesionClass:
    """Class and patient of a lesion."""

    label: str
    patient: str


def read_classes(
    path: Path, lesions: Sequence[tuple[str, str, str]], *, column: str, words: Mapping[str, str]
) -> tuple[LesionClass, ...]:
    """Class and patient of each lesion.

    Parameters
    ----------
    path
        CSV with the column ``case`` and the one that holds the class; may have ``lesion``, without which a row is about
        all lesions of its case, and ``patient``, without which a case is a patient. Rows about others are passed over.
    lesions
        Case and number of each lesion.
    column
        Column of the class.
    words
        What class a word of the column means.

    Raises
    ------
    DatasetError
        If a column is missing, a lesion has no row or two, or its class is unknown; the message names the case.
    """
    rows = read_rows(path, ("case", column))
    by_lesion = bool(rows) and "lesion" in rows[0].cells
    check_unique(rows, ("case", "lesion") if by_lesion else ("case",), "the lesion" if by_lesion else "the case")
    known = {(row.text("case"), row.text("lesion") if by_lesion else ""): row for row in rows}
    found = []
    for case, lesion, _ in lesions:
        row = known.get((case, lesion if by_lesion else ""))
        if row is None:
            what = f"lesion {lesion} of case “{case}”" if by_lesion else f"case “{case}”"
            raise DatasetError(f"{path}: the table has no row for {what}", remedy="add it, or drop its features")
        found.append(LesionClass(row.choice(column, words), row.cells.get("patient") or case))
    return tuple(found)


def check_columns(table: FeatureTable, wanted: Collection[str]) -> None:
    """Refuse a table that lacks a feature; raises `DatasetError`."""
    missing = [name for name in wanted if name not in table.names]
    if missing:
        raise DatasetError(
            f"{table.path}: the table lacks features",
            expected=", ".join(wanted),
            got=f"no {', '.join(missing)}",
            remedy="extract them with the settings of the training, see `osteomet radiomics extract --settings`",
        )


def _value(row: Row, name: str) -> float:
    """Value of a feature, NaN where the cell is empty."""
    number = row.optional_number(name)
    return np.nan if number is None else number


def _extraction(path: Path) -> tuple[Mapping[str, Any] | None, str | None]:
    """Settings of an extraction and the name of its channel; None without a file."""
    if not path.is_file():
        return None, None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        settings, image = document["settings"], document.get("channel_name")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"{path}: the settings of the extraction cannot be read", got=repr(error)) from error
    if not isinstance(settings, dict):
        raise FormatError(f"{path}: the settings of the extraction are no table", got=repr(settings)[:80])
    return settings, image if isinstance(image, str) else None
