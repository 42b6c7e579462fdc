"""Annotation rounds on disk: pairs by hand, and rounds that cannot be compared."""

from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, GeometryError, InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.observers import read_rounds, round_agreement
from osteomet.evaluation.rounds import agreement_metrics, agreement_table, read_round_folders, round_pair_table
from osteomet.evaluation.tables import write_csv
from osteomet.io.formats import write_labels

GRID = Grid.from_spacing((10, 2, 2), (10.0, 10.0, 10.0))  # a voxel is 1 ml


def write(folder: Path, case: str, n_voxels: int, grid: Grid = GRID, value: int = 1) -> None:
    array = np.zeros(grid.shape, np.uint8)
    array[:n_voxels, 0, 0] = value
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(LabelMap(array, grid, {"x": value}), folder / f"{case}.nii.gz")


@pytest.fixture
def rounds(tmp_path: Path) -> Path:
    folder = tmp_path / "rounds"
    for name, a, b in (("A1.1", 4, 0), ("A1.2", 6, 0), ("A2.1", 2, 3)):
        write(folder / name, "a", a, value=2)
        write(folder / name, "b", b)
    (folder / "readme.txt").write_text("who drew what")
    return folder


def test_pairs_and_their_agreement_by_hand(rounds: Path, tmp_path: Path) -> None:
    pairs, left_out = read_round_folders(rounds, {"a": "P1"})
    assert left_out == ()
    assert [(p.case, p.patient, p.first, p.second, p.dice) for p in pairs] == [
        ("a", "P1", "A1.1", "A1.2", 0.8),
        ("a", "P1", "A1.1", "A2.1", pytest.approx(2 / 3)),
        ("a", "P1", "A1.2", "A2.1", 0.5),
        ("b", "b", "A1.1", "A1.2", None),
        ("b", "b", "A1.1", "A2.1", 0.0),
        ("b", "b", "A1.2", "A2.1", 0.0),
    ]
    found = round_agreement(pairs, rng=np.random.default_rng(1), n_draws=100)
    metrics = agreement_metrics(found)
    assert metrics["observers.dice.A1_1.A1_2"].estimate.value == 0.8
    assert metrics["observers.dice.A1_1.A2_1"].estimate.value == pytest.approx(1 / 3)
    assert metrics["observers.bias_ml.A1_1.A2_1"].estimate.value == pytest.approx((-2 + 3) / 2)
    rows = agreement_table(found).rows
    assert [row[:5] for row in rows[:2]] == [
        ("A1.1", "A1.2", "intra-observer", 2, 1),
        ("A1.1", "A2.1", "inter-observer", 2, 0),
    ]
    assert read_rounds(write_csv(round_pair_table(pairs), tmp_path)) == pairs


def test_a_case_of_one_round_is_listed(rounds: Path) -> None:
    write(rounds / "A2.1", "c", 1)
    _, (left,) = read_round_folders(rounds, {})
    assert (left.case, left.reason) == ("c", "case “c” was annotated in round A2.1 only")


def test_rounds_on_other_grids_stop_unless_told_to_go_on(rounds: Path) -> None:
    write(rounds / "A2.1", "b", 1, Grid.from_spacing((10, 2, 2), (5.0, 10.0, 10.0)))
    with pytest.raises(GeometryError, match=r"case “b”: round A1\.1 and round A2\.1 differ in geometry"):
        read_round_folders(rounds, {})
    pairs, (left,) = read_round_folders(rounds, {}, continue_on_error=True)
    assert ({pair.case for pair in pairs}, left.case) == ({"a"}, "b")


def test_folders_that_are_no_rounds(rounds: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"agreement needs two annotation rounds; expected .*; got 0 fold"):
        read_round_folders(rounds / "A1.1", {})
    (rounds / "A3.1").mkdir()
    with pytest.raises(DatasetError, match="the annotation round has no label map"):
        read_round_folders(rounds, {})
    (rounds / "A3.1").rename(rounds / "final")
    with pytest.raises(InputError, match=r"a round has no number; expected OBSERVER\.NUMBER.*; got 'final'"):
        read_round_folders(rounds, {})
    (rounds / "final").rmdir()
    (rounds / "A1.1" / "a.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(DatasetError, match=r"case “a” stands twice in .*; got a\.nii\.gz and a\.nrrd"):
        read_round_folders(rounds, {})
    write(tmp_path / "damaged" / "B.1", "a", 1)
    (tmp_path / "damaged" / "B.2").mkdir()
    (tmp_path / "damaged" / "B.2" / "a.nii.gz").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(DatasetError, match=r"case “a”: .*truncated or corrupt"):
        read_round_folders(tmp_path / "damaged", {})
