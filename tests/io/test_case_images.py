"""Reading of one case: what belongs together, and refusals that name the case."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError, GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.case_images import CaseImages, read_case
from osteomet.io.dataset import LesionNote, pair_cases
from osteomet.io.formats import write_labels, write_volume

NIB: Any = nib
SITK: Any = sitk
GRID = Grid.from_spacing((4, 3, 2), (1, 1, 3))
NAMES = {"lytic": 1, "sclerotic": 2}


def array(*values: int) -> NDArray[np.uint8]:
    """Map whose first voxels have these values."""
    filled = np.zeros(GRID.shape, np.uint8)
    filled.ravel()[: len(values)] = values
    return filled


def write(path: Path, values: NDArray[Any], grid: Grid = GRID) -> None:
    path.parent.mkdir(exist_ok=True)
    labels = {f"x{n}": n for n in np.unique(values).tolist() if n}
    write_labels(LabelMap(values, grid, labels), path)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Reference of case a with named labels, and an empty folder of predictions."""
    reference, prediction = tmp_path / "reference", tmp_path / "prediction"
    prediction.mkdir()
    write(reference / "a.nii.gz", array(1, 1, 2))
    (reference / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **NAMES}}))
    return reference, prediction


def read(folders: tuple[Path, Path]) -> CaseImages:
    (pair,) = pair_cases(*folders).pairs
    return read_case(pair)


def test_the_reference_names_the_labels_of_the_prediction(folders: tuple[Path, Path]) -> None:
    write(folders[1] / "a.mha", array(2))
    case = read(folders)
    assert case.prediction is not None
    assert case.prediction.map.present() == {"sclerotic": 2}
    assert case.reference.names == case.prediction.names == ("lytic", "sclerotic")
    assert case.probability is None


def test_a_prediction_may_have_names_of_its_own(folders: tuple[Path, Path]) -> None:
    write(folders[1] / "a.nii.gz", array(1))
    (folders[1] / "labels.json").write_text(json.dumps({"sclerotic": 1}))
    case = read(folders)
    assert case.prediction is not None
    assert case.prediction.map.present() == {"sclerotic": 1}


def test_the_prediction_names_the_labels_of_the_reference(folders: tuple[Path, Path]) -> None:
    """Folders of predictions by nnU-Net have a dataset.json, bare folders of references have none."""
    write(folders[1] / "a.nii.gz", array(2))
    (folders[0] / "dataset.json").rename(folders[1] / "dataset.json")
    case = read(folders)
    assert case.reference.map.present() == NAMES


def test_labels_that_nobody_names(folders: tuple[Path, Path]) -> None:
    write(folders[1] / "a.nii.gz", array(3))
    (folders[0] / "dataset.json").unlink()
    case = read(folders)
    assert case.prediction is not None
    assert (case.reference.names, case.prediction.names) == (("label_1", "label_2"), ("label_3",))


def test_a_missing_prediction(folders: tuple[Path, Path]) -> None:
    assert read(folders).prediction is None


def test_instances_with_confidence(folders: tuple[Path, Path]) -> None:
    """The table of confidences goes before the table of lesions, which fills what it leaves open."""
    write(folders[1] / "a.nii.gz", array(7, 7, 9))
    (folders[1] / "a.confidence.csv").write_text("instance,confidence,type\n9,0.5,sclerotic\n7,1,\n")
    (folders[1] / "lesions.csv").write_text("case,lesion,type,cause\na,7,lytic,vessel\na,9,lytic,\nb,7,,disc\n")
    case = read(folders)
    assert case.prediction is not None
    assert (case.prediction.is_instances, case.prediction.scored) == (True, True)
    assert case.prediction.names == ("lytic", "sclerotic")
    assert set(case.prediction.notes) == {
        LesionNote(7, "lytic", cause="vessel", confidence=1),
        LesionNote(9, "sclerotic", confidence=0.5),
    }


def test_probability(folders: tuple[Path, Path]) -> None:
    write(folders[1] / "a.nii.gz", array(1))
    values = array(0, 1).astype(np.float32) / 2
    write_volume(Volume(values, GRID, Modality.MR, Unit.ARBITRARY), folders[1] / "a_probability.nii.gz")
    probability = read(folders).probability
    assert probability is not None
    np.testing.assert_array_equal(probability.array, values)


