"""Bone maps of any convention: what the labels mean is told, or asked for."""

import json
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import FormatError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import NAMES_BY_CONVENTION, STRUCTURES, LabelConvention
from osteomet.core.volume import LabelMap
from osteomet.io.bone_maps import bone_name, read_bones
from osteomet.io.formats import write_labels

LUMBAR = ["L1", "L2", "L3", "L4", "L5", "sacrum"]


def write_stack(path: Path, labels: list[int], *, descending: bool = True) -> None:
    """Blocks of 20 ml above each other, the first one on top."""
    grid = Grid.from_spacing((20, 20, 10 * len(labels)), (1.0, 1.0, 5.0))
    array = np.zeros(grid.shape, dtype=np.uint8)
    for n, label in enumerate(labels):
        floor = 10 * (len(labels) - 1 - n if descending else n)
        array[5:15, 5:15, floor : floor + 8] = label
    write_labels(LabelMap(array, grid, {f"x{v}": v for v in labels}), path)


def ids(convention: LabelConvention, names: list[str]) -> list[int]:
    table = {name: foreign for foreign, name in NAMES_BY_CONVENTION[convention].items()}
    return [table[name] for name in names]


@pytest.mark.parametrize("convention", list(LabelConvention))
def test_ids_of_every_convention_are_recognised(convention: LabelConvention, tmp_path: Path) -> None:
    write_stack(tmp_path / "map.nii.gz", ids(convention, LUMBAR))
    bones = read_bones(tmp_path / "map.nii.gz")
    assert list(bones.present()) == LUMBAR
    assert [np.count_nonzero(bones.mask(name)) for name in LUMBAR] == [800] * 6


def test_what_fits_several_conventions_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "map.nii.gz"
    write_stack(path, [21, 22, 23])
    with pytest.raises(FormatError, match=r"cannot be told.*fit osteomet and verse and totalspineseg; remedy: write"):
        read_bones(path)
    (tmp_path / "labels.json").write_text(json.dumps({"convention": "totalspineseg"}), encoding="utf-8")
    assert list(read_bones(path).present()) == ["T1", "T2", "T3"]
    (tmp_path / "labels.json").write_text(json.dumps({"vertebrae_L2": 21, "vertebrae_L3": 22, "x": 23}))
    assert list(read_bones(path).present()) == ["L2", "L3"]
    (tmp_path / "labels.json").write_text(json.dumps({"convention": "mine"}), encoding="utf-8")
    with pytest.raises(
        FormatError, match=r"does not know; expected verse or totalspineseg or totalsegmentator; got mi"
    ):
        read_bones(path)


def test_a_column_that_climbs_fits_no_convention(tmp_path: Path) -> None:
    write_stack(tmp_path / "map.nii.gz", ids(LabelConvention.VERSE, LUMBAR), descending=False)
    with pytest.raises(FormatError, match="fit none"):
        read_bones(tmp_path / "map.nii.gz")


def test_a_map_without_bone_is_refused(tmp_path: Path) -> None:
    write_stack(tmp_path / "map.nii.gz", [3])
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "liver": 3}}), encoding="utf-8")
    with pytest.raises(FormatError, match=r"holds no bone that osteomet knows; expected .*; got labels liver"):
        read_bones(tmp_path / "map.nii.gz")


def test_names() -> None:
    assert [bone_name(n) for n in ("vertebrae_T4", "Sacrum", "s2", "l5", "aorta")] == [
        "T4",
        "sacrum",
        "sacrum",
        "L5",
        None,
    ]
    assert all(bone_name(name) == name for name in STRUCTURES)


DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real scans at {DATA}")
@pytest.mark.parametrize(
    ("path", "first", "last"),
    [
        ("anatomy/sub-sample001_seg-vert_msk.nii.gz", "T1", "L5"),
        ("anatomy/sub-verse004_seg-vert_msk.nii.gz", "T9", "L5"),
        ("vertebra_crops/sample_mri/sub-mri_seg-vert_label-6_msk.nii.gz", "C5", "C7"),
        ("ct_abdomen_pelvis/structures_totalsegmentator_ids.nii.gz", "T11", "rib_right_12"),
    ],
)
def test_maps_of_other_tools(path: str, first: str, last: str) -> None:
    present = list(read_bones(DATA / path).present())
    assert (present[0], present[-1]) == (first, last)
