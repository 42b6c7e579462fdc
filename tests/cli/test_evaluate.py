"""The command: its options, its JSON, and what it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

import nibabel as nib
import numpy as np
import pytest
from tests.conftest import Osteomet

from osteomet.cli.evaluate import MatchingName
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.matching import RULES
from osteomet.io.formats import write_labels

GRID = Grid.from_spacing((8, 8, 8), (1.0, 1.0, 2.0))
NIB = cast(Any, nib)


def write(path: Path, *values: int, grid: Grid = GRID) -> None:
    """Map with a cube of 2×2×2 voxels of each value."""
    array = np.zeros(grid.shape, dtype=np.uint8)
    for n, value in enumerate(values):
        array[3 * n : 3 * n + 2, 1:3, 1:3] = value
    write_labels(LabelMap(array, grid, {f"x{value}": value for value in set(values)}), path)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Reference and prediction of the cases a and b, equal to each other, and a table of the cases."""
    for side in ("reference", "prediction"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "dataset.json").write_text('{"labels": {"background": 0, "lytic": 1, "sclerotic": 2}}')
        for case in ("a", "b"):
            write(tmp_path / side / f"{case}.nii.gz", 1, 2)
    (tmp_path / "cases.csv").write_text("case,patient\na,P1\nb,P2\n")
    return tmp_path


def options(study: Path) -> list[object]:
    folders = "--reference", study / "reference", "--prediction", study / "prediction"
    return ["evaluate", *folders, "--table", study / "cases.csv", "--out", study / "results" / "out"]


