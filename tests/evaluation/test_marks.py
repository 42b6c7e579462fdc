"""Marks and their table: points, boxes and masks, readings without marks, what is refused."""

import math
from pathlib import Path

import pytest

from osteomet.core.errors import DatasetError, InputError
from osteomet.evaluation.mark_files import read_marks_csv, read_readings
from osteomet.evaluation.marks import AIDED, UNAIDED, BoxMark, MaskMark, PointMark, Reading

HEADER = "reader,condition,case,x_mm,y_mm,z_mm,size_x_mm,size_y_mm,size_z_mm,file,label,likelihood\n"


def write(folder: Path, rows: str) -> Path:
    path = folder / "marks.csv"
    path.write_text(HEADER + rows)
    return path


def test_every_kind_of_mark(tmp_path: Path) -> None:
    rows = "R1,,c1,1,2,3,,,,,,0.8\nR1,,c1,4,5,6,10,20,30,,,\nR1,aided,c1,,,,,,,sub/m.nii.gz,2,5\nR2,,c1,,,,,,,,,\n"
    assert read_marks_csv(write(tmp_path, rows)) == (
        Reading("R1", UNAIDED, "c1", (PointMark((1, 2, 3), 0.8), BoxMark((4, 5, 6), (10, 20, 30)))),
        Reading("R1", AIDED, "c1", (MaskMark(tmp_path / "sub" / "m.nii.gz", 2, 5.0),)),
        Reading("R2", UNAIDED, "c1", ()),
    )


def test_a_table_of_points_needs_no_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("reader,case,x_mm,y_mm,z_mm\nR1,c1,1,2,3\n")
    assert read_readings(path) == (Reading("R1", UNAIDED, "c1", (PointMark((1, 2, 3)),)),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",,c1,1,2,3,,,,,,\n", "line 2: the cell “reader” is empty"),
        ("R1,,c1,1,2,,,,,,,\n", "line 2: the cell “z_mm” is empty"),
        ("R1,,c1,1,2,3,4,,,,,\n", "line 2: the cell “size_y_mm” is empty"),
        ("R1,,c1,1,2,3,4,-1,2,,,\n", "line 2: a box has edges of positive length; got"),
        ("R1,,c1,1,2,3,,,,m.nii,1,\n", "line 2: a mark is a point, a box or a mask, not two of them"),
        ("R1,,c1,,,,,,,m.nii,,\n", "line 2: the cell “label” is empty"),
        ("R1,,c1,,,,,,,m.nii,1.5,\n", "line 2: the cell “label” is not a whole number; got 1.5"),
        ("R1,,c1,,,,,,,m.nii,0,\n", "line 2: a mask mark has a positive label; got 0"),
        ("R1,,c1,,,,,,,,,0.5\n", "line 2: a likelihood without a mark"),
        ("R1,,c1,1,2,3,,,,,,sure\n", "line 2: the cell “likelihood” is not a number"),
    ],
)
def test_rows_that_are_refused(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_marks_csv(write(tmp_path, row))


def test_marks_that_cannot_be() -> None:
    with pytest.raises(InputError, match="a mark has a finite place, size and likelihood"):
        PointMark((0, math.nan, 0))
    with pytest.raises(InputError, match="a mark has a finite place"):
        PointMark((0, 0, 0), math.inf)
    with pytest.raises(InputError, match="a box has edges of positive length"):
        BoxMark((0, 0, 0), (0, 0, 0))
    with pytest.raises(InputError, match="the axes of a box are perpendicular unit vectors"):
        BoxMark((0, 0, 0), (1, 1, 1), axes=((1, 0, 0), (1, 0, 0), (0, 0, 1)))
