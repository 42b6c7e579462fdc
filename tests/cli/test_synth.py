"""`osteomet synth`: its refusals, each of four parts and without a folder, and its progress where no terminal is."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Osteomet
from tests.pipeline.tiny_cohort import draw_tiny

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.io.formats import write_labels
from osteomet.pipeline import synth

FOUR_PARTS = re.compile(r"osteomet: .+; expected .+; got .+; remedy: .+")


def write_cube(folder: Path, name: str, *, value: int = 1) -> Path:
    """A folder with a label map of one cube of 12 mm."""
    grid = Grid.from_spacing((12, 12, 12), (2.0, 2.0, 2.0))
    array = np.zeros(grid.shape, dtype=np.uint8)
    array[3:9, 3:9, 3:9] = value
    folder.mkdir()
    write_labels(LabelMap(array, grid, {"cube": value} if value else {}), folder / f"{name}.nii.gz")
    return folder


def liver(folder: Path) -> Path:
    write_cube(folder, "organs", value=5)
    (folder / "labels.json").write_text(json.dumps({"liver": 5}), encoding="utf-8")
    return folder


def documents(folder: Path) -> Path:
    folder.mkdir()
    (folder / "notes.txt").write_text("dear colleague", encoding="utf-8")
    return folder


def empty_mesh(folder: Path) -> Path:
    folder.mkdir()
    (folder / "L1.stl").write_bytes(bytes(80) + (0).to_bytes(4, "little"))
    return folder


ANATOMIES: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "no such folder": (lambda p: p, "ct-spine", "no such folder; expected a folder of label maps or meshes"),
    "a file": (lambda p: documents(p) / "notes.txt", "ct-spine", "no such folder; .*; got a file"),
    "documents": (documents, "ct-spine", "holds no bones; expected label maps .*; got notes.txt"),
    "an empty map": (lambda p: write_cube(p, "seg", value=0), "ct-spine", "of bones is empty; .*; got 0 everywhere"),
    "an empty bone": (
        lambda p: write_cube(p, "vertebrae_L1", value=0), "ct-spine", "the maps hold no bone; .*; got 1 empty maps"
    ),
    "no bone": (liver, "ct-spine", "holds no bone that osteomet knows; expected vertebrae, .*; got labels liver"),
    "an empty mesh": (empty_mesh, "ct-spine", "the mesh is truncated or corrupt; .*; got 0 corners"),
    "a femur": (
        lambda p: write_cube(p, "femur_left"), "ct-spine",
        "lack what the cohort ct-spine images; expected a vertebra, the sacrum or a hip bone at least; got femur_left",
    ),
    "a vertebra for a pelvis": (
        lambda p: write_cube(p, "vertebrae_L3"), "mr-pelvis",
        "expected the sacrum or a hip bone at least; got L3; remedy: .* or make a cohort of these: ct-spine, mr-spine",
    ),
    "a hip for a spine": (lambda p: write_cube(p, "hip_left"), "readers", "expected a vertebra at least; got hip_left"),
    "a neck for a trunk": (
        lambda p: write_cube(p, "vertebrae_C4"), "graded", "expected a thoracic or lumbar vertebra at least; got C4"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ANATOMIES)
def test_an_anatomy_that_does_not_serve(case: str, osteomet: Osteomet, tmp_path: Path) -> None:
    make, cohort, message = ANATOMIES[case]
    anatomy = make(tmp_path / "bones")
    outcome = osteomet("synth", cohort, "--out", tmp_path / "new" / "out", "--cases", 1, "--anatomy", anatomy)
    said = " ".join(outcome.err.split())
    assert outcome.code == 3
    assert outcome.out == ""
    assert FOUR_PARTS.fullmatch(said), said
    assert re.search(message, said), said
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("ct-knee", "--cases", 1),
            "no such cohort; expected ct-spine or mr-spine or .*; got ct-knee; remedy: pass one of",
        ),
        (("ct-spine", "--cases", 0), "at least one case; expected a number of patients above 0; got --cases 0"),
        (("ct-spine", "--cases", -2), "at least one case; expected a number of patients above 0; got --cases -2"),
        (("graded", "--cases", 1, "--seed", -1), "a seed is not negative; expected 0 or more; got --seed -1"),
    ],
    ids=["unknown", "none", "negative", "seed"],
)
def test_settings_that_cannot_be_meant(
    options: tuple[object, ...], message: str, osteomet: Osteomet, tmp_path: Path
) -> None:
    outcome = osteomet("synth", *options, "--out", tmp_path / "out")
    said = " ".join(outcome.err.split())
    assert outcome.code == 2
    assert FOUR_PARTS.fullmatch(said), said
    assert re.search(message, said), said
    assert list(tmp_path.iterdir()) == []


def test_a_line_a_patient_where_there_is_no_terminal(
    osteomet: Osteomet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synth, "draw_patient", draw_tiny)
    outcome = osteomet("synth", "ct-spine", "--out", tmp_path / "out", "--cases", 3, "--json")
    assert outcome.code == 0
    lines = outcome.err.splitlines()
    assert [re.sub(r"\d+ s", "N s", line) for line in lines] == [f"cases {n}/3 after N s" for n in (1, 2, 3)]
    assert json.loads(outcome.out)["cases"] == 3
