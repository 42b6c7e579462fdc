from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, FormatError, InputError
from osteomet.core.vocabulary import LabelConvention, SequenceRole
from osteomet.io.real_manifest import read_boxes, read_manifest

MANIFEST = """
folder = "scans"

[[scan]]
name = "one"
image = "one.nii.gz"
complete = true
most_false = 1
boxes = "boxes.csv"
bones = "one_bones.nii.gz"
convention = "totalsegmentator"
judge = ["L1", "sacrum"]

[[scan]]
name = "two"
image = "two"
role = "T2"
"""
BOXES = "image_path,class,x,y,z,width,height,depth\none.nii.gz,a,10,20,30,4,6,8\nother.nii.gz,a,0,0,0,1,1,1\n"


def written(tmp_path: Path, text: str = MANIFEST, boxes: str = BOXES) -> Path:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "boxes.csv").write_text(boxes)
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    return path


def test_what_a_manifest_says(tmp_path: Path) -> None:
    one, two = read_manifest(written(tmp_path))
    assert (one.image, one.bones) == (tmp_path / "scans" / "one.nii.gz", tmp_path / "scans" / "one_bones.nii.gz")
    assert (one.role, one.complete, one.most_false) == (SequenceRole.CT, True, 1)
    assert (one.convention, one.judge) == (LabelConvention.TOTALSEGMENTATOR, ("L1", "sacrum"))
    assert (two.role, two.complete, two.boxes, two.judge) == (SequenceRole.T2, False, None, ())


def test_boxes_of_one_image_by_their_corners(tmp_path: Path) -> None:
    one, two = read_manifest(written(tmp_path))
    np.testing.assert_array_equal(read_boxes(one), [[[8, 17, 26], [12, 23, 34]]])
    assert read_boxes(two).shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("most_false = 1", "most_flase = 1", "wrong key; got scan.0.most_flase"),
        ('convention = "totalsegmentator"', "", "one names a map of bones without whose ids it carries"),
        ('name = "two"', 'name = "one"', "two scans share a name"),
        ("folder =", "folder", "is not TOML"),
        ('role = "T2"', 'role = "T9"', "wrong key; got scan.1.role"),
    ],
)
def test_a_manifest_that_cannot_be_meant(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = written(tmp_path, MANIFEST.replace(old, new))
    with pytest.raises(FormatError, match=message):
        read_manifest(path)


def test_tables_of_boxes_that_do_not_fit(tmp_path: Path) -> None:
    path = written(tmp_path, boxes=BOXES.replace("one.nii.gz", "uno.nii.gz"))
    with pytest.raises(InputError, match=r"has no box for one; expected rows whose image_path is one\.nii\.gz"):
        read_boxes(read_manifest(path)[0])
    (tmp_path / "scans" / "boxes.csv").write_text(BOXES.replace("4,6,8", "4,0,8"))
    with pytest.raises(DatasetError, match="line 2: a box has positive sides"):
        read_boxes(read_manifest(path)[0])


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the manifest cannot be read"):
        read_manifest(tmp_path / "none.toml")
