"""`osteomet insert`: the folder, its truth, and what it refuses."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import LumbarPhantom, Osteomet, stored
from tests.pipeline.test_synth import digests

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import write_labels, write_volume
from osteomet.phantom.ct.rendering import CtPhantom

FOUR_PARTS = re.compile(r"osteomet: .+; expected .+; got .+; remedy: .+")
NAMES = {s.name: s.id for s in STRUCTURES.values()}


def write_scan(folder: Path, *, lowest: int = -1000, bone: bool = True) -> tuple[Path, Path]:
    """A block of L3 in muscle with noise."""
    folder.mkdir(exist_ok=True)
    grid = Grid.from_spacing((44, 40, 24), (1.0, 1.1, 1.7), origin_mm=(5.0, -20.0, 30.0))
    bones = np.zeros(grid.shape, dtype=np.uint8)
    bones[6:38, 6:34, 3:21] = NAMES["L3"] if bone else 0
    values = np.where(bones > 0, 190, 50) + np.random.default_rng(0).normal(0, 10, grid.shape)
    values[0, 0, 0] = lowest
    write_volume(Volume(np.rint(values).astype(np.int16), grid, Modality.CT, Unit.HU), folder / "scan.nii.gz")
    write_labels(LabelMap(bones, grid, NAMES), folder / "bones.nii.gz")
    (folder / "labels.json").write_text(json.dumps({"bones": NAMES}), encoding="utf-8")
    return folder / "scan.nii.gz", folder / "bones.nii.gz"


def test_the_folder_holds_the_truth(osteomet: Osteomet, tmp_path: Path) -> None:
    scan, bones = write_scan(tmp_path / "in")
    arguments = ("insert", "--image", scan, "--bones", bones, "--lesions", 2, "--seed", 4)
    outcome = osteomet(*arguments, "--out", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    out = tmp_path / "out"
    before, after, lesions, kept = (
        stored(p) for p in (scan, out / "image.nii.gz", out / "lesions.nii.gz", out / "bones.nii.gz")
    )
    for image in (after, lesions, kept):
        assert image.shape == before.shape
        np.testing.assert_allclose(image.affine, before.affine, atol=1e-4)
    old, new, mask = (np.asanyarray(image.dataobj) for image in (before, after, lesions))
    assert new.dtype == old.dtype
    assert (np.asanyarray(kept.dataobj) == np.asanyarray(stored(bones).dataobj)).all()
    with (out / "lesions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    named = json.loads((out / "labels.json").read_text(encoding="utf-8"))["lesions"]
    printed = json.loads(outcome.out)["lesions"]
    assert [int(row["lesion"]) for row in rows] == [1, 2] == [int(v) for v in np.unique(mask) if v]
    voxel_ml = 1.0 * 1.1 * 1.7 / 1000
    for row, shown in zip(rows, printed, strict=True):
        voxels = np.argwhere(mask == int(row["lesion"]))
        assert named[row["lesion"]] == {"type": row["type"], "site": "L3"}
        assert (row["site"], shown["site"]) == ("L3", "L3")
        assert float(row["volume_ml"]) == pytest.approx(len(voxels) * voxel_ml, rel=0.25)
        centre = [5.0, -20.0, 30.0] + voxels.mean(axis=0) * [1.0, 1.1, 1.7]
        np.testing.assert_allclose([float(row[f"{axis}_mm"]) for axis in "xyz"], centre, atol=0.02)
    assert osteomet(*arguments, "--out", tmp_path / "again").code == 0
    assert digests(out) == digests(tmp_path / "again")


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"--lesions": "-2"},
            2,
            "at least one lesion is inserted; expected a number above 0; got --lesions -2; remedy: pass",
        ),
        (
            {"--lesions": "0"},
            2,
            "at least one lesion is inserted; expected a number above 0; got --lesions 0; remedy: pass",
        ),
        ({"--seed": "-1"}, 2, "a seed is not negative; expected 0 or more; got --seed -1; remedy: pass --seed 0"),
        ({"--sequence": "PET"}, 2, "the role of the image is not known; expected CT, T1"),
        ({"--sequence": "dynamic"}, 2, "no lesion can be put into this kind of image"),
        ({"--image": "MR"}, 2, "does not say what kind of image it is; expected a CT, with air below -200 HU"),
        ({"--bones": "OTHER"}, 3, "the image and the bones differ in geometry"),
        (
            {"--bones": "EMPTY"},
            3,
            "the label map of bones is empty; expected bones labelled above 0; got 0 everywhere; remedy: segment",
        ),
        ({"--bones": "MISSING"}, 3, "the file cannot be opened"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else None,
)
def test_what_cannot_be_meant(
    changes: dict[str, str], code: int, message: str, osteomet: Osteomet, tmp_path: Path
) -> None:
    scan, bones = write_scan(tmp_path / "in")
    places = {
        "MR": write_scan(tmp_path / "mr", lowest=0)[0],
        "EMPTY": write_scan(tmp_path / "empty", bone=False)[1],
        "MISSING": tmp_path / "missing.nii.gz",
        "OTHER": tmp_path / "in" / "other.nii.gz",
    }
    grid = Grid.from_spacing((44, 40, 24), (1.0, 1.0, 1.0))
    write_labels(LabelMap(np.full(grid.shape, NAMES["L3"], dtype=np.uint8), grid, NAMES), places["OTHER"])
    options = {"--image": scan, "--bones": bones, "--out": tmp_path / "out", "--lesions": "1"}
    options |= {key: places.get(value, value) for key, value in changes.items()}
    outcome = osteomet("insert", *(word for item in options.items() for word in item))
    assert outcome.code == code
    said = " ".join(outcome.err.split())
    assert message in said
    assert FOUR_PARTS.fullmatch(said)
    assert not (tmp_path / "out").exists()


def test_a_stopped_insertion_leaves_nothing(
    osteomet: Osteomet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from osteomet.pipeline import insert

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    scan, bones = write_scan(tmp_path / "in")
    monkeypatch.setattr(insert, "_write_table", full)
    outcome = osteomet("insert", "--image", scan, "--bones", bones, "--out", tmp_path / "out", "--lesions", "1")
    assert outcome.code == 5
    assert "out could not be written; expected a disk with space" in outcome.err
    assert "got No space left on device; remedy: free space, or choose another --out" in outcome.err
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_phantom_takes_lesions(axial: CtPhantom, lumbar: LumbarPhantom, osteomet: Osteomet, tmp_path: Path) -> None:
    write_volume(axial.volume, tmp_path / "scan.nii.gz")
    write_labels(LabelMap(axial.truth.bones, lumbar.grid(), NAMES), tmp_path / "bones.nii.gz")
    (tmp_path / "labels.json").write_text(json.dumps(NAMES), encoding="utf-8")
    outcome = osteomet(
        "insert", "--image", tmp_path / "scan.nii.gz", "--bones", tmp_path / "bones.nii.gz",
        "--out", tmp_path / "out", "--lesions", 2, "--seed", 1,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    mask = np.asanyarray(stored(tmp_path / "out" / "lesions.nii.gz").dataobj)
    old, new = (np.asanyarray(stored(tmp_path / p).dataobj) for p in ("scan.nii.gz", "out/image.nii.gz"))
    assert np.abs(new.astype(int) - old)[mask > 0].mean() > 20
