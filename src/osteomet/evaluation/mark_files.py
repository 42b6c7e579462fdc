"""Import of reader marks: one CSV table, or a folder of the JSON files of viewers."""

from __future__ import annotations

from pathlib import Path

from osteomet.core.errors import DatasetError, InputError
from osteomet.evaluation.marks import UNAIDED, BoxMark, Mark, MaskMark, PointMark, Reading
from osteomet.evaluation.viewer_json import marks_from_json
from osteomet.io.csv_rows import Row, read_rows

_PLACE = ("x_mm", "y_mm", "z_mm")
_SIZE = ("size_x_mm", "size_y_mm", "size_z_mm")
_MASK = ("file", "label")
_SUFFIXES = (".mrk.json", ".json")


def read_readings(path: Path) -> tuple[Reading, ...]:
    """Read the marks of a reader study.

    Parameters
    ----------
    path
        A CSV table (`read_marks_csv`) or a folder of viewer files (`read_marks_folder`).

    Raises
    ------
    InputError
        As those two, or if there is nothing at ``path``.
    """
    if path.is_dir():
        return read_marks_folder(path)
    return read_marks_csv(path)


def read_marks_csv(path: Path) -> tuple[Reading, ...]:
    """Read marks from a table with one row a mark.

    Parameters
    ----------
    path
        CSV with the columns ``reader`` and ``case``; ``condition`` (``unaided`` where empty or missing) and
        ``likelihood`` where known; and of each mark one kind of place:

        - a point: ``x_mm``, ``y_mm``, ``z_mm``, LPS mm;
        - a box: the same as its centre, and ``size_x_mm``, ``size_y_mm``, ``size_z_mm``, its edges along the LPS axes;
        - a mask: ``file``, relative to the table, and ``label``.

        A row without any place says that the reader saw the case and marked nothing.

    Returns
    -------
    tuple of Reading
        In the order in which they first stand.

    Raises
    ------
    DatasetError
        If a column or cell is missing, a number is none, or a row has more than one kind of place.
    """
    readings: dict[tuple[str, str, str], list[Mark]] = {}
    for row in read_rows(path, ("reader", "case")):
        key = row.text("reader"), row.cells.get("condition") or UNAIDED, row.text("case")
        marks = readings.setdefault(key, [])
        mark = _mark(row)
        if mark is not None:
            marks.append(mark)
    return tuple(Reading(*key, tuple(marks)) for key, marks in readings.items())


def read_marks_folder(folder: Path) -> tuple[Reading, ...]:
    """Read viewer files laid out as ``READER/CASE.json`` or ``READER/CONDITION/CASE.json``.

    Parameters
    ----------
    folder
        Files end in ``.json`` or ``.mrk.json`` (`osteomet.evaluation.viewer_json.marks_from_json`).

    Returns
    -------
    tuple of Reading
        In alphabetical order of their paths; a file without marks is a reading without marks.

    Raises
    ------
    DatasetError
        If the folder holds no such file, or two of one reading.
    FormatError
        If a file is none that a known viewer writes.
    """
    readings: dict[tuple[str, str, str], Reading] = {}
    for path in sorted(folder.rglob("*.json")):
        *place, name = path.relative_to(folder).parts
        if len(place) not in (1, 2):
            expected = "READER/CASE.json or READER/CONDITION/CASE.json"
            raise DatasetError(f"{path}: the file lies at an unexpected depth", expected=expected)
        case = name.removesuffix(".json").removesuffix(".mrk")
        key = place[0], place[1] if len(place) == 2 else UNAIDED, case
        if key in readings:
            raise DatasetError(f"{path}: the marks of reader “{key[0]}” on case “{case}” stand twice")
        readings[key] = Reading(*key, marks_from_json(path))
    if not readings:
        raise DatasetError(f"{folder}: the folder holds no marks", expected="READER/CASE.json")
    return tuple(readings.values())


def _mark(row: Row) -> Mark | None:
    """Mark of one row, or None where it has no place."""
    place, size, mask = (any(row.cells.get(column) for column in kind) for kind in (_PLACE, _SIZE, _MASK))
    likelihood = row.optional_number("likelihood")
    if not (place or size or mask):
        if likelihood is not None:
            raise row.error("a likelihood without a mark")
        return None
    if mask and (place or size):
        raise row.error("a mark is a point, a box or a mask, not two of them")
    try:
        if mask:
            label = row.number("label")
            if not label.is_integer():
                raise row.error("the cell “label” is not a whole number", got=str(label))
            return MaskMark(row.path.parent / row.text("file"), int(label), likelihood)
        x, y, z = (row.number(column) for column in _PLACE)
        if not size:
            return PointMark((x, y, z), likelihood)
        a, b, c = (row.number(column) for column in _SIZE)
        return BoxMark((x, y, z), (a, b, c), likelihood)
    except DatasetError:
        raise
    except InputError as error:
        raise row.error(error.what, got=error.got) from error
