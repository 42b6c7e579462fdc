from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from osteomet.core.errors import FormatError, GeometryError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, Modality
from osteomet.io.formats import read_labels, read_volume, write_labels

PLAIN = """NRRD0004
# written by hand
type: short
dimension: 3
sizes: 2 3 4
endian: little
encoding: raw
"""
GEOMETRY = """space: left-posterior-superior
space directions: (1,0,0) (0,2,0) (0,0,3)
space origin: (10,20,30)
"""
LAYERED = """NRRD0004
type: unsigned char
dimension: 4
space: left-posterior-superior
sizes: 2 2 2 2
space directions: none (1,0,0) (0,2,0) (0,0,3)
kinds: list domain domain domain
encoding: raw
space origin: (10,20,30)

"""
NUMBERS = np.arange(24, dtype="<i2").reshape((2, 3, 4), order="F")


def write(path: Path, header: str, voxels: bytes) -> Path:
    path.write_bytes(header.replace("\n\n", "\n").encode() + b"\n" + voxels)
    return path


def plain(path: Path, geometry: str) -> Path:
    return write(path, PLAIN + geometry, NUMBERS.tobytes(order="F"))


def layered(path: Path, segments: str, layers: list[list[int]]) -> Path:
    """Write a file with two layers of 2×2×2 voxels, each given with its first index fastest."""
    return write(path, LAYERED + segments, np.array(layers, np.uint8).T.tobytes())


@pytest.mark.parametrize(
    ("space", "origin_lps"),
    [
        ("left-posterior-superior", (10, 20, 30)),
        ("LPS", (10, 20, 30)),
        ("right-anterior-superior", (-10, -20, 30)),
        ("RAS", (-10, -20, 30)),
        ("left-anterior-superior", (10, -20, 30)),
        ("LAS", (10, -20, 30)),
    ],
)
def test_every_patient_space_becomes_lps(tmp_path: Path, space: str, origin_lps: tuple[float, ...]) -> None:
    path = plain(tmp_path / "x.nrrd", GEOMETRY.replace("left-posterior-superior", space))
    volume = read_volume(path, modality=Modality.CT)
    assert volume.grid.origin_mm == origin_lps
    assert volume.grid.spacing_mm == (1, 2, 3)
    signs = np.sign(origin_lps)
    assert volume.grid.to_xyz_mm((1, 1, 1)).tolist() == (signs * (11, 22, 33)).tolist()
    np.testing.assert_array_equal(volume.array, NUMBERS)


@pytest.mark.parametrize("field", ["space", "space directions", "space origin"])
def test_a_missing_part_of_the_geometry_is_refused(tmp_path: Path, field: str) -> None:
    lines = [line for line in GEOMETRY.splitlines(keepends=True) if not line.startswith(f"{field}:")]
    with pytest.raises(GeometryError, match=rf"x\.nrrd: the header does not state where .* got no {field}; remedy"):
        read_volume(plain(tmp_path / "x.nrrd", "".join(lines)), modality=Modality.CT)


def test_spacings_alone_are_no_geometry(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="got no space and no space directions and no space origin"):
        read_volume(plain(tmp_path / "x.nrrd", "spacings: 1 2 3\n"), modality=Modality.CT)


def test_other_spaces_and_units_are_refused(tmp_path: Path) -> None:
    scanner = plain(tmp_path / "a.nrrd", GEOMETRY.replace("left-posterior-superior", "scanner-xyz"))
    with pytest.raises(GeometryError, match=r"names a space that is not the patient's; expected .* got scanner-xyz"):
        read_volume(scanner, modality=Modality.CT)
    metres = plain(tmp_path / "b.nrrd", GEOMETRY + 'space units: "m" "m" "m"\n')
    with pytest.raises(GeometryError, match="a unit of length other than mm; got m"):
        read_volume(metres, modality=Modality.CT)
    millimetres = plain(tmp_path / "c.nrrd", GEOMETRY + 'space units: "mm" "mm" "mm"\n')
    assert read_volume(millimetres, modality=Modality.CT).grid.spacing_mm == (1, 2, 3)


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ("(1,0,0) (0.5,2,0) (0,0,3)", "sheared affine"),
        ("(1,0,0) (1,0,0) (0,0,3)", "a geometry that no image can have"),
        ("(1,0,0) (0,0,0) (0,0,3)", "a geometry that no image can have|truncated or corrupt"),
    ],
)
def test_impossible_axes_are_refused(tmp_path: Path, directions: str, message: str) -> None:
    path = plain(tmp_path / "x.nrrd", GEOMETRY.replace("(1,0,0) (0,2,0) (0,0,3)", directions))
    with pytest.raises((GeometryError, FormatError), match=message):
        read_volume(path, modality=Modality.CT)


