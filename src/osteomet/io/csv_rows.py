"""Reading of the CSV tables that people bring; every complaint names the file, the line and the column."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from osteomet.core.errors import DatasetError, FormatError, InputError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: where it stands, and its cells by column, stripped; a missing cell is empty."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Content of a cell that must not be empty."""
        value = self.cells.get(column, "")
        if not value:
            raise self.error(f"the cell “{column}” is empty")
        return value

    def number(self, column: str) -> float:
        """Content of a cell as a finite number."""
        value = self.text(column)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(f"the cell “{column}” is not a number", got=repr(value), expected="a number such as 0.85")
        return number

    def optional_number(self, column: str) -> float | None:
        """Content of a cell as a finite number, or None where the cell or the column is missing."""
        return self.number(column) if self.cells.get(column) else None

    def choice(self, column: str, choices: Mapping[str, T]) -> T:
        """What one of several words stands for."""
        value = self.text(column)
        if value not in choices:
            raise self.error(
                f"the cell “{column}” has an unknown value", expected=" or ".join(choices), got=repr(value)
            )
        return choices[value]

    def error(self, what: str, *, expected: str = "", got: str = "", remedy: str = "") -> DatasetError:
        """Error about this row, to be raised by the caller."""
        return DatasetError(f"{self.path}, line {self.line}: {what}", expected=expected, got=got, remedy=remedy)


def read_rows(path: Path, required: Sequence[str]) -> tuple[Row, ...]:
    """Read a comma-separated UTF-8 table with a header.

    Parameters
    ----------
    path
        The table. Empty lines are skipped.
    required
        Columns that must be there; others may be.

    Returns
    -------
    tuple of Row
        In the order of the file; empty when there is only a header.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not UTF-8 text.
    DatasetError
        If a required column is missing, a column stands twice, or a row has more cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except OSError as error:
        raise InputError(f"{path}: the table cannot be opened", got=error.strerror or str(error)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: not a CSV table in UTF-8", got=str(error)) from error
    header = lines[0][1] if lines else []
    _check_header(path, header, required)
    blank = dict.fromkeys(header, "")
    rows = tuple(Row(path, line, blank | dict(zip(header, cells, strict=False))) for line, cells in lines[1:])
    for row, (_, cells) in zip(rows, lines[1:], strict=True):
        if len(cells) > len(header):
            raise row.error("more cells than the header has columns", got=f"{len(cells)} against {len(header)}")
    return rows


def check_unique(rows: Sequence[Row], columns: Sequence[str], what: str) -> None:
    """Refuse a table in which the same values of ``columns`` stand twice."""
    seen: dict[tuple[str, ...], int] = {}
    for row in rows:
        key = tuple(row.cells.get(column, "") for column in columns)
        if key in seen:
            name = ", ".join(part for part in key if part)
            raise row.error(f"{what} “{name}” stands twice", got=f"first on line {seen[key]}")
        seen[key] = row.line


def _check_header(path: Path, header: Sequence[str], required: Sequence[str]) -> None:
    """Refuse a header without a required column or with one twice."""
    missing = [column for column in required if column not in header]
    if missing:
        remedy = "save the table with commas between its cells" if any(";" in cell for cell in header) else ""
        raise DatasetError(
            f"{path}: the table lacks the column {' and '.join(f'“{c}”' for c in missing)}",
            expected=", ".join(required),
            got=", ".join(header) or "an empty file",
            remedy=remedy,
        )
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise DatasetError(f"{path}: a column stands twice", got=", ".join(twice))
