import json
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import FormatError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.io.formats import read_labels, write_labels
from osteomet.io.label_names import names_beside

OURS = {"bones": {"T12": 19, "L1": 20}, "lesions": {"1": {"type": "lytic", "site": "L1"}, "2": {"type": "mixed"}}}
NNUNET = {"labels": {"background": 0, "lytic": 1, "sclerotic": 2, "any": [1, 2]}, "numTraining": 3}


def put(folder: Path, name: str, content: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_nothing_beside_gives_no_names(tmp_path: Path) -> None:
    assert names_beside(tmp_path, "case") is None


def test_our_own_names_go_by_the_name_of_the_map(tmp_path: Path) -> None:
    put(tmp_path, "labels.json", OURS)
    assert names_beside(tmp_path, "bones") == {"T12": 19, "L1": 20}
    assert names_beside(tmp_path, "lesions") == {"lesion_1": 1, "lesion_2": 2}
    assert names_beside(tmp_path, "case_7") is None


def test_a_single_part_names_any_map(tmp_path: Path) -> None:
    put(tmp_path, "labels.json", {"bones": {"L1": 20}, "lesions": {}})
    assert names_beside(tmp_path, "case_7") == {"L1": 20}
    assert names_beside(tmp_path, "lesions") == {}


def test_nnunet_names_beside_or_above_the_labels_folder(tmp_path: Path) -> None:
    put(tmp_path, "dataset.json", NNUNET)
    assert names_beside(tmp_path, "case") == {"lytic": 1, "sclerotic": 2}
    for folder in ("labelsTr", "imagesTr"):
        (tmp_path / folder).mkdir()
    assert names_beside(tmp_path / "labelsTr", "case") == {"lytic": 1, "sclerotic": 2}
    assert names_beside(tmp_path / "imagesTr", "case") is None


def test_our_names_come_before_those_of_nnunet(tmp_path: Path) -> None:
    put(tmp_path, "labels.json", OURS)
    put(tmp_path, "dataset.json", NNUNET)
    assert names_beside(tmp_path, "bones") == {"T12": 19, "L1": 20}
    assert names_beside(tmp_path, "case") == {"lytic": 1, "sclerotic": 2}


@pytest.mark.parametrize("content", [{"lytic": 1, "background": 0}, {"labels": {"lytic": 1, "background": 0}}])
def test_labels_json_may_be_a_plain_table_or_like_dataset_json(tmp_path: Path, content: object) -> None:
    put(tmp_path, "labels.json", content)
    assert names_beside(tmp_path, "case") == {"lytic": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "labels.json beside the label map cannot be used; expected JSON; got Expecting"),
        ("[]", "expected a JSON object; got list"),
        ({"bones": ["L1"]}, 'expected an object "bones"; got list'),
        ({"bones": {"L1": "one"}}, "expected whole-number labels, one for each name; got invalid literal"),
        ({"bones": {"L1": None}}, "expected whole-number labels"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: object, message: str) -> None:
    put(tmp_path, "labels.json", content)
    with pytest.raises(FormatError, match=message):
        names_beside(tmp_path, "bones")


def test_reading_a_map_uses_them(tmp_path: Path) -> None:
    put(tmp_path, "labels.json", OURS)
    grid = Grid.from_spacing((2, 2, 2), (1, 1, 1))
    array = np.zeros(grid.shape, np.uint8)
    array[0] = 20
    write_labels(LabelMap(array, grid, {"x": 20}), tmp_path / "bones.nii.gz")
    assert dict(read_labels(tmp_path / "bones.nii.gz").labels) == {"T12": 19, "L1": 20}
    assert read_labels(tmp_path / "bones.nii.gz").present() == {"L1": 20}
    assert dict(read_labels(tmp_path / "bones.nii.gz", {"mine": 20}).labels) == {"mine": 20}
    write_labels(LabelMap(array, grid, {"x": 20}), tmp_path / "lesions.nii.gz")
    with pytest.raises(FormatError, match=r"lesions\.nii\.gz: .* no name; got \[20\] against names"):
        read_labels(tmp_path / "lesions.nii.gz")