def test_whole_numbers_stored_as_floating_point_are_labels(folders: tuple[Path, Path]) -> None:
    """Public data sets store masks so."""
    image = NIB.Nifti1Image(array(1, 1, 2).astype(np.float64), np.diag([-1, -1, 3, 1]))
    NIB.save(image, folders[1] / "a.nii.gz")
    case = read(folders)
    assert case.prediction is not None
    np.testing.assert_array_equal(case.prediction.map.array, case.reference.map.array)


def nifti(path: Path, values: NDArray[Any]) -> None:
    NIB.save(NIB.Nifti1Image(values, np.diag([-1, -1, 3, 1])), path)


def colour(path: Path) -> None:
    """Label map saved as a picture in RGB."""
    rgb = np.zeros(GRID.shape, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    nifti(path / "a.nii.gz", rgb)


def colour_mha(path: Path) -> None:
    SITK.WriteImage(SITK.GetImageFromArray(np.zeros((2, 3, 4, 3), np.uint8), isVector=True), str(path / "a.mha"))


def shifted(path: Path) -> None:
    write(path / "a.nii.gz", array(1), Grid.from_spacing(GRID.shape, (0.7, 0.7, 3)))


def scored(path: Path, table: str) -> None:
    write(path / "a.nii.gz", array(1, 2))
    (path / "a.confidence.csv").write_text(table)


def probable(path: Path, values: NDArray[np.float32], grid: Grid = GRID) -> None:
    write(path / "a.nii.gz", array(1))
    write_volume(Volume(values, grid, Modality.MR, Unit.ARBITRARY), path / "a_probability.nii.gz")


def named_otherwise(path: Path) -> None:
    write(path / "a.nii.gz", array(1))
    (path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "mixed": 1}}))


DEFECTS = {
    "other spacing": (
        shifted,
        r"reference and prediction differ in geometry; .*got .* \(1, 1, 3\) mm .* \(0\.7, 0\.7, 3\)",
    ),
    "unknown value": (
        lambda p: write(p / "a.nii.gz", array(1, 5)),
        r"the label map holds values that have no name; got \[5\] against names .*lytic",
    ),
    "unknown name": (
        named_otherwise,
        r"the prediction has labels that the reference does not know; expected lytic, sclerotic; got mixed",
    ),
    "float mask": (
        lambda p: nifti(p / "a.nii.gz", array(1) * np.float32(0.5)),
        r"a label map must hold whole numbers; got 0\.5; remedy: pass a label map, not a probability map",
    ),
    "negative": (
        lambda p: nifti(p / "a.nii.gz", -array(1).astype(np.int16)),
        r"must not hold negative numbers; got -1",
    ),
    "RGB": (colour, r"the voxels are not plain numbers; .* got colour \(RGB\)"),
    "RGB in MetaImage": (colour_mha, r"colour|several|not plain"),
    "truncated": (lambda p: (p / "a.nii.gz").write_bytes(b"\x1f\x8b\x08"), r"truncated or corrupt"),
    "instance without confidence": (
        lambda p: scored(p, "instance,confidence\n1,0.5\n"),
        r"a\.confidence\.csv does not belong to the label map .* got no row for \[2\], no voxel of \[\]",
    ),
    "confidence without instance": (
        lambda p: scored(p, "instance,confidence\n1,0.5\n2,0.5\n3,0.5\n"),
        r"got no row for \[\], no voxel of \[3\]",
    ),
    "confidence twice": (
        lambda p: scored(p, "instance,confidence\n1,0.5\n1,0.5\n"),
        r"line 3: instance “1” stands twice; got first on line 2",
    ),
    "confidence in per cent": (
        lambda p: scored(p, "instance,confidence\n1,0.5\n2,50\n"),
        r"line 3: a confidence is no probability",
    ),
    "no confidence": (lambda p: scored(p, "instance,confidence\n1,0.5\n2,\n"), r"the cell “confidence” is empty"),
    "probability above 1": (
        lambda p: probable(p, np.full(GRID.shape, 1.5, np.float32)),
        r"a_probability\.nii\.gz holds no probabilities; expected values from 0 to 1; got 1\.5 to 1\.5",
    ),
    "probability elsewhere": (
        lambda p: probable(p, np.zeros(GRID.shape, np.float32), Grid.from_spacing(GRID.shape, (1, 1, 1))),
        r"reference and probability map differ in geometry",
    ),
}


@pytest.mark.parametrize(("make", "message"), DEFECTS.values(), ids=list(DEFECTS))
def test_defects_name_the_case(folders: tuple[Path, Path], make: Any, message: str) -> None:
    make(folders[1])
    kind = GeometryError if "geometry" in message else DatasetError
    with pytest.raises(kind, match=f"case “a”: .*({message})"):
        read(folders)