def test_a_segmentation_is_no_image(tmp_path: Path) -> None:
    grid = Grid.from_spacing((2, 2, 2), (1, 1, 1))
    write_labels(LabelMap(np.full(grid.shape, 22, np.uint8), grid, {"L3": 22}), tmp_path / "x.seg.nrrd")
    with pytest.raises(FormatError, match="the file is a segmentation; expected an image; got segments L3; remedy"):
        read_volume(tmp_path / "x.seg.nrrd", modality=Modality.CT)


def test_names_and_values_come_back_from_a_segmentation(tmp_path: Path, grid: Grid) -> None:
    array = np.zeros(grid.shape, np.uint16)
    array[0], array[1], array[-1] = 23, 300, 7
    labels = LabelMap(array, grid, {"L4": 23, 'lésion \\ "7"': 300, "C7": 7, "empty": 9})
    write_labels(labels, tmp_path / "x.seg.nrrd")
    back = read_labels(tmp_path / "x.seg.nrrd")
    assert dict(back.labels) == dict(labels.labels)
    np.testing.assert_array_equal(back.array, array)
    assert back.grid.same_as(grid, tolerance_mm=1e-6)


def test_the_header_has_what_slicer_reads(tmp_path: Path) -> None:
    grid = Grid.from_spacing((2, 3, 4), (1, 1, 1))
    array = np.zeros(grid.shape, np.uint8)
    array[0, 0, 0], array[1, 2, 3] = 23, 90
    write_labels(LabelMap(array, grid, {"something": 90, "L4": 23}), tmp_path / "x.seg.nrrd")
    image: Any = sitk.ReadImage(str(tmp_path / "x.seg.nrrd"))
    meta = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    palette = [structure.rgb for structure in STRUCTURES.values()]

    def colour(rgb: tuple[int, int, int]) -> str:
        return " ".join(f"{channel / 255:.6g}" for channel in rgb)

    assert meta == {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        "Segment0_ID": "Segment_23",
        "Segment0_Name": "L4",
        "Segment0_LabelValue": "23",
        "Segment0_Layer": "0",
        "Segment0_Extent": "0 1 0 2 0 3",
        "Segment0_Color": colour(STRUCTURES["L4"].rgb),
        "Segment0_NameAutoGenerated": "0",
        "Segment0_ColorAutoGenerated": "0",
        "Segment1_ID": "Segment_90",
        "Segment1_Name": "something",
        "Segment1_LabelValue": "90",
        "Segment1_Layer": "0",
        "Segment1_Extent": "0 1 0 2 0 3",
        "Segment1_Color": colour(palette[90 % len(palette)]),
        "Segment1_NameAutoGenerated": "0",
        "Segment1_ColorAutoGenerated": "0",
    }


SEPARATE = [[1, 0, 0, 0, 0, 0, 0, 2], [0, 0, 5, 0, 0, 0, 0, 0]]
THREE = """Segment0_ID:=s1
Segment0_Name:=L1
Segment0_Layer:=0
Segment0_LabelValue:=1
Segment1_ID:=s2
Segment1_Name:=L2
Segment1_Layer:=0
Segment1_LabelValue:=2
Segment2_ID:=s3
Segment2_Name:=lesion
Segment2_Layer:=1
Segment2_LabelValue:=5
"""