def test_the_result_comes_as_json_and_as_files(study: Path, osteomet: Osteomet) -> None:
    outcome = osteomet(*options(study), "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["metrics"]["lesion.dice"]["value"] == 1
    out = study / "results" / "out"
    assert json.loads((out / "metrics.json").read_text()) == {k: v for k, v in document.items() if k != "out"}
    assert {p.name for p in (out / "tables").iterdir()} >= {"cases.csv", "metrics.csv", "claim_checklist.csv"}


def test_every_matching_rule_can_be_named(study: Path, osteomet: Osteomet) -> None:
    assert set(get_args(MatchingName)) == set(RULES)
    chosen = osteomet(*options(study), "--json", "--matching", "box", "--beta", "3", "--tolerance", "1.5")
    document = json.loads(chosen.out)
    assert "boxes" in document["definitions"]["matching_rule"]
    assert document["definitions"]["nsd_tolerance_mm"] == 1.5
    assert document["metrics"]["detection.f3"]["value"] == 1


def test_without_inputs_there_is_nothing_to_evaluate(osteomet: Osteomet, tmp_path: Path) -> None:
    outcome = osteomet("evaluate", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "nothing to evaluate" in outcome.err


def other_geometry(study: Path) -> None:
    write(study / "prediction" / "b.nii.gz", 1, grid=Grid.from_spacing((8, 8, 8), (0.7, 1.0, 2.0)))


def float_mask(study: Path) -> None:
    values = np.zeros(GRID.shape, dtype=np.float32)
    values[2, 2, 2] = 0.5
    NIB.save(NIB.Nifti1Image(values, np.diag([-1, -1, 2, 1])), study / "prediction" / "b.nii.gz")


def colour_map(study: Path) -> None:
    rgb = np.zeros(GRID.shape, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    NIB.save(NIB.Nifti1Image(rgb, np.diag([-1, -1, 2, 1])), study / "prediction" / "b.nii.gz")


def two_files(study: Path) -> None:
    write(study / "prediction" / "b.nrrd", 1)


def two_rows(study: Path) -> None:
    (study / "cases.csv").write_text("case,patient\na,P1\nb,P2\nb,P3\n")


def not_in_table(study: Path) -> None:
    (study / "cases.csv").write_text("case,patient\na,P1\n")


DEFECTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "mismatched geometry": (
        other_geometry,
        r"case “b”: reference and prediction differ in geometry; .*\(0\.7, 1, 2\) mm.*; remedy: resample",
    ),
    "extra case": (
        lambda study: (study / "reference" / "b.nii.gz").unlink(),
        r"case “b” has a prediction but no reference; got .*b\.nii\.gz; remedy: add the reference",
    ),
    "unknown label": (
        lambda study: write(study / "prediction" / "b.nii.gz", 1, 7),
        r"case “b”: .*b\.nii\.gz: the label map holds values that have no name; got \[7\]",
    ),
    "float mask": (float_mask, r"case “b”: .*a label map must hold whole numbers; got 0\.5; remedy: pass a label map"),
    "RGB label map": (colour_map, r"case “b”: .*the voxels are not plain numbers; .*got colour \(RGB\)"),
    "two files of a case": (two_files, r"case “b” stands twice in .*prediction; got b\.nii\.gz and b\.nrrd; remedy"),
    "two rows of a case": (two_rows, r"case “b” stands twice in .*cases\.csv; got lines 3 and 4"),
    "not in the table": (not_in_table, r"case “b” is not in the table of cases; remedy: add a row for it"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_case_that_cannot_be_used(defect: str, study: Path, osteomet: Osteomet) -> None:
    """It stops the evaluation with a message that names it, or with --continue is left out and listed."""
    spoil, message = DEFECTS[defect]
    spoil(study)
    outcome = osteomet(*options(study))
    assert outcome.code == 3, outcome.err
    assert outcome.err.startswith("osteomet: ")
    assert re.search(message, outcome.err.replace("\n", " ")), outcome.err
    assert not (study / "results").exists()
    outcome = osteomet(*options(study), "--continue", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert list(document["left_out"]) == ["b"]
    assert document["metrics"]["lesion.dice"]["denominator"] == 1
    html = (study / "results" / "out" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"Left out:</p>\s*<dl><dt>b</dt><dd>[^<]*case “b”", html)


def test_a_missing_prediction_counts_as_empty_and_is_listed(study: Path, osteomet: Osteomet) -> None:
    (study / "prediction" / "b.nii.gz").unlink()
    outcome = osteomet(*options(study), "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["missing_predictions"] == ["b"]
    assert document["metrics"]["detection.sensitivity"]["value"] == 0.5
    html = (study / "results" / "out" / "report.html").read_text(encoding="utf-8")
    assert "Without prediction, counted as empty: b." in html


READINGS = {
    "point outside": (
        "R1,b,90,1,2,,,",
        r"mark 1 of reader “R1”.*case “b” lies outside the image; expected a place .*; got \(90\.0, 1\.0, 2\.0\)"
        r"; remedy: check that the marks were made on this series and are in LPS",
    ),
    "box outside": ("R1,b,1,1,-30,4,4,4", r"mark 1 of reader “R1”.*case “b” lies outside the image"),
    "unknown case": ("R1,z,1,1,2,,,", r"case “z”: no such case was evaluated; remedy: check the name"),
    "no number": ("R1,b,one,1,2,,,", r"marks\.csv, line 2: the cell “x_mm” is not a number; expected .*; got 'one'"),
}


@pytest.mark.parametrize("kind", READINGS)
def test_marks_that_cannot_be_placed(kind: str, study: Path, osteomet: Osteomet) -> None:
    row, message = READINGS[kind]
    (study / "marks.csv").write_text(f"reader,case,x_mm,y_mm,z_mm,size_x_mm,size_y_mm,size_z_mm\n{row}\n")
    outcome = osteomet(*options(study), "--readers", study / "marks.csv")
    assert outcome.code == 3, outcome.err
    assert re.search(message, outcome.err.replace("\n", " ")), outcome.err
    assert not (study / "results").exists()


def test_readings_that_cannot_be_used_are_left_out_when_told_to_go_on(study: Path, osteomet: Osteomet) -> None:
    header = "reader,case,x_mm,y_mm,z_mm"
    (study / "marks.csv").write_text(f"{header}\nR1,a,0,1,2\nR1,b,90,1,2\nR2,a,0,1,2\nR2,z,0,1,2\n")
    outcome = osteomet(*options(study), "--readers", study / "marks.csv", "--continue", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert list(document["left_out"]) == ["b", "z"]
    assert "lies outside the image" in document["left_out"]["b"]
    assert document["metrics"]["readers.sensitivity"]["value"] == 0.5  # one of the two lesions of case a
    assert document["metrics"]["detection.sensitivity"]["denominator"] == 4, "the model is evaluated on both cases"
