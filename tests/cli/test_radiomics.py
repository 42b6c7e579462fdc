"""`osteomet radiomics extract`: what it writes, and what it refuses without writing anything."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.conftest import Osteomet

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import write_labels, write_volume

GRID = Grid.from_spacing((16, 14, 12), (1.0, 1.0, 2.0))
FAST = "log_sigmas_mm = []\nwavelet = 'none'\n"


def write_image(path: Path, grid: Grid = GRID) -> Path:
    array = np.random.default_rng(0).normal(300, 90, grid.shape).astype(np.int16)
    write_volume(Volume(array, grid, Modality.MR, Unit.ARBITRARY), path)
    return path


def write_map(path: Path, array: NDArray[Any], grid: Grid = GRID) -> Path:
    values = [int(v) for v in np.unique(array) if v]
    write_labels(LabelMap(array.astype(np.uint8), grid, {f"label_{v}": v for v in values}), path)
    return path


def two_lesions() -> NDArray[np.uint8]:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[2:7, 2:7, 2:6] = 1
    array[9:13, 8:12, 5:9] = 4
    return array


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image(tmp_path / "image.nii.gz")
    write_map(tmp_path / "mask.nii.gz", two_lesions())
    (tmp_path / "fast.toml").write_text(FAST)
    (tmp_path / "out").mkdir()
    return tmp_path


def arguments(folder: Path, **changes: Path | int | None) -> list[object]:
    given: dict[str, object] = {
        "image": folder / "image.nii.gz",
        "mask": folder / "mask.nii.gz",
        "settings": folder / "fast.toml",
        "out": folder / "out" / "features.csv",
        **changes,
    }
    words = [(f"--{name}", value) for name, value in given.items() if value is not None]
    return ["radiomics", "extract", *(word for pair in words for word in pair)]


def test_a_row_for_each_label_and_the_settings_beside_it(folder: Path, osteomet: Osteomet) -> None:
    outcome = osteomet(*arguments(folder), "--json")
    assert outcome.code == 0, outcome.err
    printed = json.loads(outcome.out)
    assert printed["n_features"] == 107
    assert [lesion["lesion"] for lesion in printed["lesions"]] == [1, 4]
    rows = read_table(folder / "out" / "features.csv")
    assert [(r["case"], r["lesion"], r["label"], r["n_voxels"]) for r in rows] == [
        ("image", "1", "label_1", "100"),
        ("image", "4", "label_4", "64"),
    ]
    assert float(rows[0]["original_shape_VoxelVolume"]) == 200
    document = json.loads((folder / "out" / "features.json").read_text(encoding="utf-8"))
    assert document["settings"]["bin_width"] == 25
    assert document["settings"]["wavelet"] == "none"
    assert document["not_computed"] == []
    assert document["mask"] == "mask.nii.gz"


def test_all_features_by_default(folder: Path, osteomet: Osteomet) -> None:
    assert osteomet(*arguments(folder, settings=None, label=4)).code == 0
    (row,) = read_table(folder / "out" / "features.csv")
    assert len(row) == 4 + 1316
    assert all(row.values())


def test_what_cannot_be_computed_is_an_empty_cell_with_a_reason(folder: Path, osteomet: Osteomet) -> None:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[5, 5, 5] = 1
    write_map(folder / "point.nii.gz", array)
    assert osteomet(*arguments(folder, mask=folder / "point.nii.gz")).code == 0
    (row,) = read_table(folder / "out" / "features.csv")
    assert row["original_glcm_Contrast"] == ""
    assert row["original_glszm_ZonePercentage"] == "1.0"
    (missing,) = json.loads((folder / "out" / "features.json").read_text(encoding="utf-8"))["not_computed"]
    assert missing["reason"] == "the region is a single voxel"
    assert set(missing["features"]) == {name for name, cell in row.items() if cell == ""}


def dataset(folder: Path, maps: str, *, channels: int = 1) -> Path:
    """Two cases, the second without a lesion."""
    data = folder / "data"
    for name in ("imagesTr", maps):
        (data / name).mkdir(parents=True)
    names = {str(n): name for n, name in zip(range(channels), ("T1", "CE"), strict=False)}
    (data / "dataset.json").write_text(json.dumps({"channel_names": names, "labels": {"background": 0, "tumour": 1}}))
    for case in ("a", "b"):
        for channel in range(channels):
            write_image(data / "imagesTr" / f"{case}_{channel:04d}.nii.gz")
        array = np.zeros(GRID.shape, dtype=np.uint8)
        if case == "a":
            array = np.minimum(two_lesions(), 1 if maps == "labelsTr" else 4)
        write_map(data / maps / f"{case}.nii.gz", array)
    return data


@pytest.mark.parametrize(
    ("maps", "expected"), [("labelsTr", ["tumour", "tumour"]), ("instancesTr", ["lesion_1", "lesion_4"])]
)
def test_a_data_set_has_a_row_a_lesion(maps: str, expected: list[str], folder: Path, osteomet: Osteomet) -> None:
    data = dataset(folder, maps)
    outcome = osteomet(*arguments(folder, image=None, mask=None, data=data))
    assert outcome.code == 0, outcome.err
    rows = read_table(folder / "out" / "features.csv")
    assert [row["case"] for row in rows] == ["a", "a"]
    assert [row["label"] for row in rows] == expected
    assert sorted(row["n_voxels"] for row in rows) == ["100", "64"]


def test_a_channel_must_be_named_among_several(folder: Path, osteomet: Osteomet) -> None:
    data = dataset(folder, "instancesTr", channels=2)
    refused = osteomet(*arguments(folder, image=None, mask=None, data=data))
    assert refused.code == 2
    assert "several channels; expected --channel with one of their numbers; got 0: T1, 1: CE" in refused.err
    assert osteomet(*arguments(folder, image=None, mask=None, data=data, channel=2)).code == 2
    assert osteomet(*arguments(folder, image=None, mask=None, data=data, channel=1)).code == 0
    assert json.loads((folder / "out" / "features.json").read_text(encoding="utf-8"))["channel"] == 1


def elsewhere(folder: Path) -> dict[str, Any]:
    grid = Grid.from_spacing(GRID.shape, (1.0, 1.0, 2.0), origin_mm=(5.0, 0.0, 0.0))
    return {"mask": write_map(folder / "moved.nii.gz", two_lesions(), grid)}


def empty_mask(folder: Path) -> dict[str, Any]:
    return {"mask": write_map(folder / "empty.nii.gz", np.zeros(GRID.shape, dtype=np.uint8))}


def no_image(folder: Path) -> dict[str, Any]:
    return {"image": folder / "none.nii.gz"}


def no_label(folder: Path) -> dict[str, Any]:  # noqa: ARG001 - one form for all
    return {"label": 2}


def wrong_settings(folder: Path) -> dict[str, Any]:
    (folder / "wrong.toml").write_text("bin_count = 1")
    return {"settings": folder / "wrong.toml"}


def no_folder(folder: Path) -> dict[str, Any]:
    return {"out": folder / "none" / "features.csv"}


def both_sources(folder: Path) -> dict[str, Any]:
    return {"data": folder}


def no_maps(folder: Path) -> dict[str, Any]:
    return {"image": None, "mask": None, "data": folder}


def lost_image(folder: Path) -> dict[str, Any]:
    data = dataset(folder, "labelsTr")
    (data / "imagesTr" / "b_0000.nii.gz").unlink()
    return {"image": None, "mask": None, "data": data}


def damaged_image(folder: Path) -> dict[str, Any]:
    data = dataset(folder, "labelsTr")
    (data / "imagesTr" / "a_0000.nii.gz").write_bytes(b"no image")
    return {"image": None, "mask": None, "data": data}


def no_lesion(folder: Path) -> dict[str, Any]:
    data = dataset(folder, "labelsTr")
    write_map(data / "labelsTr" / "a.nii.gz", np.zeros(GRID.shape, dtype=np.uint8))
    return {"image": None, "mask": None, "data": data}


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (elsewhere, 3, "the image and the mask differ in geometry"),
        (empty_mask, 3, "empty.nii.gz: the mask is empty"),
        (no_image, 3, "none.nii.gz: the file cannot be opened"),
        (no_label, 3, "the mask has no such label; expected 1, 4; got --label 2"),
        (wrong_settings, 2, "wrong.toml: bin_count is too small"),
        (no_folder, 2, "into a folder that does not exist"),
        (both_sources, 2, "either --image and --mask (and --label), or --data"),
        (no_maps, 3, "no map of lesions in the data set"),
        (lost_image, 3, "case “b” of the data set; expected an image of channel 0; got none"),
        (damaged_image, 3, "case “a”: "),
        (no_lesion, 3, "no case has a lesion"),
    ],
)
def test_what_cannot_be_used_writes_nothing(
    change: Any, code: int, message: str, folder: Path, osteomet: Osteomet
) -> None:
    outcome = osteomet(*arguments(folder, **change(folder)))
    assert outcome.code == code, outcome.err
    assert message in outcome.err
    assert list((folder / "out").iterdir()) == []


def test_a_file_is_never_replaced(folder: Path, osteomet: Osteomet) -> None:
    (folder / "out" / "features.json").write_text("mine")
    outcome = osteomet(*arguments(folder))
    assert outcome.code == 2
    assert "features.json exists already; remedy: name a new file" in outcome.err
    assert [path.name for path in (folder / "out").iterdir()] == ["features.json"]
