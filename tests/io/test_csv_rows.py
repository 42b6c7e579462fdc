"""Tables as people save them: what is read, and what is refused with file, line and column."""

from pathlib import Path

import pytest

from osteomet.core.errors import DatasetError, FormatError, InputError
from osteomet.io.csv_rows import Row, check_unique, read_rows


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode())
    return path


def test_spreadsheet_export_with_mark_blank_lines_and_short_rows(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, '\ufeffcase,age,note\r\na, 70 ,"x, y"\r\n,,\r\nb\r\n'), ("case", "age"))
    assert [(row.line, dict(row.cells)) for row in rows] == [
        (2, {"case": "a", "age": "70", "note": "x, y"}),
        (4, {"case": "b", "age": "", "note": ""}),
    ]
    assert rows[0].number("age") == 70.0
    assert (rows[0].optional_number("age"), rows[1].optional_number("age")) == (70.0, None)
    assert rows[0].optional_number("psa") is None


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    assert read_rows(write(tmp_path, "case,age\n"), ("case",)) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "table.csv: the table lacks the column “case” and “age”; expected case, age; got an empty file"),
        ("case\na\n", "lacks the column “age”; expected case, age; got case"),
        ("case;age\na;70\n", "remedy: save the table with commas between its cells"),
        ("case,age,age\na,1,2\n", "a column stands twice; got age"),
        ("case,age\na,70,8\n", "line 2: more cells than the header has columns; got 3 against 2"),
    ],
    ids=["empty", "missing column", "semicolons", "column twice", "long row"],
)
def test_unusable_tables(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_rows(write(tmp_path, text), ("case", "age"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: the table cannot be opened; got No such file"):
        read_rows(tmp_path / "none.csv", ())
    latin = tmp_path / "latin.csv"
    latin.write_bytes("case\nGroßmann\n".encode("latin-1"))
    with pytest.raises(FormatError, match=r"latin\.csv: not a CSV table in UTF-8"):
        read_rows(latin, ("case",))


def test_cells_that_are_refused() -> None:
    row = Row(Path("t.csv"), 7, {"age": "seventy", "psa": "nan", "sex": "x", "case": ""})
    with pytest.raises(DatasetError, match=r"t\.csv, line 7: the cell “case” is empty"):
        row.text("case")
    with pytest.raises(
        DatasetError, match=r"the cell “age” is not a number; expected a number such as 0\.85; got 'seven"
    ):
        row.number("age")
    with pytest.raises(DatasetError, match="the cell “psa” is not a number"):
        row.number("psa")
    with pytest.raises(DatasetError, match="the cell “sex” has an unknown value; expected m or f; got 'x'"):
        row.choice("sex", {"m": 1, "f": 2})


def test_duplicates_name_both_lines() -> None:
    rows = [Row(Path("t.csv"), n, {"case": "a", "round": r}) for n, r in ((2, "1"), (3, "2"), (4, "1"))]
    check_unique(rows[:2], ("case", "round"), "the pair")
    with pytest.raises(DatasetError, match="line 4: the pair “a, 1” stands twice; got first on line 2"):
        check_unique(rows, ("case", "round"), "the pair")