def test_layers_that_do_not_overlap_are_merged(tmp_path: Path) -> None:
    labels = read_labels(layered(tmp_path / "x.seg.nrrd", THREE, SEPARATE))
    assert dict(labels.labels) == {"L1": 1, "L2": 2, "lesion": 5}
    assert np.argwhere(labels.mask("L1")).tolist() == [[0, 0, 0]]
    assert np.argwhere(labels.mask("L2")).tolist() == [[1, 1, 1]]
    assert np.argwhere(labels.mask("lesion")).tolist() == [[0, 1, 0]]
    assert labels.grid.spacing_mm == (1, 2, 3)
    assert labels.grid.origin_mm == (10, 20, 30)


def test_labels_that_layers_share_are_numbered_anew(tmp_path: Path) -> None:
    """Before version 4.11 Slicer wrote each segment into its own layer as 1, without naming layer or value."""
    old = "Segment0_ID:=a\nSegment0_Name:=L1\nSegment1_ID:=b\nSegment1_Name:=L2\n"
    labels = read_labels(layered(tmp_path / "x.seg.nrrd", old, [[1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1]]))
    assert dict(labels.labels) == {"L1": 1, "L2": 2}
    assert (labels.array[0, 0, 0], labels.array[1, 1, 1], int(labels.array.sum())) == (1, 2, 3)


def test_segments_that_overlap_are_refused(tmp_path: Path) -> None:
    path = layered(tmp_path / "x.seg.nrrd", THREE, [[1, 1, 1, 0, 0, 0, 0, 2], [5, 5, 0, 0, 0, 0, 0, 0]])
    message = (
        r"x\.seg\.nrrd: segments overlap, which a label map cannot hold; expected each voxel in one segment; "
        r"got 2 voxels of 'lesion' also in 'L1'; remedy: in 3D Slicer"
    )
    with pytest.raises(FormatError, match=message):
        read_labels(path)


def test_layers_must_fit_their_segments(tmp_path: Path) -> None:
    unclaimed = layered(tmp_path / "a.seg.nrrd", THREE, [[1, 0, 0, 0, 0, 0, 0, 9], [0, 5, 9, 0, 0, 0, 0, 0]])
    with pytest.raises(FormatError, match="voxels that belong to no segment; got 2 voxels"):
        read_labels(unclaimed)
    beyond = layered(tmp_path / "b.seg.nrrd", THREE.replace("Layer:=1", "Layer:=2"), SEPARATE)
    with pytest.raises(FormatError, match="segment 'lesion' lies in a layer that the file does not have"):
        read_labels(beyond)
    words = layered(tmp_path / "c.seg.nrrd", THREE.replace("Layer:=1", "Layer:=top"), SEPARATE)
    with pytest.raises(FormatError, match=r"layer or label value is not a whole number; got .*'top'"):
        read_labels(words)


def test_segments_of_one_name_are_told_apart(tmp_path: Path) -> None:
    labels = read_labels(layered(tmp_path / "x.seg.nrrd", THREE.replace("Name:=L2", "Name:=L1"), SEPARATE))
    assert dict(labels.labels) == {"L1 (s1)": 1, "L1 (s2)": 2, "lesion": 5}


def test_a_trimmed_segmentation_keeps_its_own_place(tmp_path: Path) -> None:
    """Slicer trims to the voxels in use and moves the origin; the offset in the header is for its editor only."""
    trimmed = THREE + "Segmentation_ReferenceImageExtentOffset:=100 50 7\n"
    assert read_labels(layered(tmp_path / "x.seg.nrrd", trimmed, SEPARATE)).grid.origin_mm == (10, 20, 30)


def test_given_names_replace_those_of_the_file(tmp_path: Path) -> None:
    labels = read_labels(layered(tmp_path / "x.seg.nrrd", THREE, SEPARATE), {"a": 1, "b": 2, "c": 5})
    assert dict(labels.labels) == {"a": 1, "b": 2, "c": 5}
